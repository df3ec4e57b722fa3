"""How a tool fails. Two ways only, so that nobody has to match on the text of a message.

ToolError        give up: the node fails, or a model that called the tool is told
└── ToolRetry    the same call may work a moment later (a time-out, a 503)

`refused` says that nothing was done, for certain: an argument was wrong, the other side said no. Where it is
false, what the call was to do may have been done all the same, and one that must not happen twice is not tried
again by itself. `code` names the kind of failure for programs; `engine.failures` says what each means.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class ToolError(Exception):
    """A tool call that failed. `message` says what happened, `fix` what the person can do about it, `about` are
    plain facts on what went wrong, such as the name that is missing."""

    def __init__(
        self,
        message: str,
        fix: str | None = None,
        *,
        refused: bool = True,
        code: str = "tool_failed",
        about: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.refused = refused
        self.fault: Mapping[str, Any] = {"code": code, **(about or {})}

    def __str__(self) -> str:
        return f"{self.message} {self.fix}" if self.fix else self.message


class ToolRetry(ToolError):
    """A tool call that failed but may work when it is tried again. `refused` is false unless it is said."""

    def __init__(
        self,
        message: str,
        fix: str | None = None,
        *,
        refused: bool = False,
        code: str = "tool_failed",
        about: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, fix, refused=refused, code=code, about=about)
