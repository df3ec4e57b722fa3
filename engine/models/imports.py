"""Heavy modules, imported when they are first needed and beside the loop."""

from __future__ import annotations

import asyncio
import importlib
import threading
from types import ModuleType

# `sys.modules` has a module from the first moment of its import; only what is here is whole.
_loaded: dict[str, ModuleType] = {}
_one_at_a_time = threading.Lock()


async def load(module: str) -> ModuleType:
    """Import a heavy module in a thread: the loop goes on, with stalls of a tenth of a second.

    One at a time: packages that import their parts late can't be imported by two threads at once.
    """
    found = _loaded.get(module)
    return found if found is not None else await asyncio.to_thread(_import, module)


def _import(module: str) -> ModuleType:
    with _one_at_a_time:
        found = _loaded[module] = importlib.import_module(module)
    return found
