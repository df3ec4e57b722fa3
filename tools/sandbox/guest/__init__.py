"""What runs inside the sandbox. `build` turns this folder into one WebAssembly component."""
