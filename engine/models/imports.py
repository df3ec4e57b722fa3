"""Heavy modules, imported when they are first needed and beside the loop."""

from __future__ import annotations

import asyncio
import importlib
import sys
from types import ModuleType


async def load(module: str) -> ModuleType:
    """Import a heavy module in a thread: the loop goes on, with stalls of a tenth of a second."""
    if module in sys.modules:
        return sys.modules[module]
    return await asyncio.to_thread(importlib.import_module, module)
