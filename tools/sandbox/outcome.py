"""What came of a run of code: a result, or an error in words that say what to change.

The guest's report is somebody else's text: it is read as JSON within bounds, and believed in nothing else.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tools.errors import ToolError, ToolRetry

DEEPEST = 100


@dataclass(frozen=True, slots=True)
class SandboxResult:
    """`result` is what the code set as `result`; without one, `names` holds the variables that it set."""

    result: Any
    has_result: bool
    stdout: str
    names: Mapping[str, Any] = field(default_factory=dict)


class SandboxError(ToolError):
    """Code that failed. `line` is 1-based within the code, None where it is not known; `stdout` is what it printed."""

    def __init__(
        self,
        message: str,
        fix: str | None = None,
        *,
        line: int | None = None,
        stdout: str = "",
        code: str = "code_error",
        about: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, fix, code=code, about=about)
        self.line = line
        self.stdout = stdout


class SandboxRetry(SandboxError, ToolRetry):
    """Code that was stopped by something that may not happen again."""


class BadReport(Exception):
    """The guest's report is not what an honest guest sends."""


def read_json(text: str) -> Any:
    """JSON from the sandbox: finite numbers, texts that are Unicode, at most DEEPEST levels. BadReport otherwise."""
    try:
        value = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
        if "\\u" in text or not text.isascii():
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise BadReport("It holds text that is not valid Unicode (half of a surrogate pair).") from None
    except RecursionError:
        raise BadReport("It is nested too deeply.") from None
    except ValueError as error:
        long = "digits" in str(error)
        raise BadReport("It holds too long a number." if long else f"It is not JSON: {error}.") from None
    if text.count("[") + text.count("{") > DEEPEST and _is_deep(value):
        raise BadReport("It is nested too deeply.")
    return value


def _is_deep(value: Any) -> bool:
    """Whether it has more than DEEPEST levels: what reads it later may go down by recursion."""
    level = [value]
    for _ in range(DEEPEST + 1):
        parts = (each.values() if isinstance(each, dict) else each for each in level)
        level = [part for inner in parts for part in inner if isinstance(part, dict | list)]
        if not level:
            return False
    return True


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is too large for a number")
    return value


def of_report(text: str, stdout: str) -> SandboxResult:
    """The result in a report. SandboxError where the code failed, or where the result cannot be taken."""
    try:
        report = read_json(text)
        if not isinstance(report, dict) or not isinstance(report.get("ok"), bool):
            raise BadReport("It is not a report.")
        if not report["ok"]:
            raise _failure(report, stdout)
        names = report["names"]
        if not isinstance(names, dict) or not isinstance(report["has_result"], bool):
            raise BadReport("It is not a report.")
        return SandboxResult(report["result"], report["has_result"], stdout, names)
    except (BadReport, KeyError) as error:
        raise SandboxError(
            f"The result of the code cannot be taken. {error}",
            "Set result to plain values: text, numbers, true or false, None, lists, dicts.",
            stdout=stdout,
        ) from None


def _failure(report: Mapping[str, Any], stdout: str) -> SandboxError:
    kind = str(report.get("type"))[:100]
    message = str(report.get("message"))[:2_000]
    line = report.get("line")
    line = line if isinstance(line, int) and not isinstance(line, bool) and line > 0 else None
    if kind == "MemoryError":
        return out_of_memory(stdout, line)
    if kind == "NotJson":
        return SandboxError(f"The code's {message}.", _PLAIN, stdout=stdout)
    source = str(report.get("source") or "")[:200]
    where = f" in line {line}" if line else ""
    quoted = f" (`{source}`)" if source else ""
    type_ = SandboxRetry if report.get("retry") is True else SandboxError
    fix = "Set result = … instead of returning." if "'return' outside" in message else _FIXES.get(kind)
    return type_(
        f"The code failed{where}{quoted}: {message}{'' if message.endswith(('.', '!', '?')) else '.'}",
        fix or "Correct the code.",
        code="tool_failed" if kind == "ToolError" else "code_error",
        about={"exception": kind, **({} if line is None else {"line": line})},
        line=line,
        stdout=stdout,
    )


_PLAIN = "Set result to plain values: text, numbers, lists, dicts, None (a date as text, a set as a list)."
_NO_FILES = "The sandbox has no files and no network: give the text as an input, or use a tool of the node."
_FIXES: Mapping[str, str] = {
    "SyntaxError": "Correct the code; it is Python 3.14.",
    "IndentationError": "Indent the lines of one block alike.",
    "TabError": "Indent with spaces only.",
    "ImportError": "Use the standard library, or a tool of the node.",
    "ModuleNotFoundError": "Use the standard library, or a tool of the node.",
    "FileNotFoundError": _NO_FILES,
    "PermissionError": _NO_FILES,
    "OSError": _NO_FILES,
    "EOFError": "Nobody is there to type: give the value in inputs.",
    "RecursionError": "Write it as a loop, or end the recursion sooner.",
    "ToolError": "Look at the arguments of the tool, or catch tools.ToolError in the code.",
    "SystemExit": "Leave sys.exit out; code that is done simply ends.",
}


def out_of_memory(stdout: str, line: int | None = None) -> SandboxError:
    """More memory than the run may have."""
    where = f" in line {line}" if line else ""
    return SandboxError(
        f"The code needs more memory{where} than it may have.",
        "Work on less at a time, or raise sandbox.max_memory_mb.",
        code="code_memory",
        line=line,
        stdout=stdout,
    )


def out_of_time(seconds: float, stdout: str) -> SandboxError:
    """Longer than the run may take."""
    return SandboxError(
        f"The code did not end within {seconds:g} s.",
        "Look for a loop that does not end, or raise sandbox.timeout.",
        code="code_timeout",
        stdout=stdout,
    )


def of_ending(ended: str, detail: str, seconds: float, stdout: str) -> SandboxError:
    """The error of a run that ended without a report, as the worker saw it."""
    if ended == "timeout":
        return out_of_time(seconds, stdout)
    if ended == "memory":
        return out_of_memory(stdout)
    if ended == "broken":
        return SandboxError(
            f"The code was stopped. {detail}",
            "Give less at a time." if "larger" in detail else "Use inputs, result, print and the tools only.",
            stdout=stdout,
        )
    if ended == "trapped" and "exit" not in detail:
        return SandboxError(
            "The code brought its Python down (recursion without end, or memory used up).",
            "Write recursion as a loop, and work on less at a time.",
            stdout=stdout,
        )
    return SandboxError(
        "The code ended its Python before it was done.", "Leave os._exit and the like out.", stdout=stdout
    )


def of_death(code: int | None, stdout: str) -> SandboxError:
    """The error of a worker that died by itself. On POSIX a negative code is the signal that ended it."""
    if code in (-9, -6):
        return SandboxRetry(
            "The process that ran the code was ended, most likely because memory ran out.",
            "Work on less at a time, or try again when the machine has more memory free.",
            stdout=stdout,
            code="sandbox_died",
        )
    how = f"signal {-code}" if code is not None and code < 0 else f"code {code}"
    return SandboxRetry(
        f"The process that ran the code ended by itself ({how}).",
        "Try again.",
        stdout=stdout,
        code="sandbox_died",
    )
