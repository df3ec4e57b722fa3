"""How a tool fails. Two ways only, so that nobody has to match on the text of a message.

ToolError        give up: the node fails, or a model that called the tool is told
└── ToolRetry    the same call may work a moment later (a time-out, a 503)
"""


class ToolError(Exception):
    """A tool call that failed. `message` says what happened, `fix` what the person can do about it."""

    def __init__(self, message: str, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message} {self.fix}" if self.fix else self.message


class ToolRetry(ToolError):
    """A tool call that failed but may work when it is tried again."""
