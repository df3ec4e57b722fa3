"""The machine that the guest runs on: what wasmtime compiles for, and what it links the guest with.

Compiling and running need the same engine, so both take it from here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wasmtime import Engine, Store
    from wasmtime.component import Component, Linker

Host = Callable[[object, str, str], str]
FOREVER = 1 << 40
WASM_STACK = 2 << 20  # the most that wasmtime takes
THREAD_STACK = 16 << 20
_SOCKETS = {
    "wasi:sockets/tcp-create-socket": "create-tcp-socket",
    "wasi:sockets/udp-create-socket": "create-udp-socket",
}


def make_engine() -> Engine:
    """Code can be interrupted from another thread by raising the epoch.

    Its stack is larger than usual, so that Python notices a recursion that is too deep before the machine does; it
    wants a thread of THREAD_STACK bytes.
    """
    from wasmtime import Config, Engine

    config = Config()
    config.epoch_interruption = True
    config.max_wasm_stack = WASM_STACK
    return Engine(config)


def make_linker(engine: Engine, component: Component, host: Host) -> Linker:
    """The imports of the guest: `host`, clocks, random numbers; of files and the network only the empty shells.

    WASI as set up by `make_store` has no folder and lets no socket reach anything; sockets are refused here as well,
    so that one slip in wasmtime's defaults opens nothing.
    """
    from wasmtime.component import Linker

    linker = Linker(engine)
    linker.add_wasip2()
    linker.allow_shadowing = True
    with linker.root() as root:
        root.add_func("host", host)
        for name in component.type.imports(engine):
            function = _SOCKETS.get(name.partition("@")[0])
            if function is not None:
                with root.add_instance(name) as instance:
                    instance.add_func(function, _refuse_network)
    return linker


def _refuse_network(*_: object) -> str:
    """The error code of WASI for it; code sees a PermissionError."""
    return "access-denied"


def make_store(engine: Engine) -> Store:
    """A store whose WASI has no arguments, variables, folders, input or network; its output goes nowhere."""
    from wasmtime import Store, WasiConfig

    store = Store(engine)
    store.set_wasi(WasiConfig())
    store.set_epoch_deadline(FOREVER)
    return store
