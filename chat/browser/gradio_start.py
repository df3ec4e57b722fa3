"""Imports Gradio in three fifths of the time.

When Gradio is imported it parses the source of each of its components and renders a type stub for it, in order to
write the stub beside the file if it changed. That is for people who develop components, takes 0.9 s of CPU at every
start, and writes into the environment. Here it is left out: nothing of it is needed to serve a page.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

WRITES_STUBS = "gradio.component_meta"
WRITER = "create_or_modify_pyi"


class _WithoutStubs(MetaPathFinder):
    """Finds the one module, once, and takes the writer out of it when it has been loaded."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != WRITES_STUBS:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def load_without_writer(module: ModuleType) -> None:
            load(module)
            if hasattr(module, WRITER):
                setattr(module, WRITER, lambda *_: None)

        spec.loader.exec_module = load_without_writer  # type: ignore[method-assign]
        return spec


def import_gradio() -> None:
    """Import it, unless somebody has; afterwards `import gradio` costs nothing."""
    if "gradio" not in sys.modules:
        sys.meta_path.insert(0, _WithoutStubs())
    import gradio  # noqa: F401
