"""The tools by name: one dict from a name to a dotted path, each loaded on its first use.

A new tool is one file and one line here; tests and plug-ins hand over a dict of their own in the same shape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module

from tools.errors import ToolError, ToolRetry
from tools.tool import Tool, ToolContext, tool

__all__ = ["BUILT_IN", "Tool", "ToolContext", "ToolError", "ToolRegistry", "ToolRetry", "tool"]

BUILT_IN: Mapping[str, str] = {
    "http_get": "tools.http.http_get",
    "json_parse": "tools.parse.json_parse",
    "yaml_parse": "tools.parse.yaml_parse",
    "csv_parse": "tools.parse.csv_parse",
    "text_template": "tools.text.text_template",
    "current_time": "tools.clock.current_time",
}


class ToolRegistry:
    """Tools by name. `specs` maps each name to `module.attribute`, or to a Tool that is there already.

    `allow_private` is the installation's permission to reach this machine and its local network. `no_code` says why
    code can't run here, None where it can.
    """

    def __init__(
        self,
        specs: Mapping[str, str | Tool] = BUILT_IN,
        *,
        allow_private: bool = False,
        no_code: Callable[[], str | None] = lambda: None,
    ) -> None:
        self.specs: dict[str, str | Tool] = dict(specs)
        self.allow_private = allow_private
        self.no_code = no_code
        self._loaded: dict[str, Tool] = {}

    def names(self) -> list[str]:
        return list(self.specs)

    def __contains__(self, name: object) -> bool:
        return name in self.specs

    def __iter__(self) -> Iterator[str]:
        return iter(self.specs)

    def add(self, name: str, spec: str | Tool) -> None:
        """Add a tool, or put another in the place of one."""
        self.specs[name] = spec
        self._loaded.pop(name, None)

    def get(self, name: str) -> Tool:
        """The tool. Raises KeyError for a name that is not registered."""
        if name not in self._loaded:
            spec = self.specs[name]
            self._loaded[name] = spec if isinstance(spec, Tool) else _load(spec)
        return self._loaded[name]


def _load(path: str) -> Tool:
    module, _, attribute = path.rpartition(".")
    found = getattr(import_module(module), attribute)
    if not isinstance(found, Tool):
        raise TypeError(f"{path} is not a Tool; make it with the decorator tools.tool.tool")
    return found
