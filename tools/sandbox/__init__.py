"""Where code runs that nobody has read: CPython compiled to WebAssembly, in worker processes that can be killed.

`pool.Sandbox` is what the engine uses. `build` makes the guest, `worker` runs it, `guest/` is what runs inside.
"""
