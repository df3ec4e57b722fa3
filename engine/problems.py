"""A problem of a workflow document: what the checker says to the model, the editor, the engine and CI alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Patch:
    """Replace the text from `start` up to, not including, `end` (1-based line, column) by `text`."""

    start: tuple[int, int]
    end: tuple[int, int]
    text: str

    def to_dict(self) -> dict[str, Any]:
        return {"start": list(self.start), "end": list(self.end), "text": self.text}


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding. `path` is like `nodes[2].prompt` ("" for the whole document), line and column are 1-based."""

    rule: str
    severity: Severity
    path: str
    line: int
    column: int
    message: str
    patch: Patch | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "line": self.line,
            "column": self.column,
            "severity": self.severity,
            "rule": self.rule,
            "path": self.path,
            "message": self.message,
            "patch": self.patch.to_dict() if self.patch else None,
        }
