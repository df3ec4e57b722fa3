"""The guest: runs one piece of code and reports. Everything at this level runs at build time, into the snapshot.

The host hears four kinds of calls: `request` (what to run), `print`, `tool`, and `end` (the report). Nothing said
here is trusted there.
"""

from __future__ import annotations

import builtins
import gc
import io
import json
import random
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

import wit_world  # type: ignore[import-not-found]

from tools.sandbox.guest import modules, preload

FILE = "<code>"
LONGEST_MESSAGE = 2_000
FLUSH_CHARACTERS = 4_096
FLUSH_SECONDS = 0.05
MOST_PRINTED = 70_000  # the host cuts a little before that, and says so
LARGEST_NAMES = 200_000


class ToolError(Exception):
    """A tool that the code called has failed. `retry` says that it may work a moment later."""

    retry = False


class NotJson(Exception):
    """A result that JSON cannot hold; the message says which part."""


class Printed(io.TextIOBase):
    """What the code prints, handed to the host in pieces."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.length = 0
        self.total = 0
        self.sent = 0.0

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self.total > MOST_PRINTED:
            return len(text)
        self.pieces.append(text[: MOST_PRINTED + 1])
        self.length += len(text)
        self.total += len(text)
        if self.length > FLUSH_CHARACTERS or time.monotonic() - self.sent > FLUSH_SECONDS:
            self.flush()
        return len(text)

    def flush(self) -> None:
        if self.pieces:
            text = "".join(self.pieces).encode("utf-8", "replace").decode()
            self.pieces.clear()
            self.length = 0
            self.sent = time.monotonic()
            wit_world.host("print", text)


class WitWorld(wit_world.WitWorld):  # type: ignore[misc]
    """The world's one export."""

    def run(self) -> None:
        request = json.loads(wit_world.host("request", ""))
        printed = Printed()
        sys.stdout = sys.stderr = printed
        random.seed()
        report = run_code(request, printed)
        printed.flush()
        wit_world.host("end", report)


def run_code(request: Mapping[str, Any], printed: Printed) -> str:
    """Run and say in JSON what came of it."""
    reserve = bytearray(1 << 20)
    main = main_module(request, printed)
    scope = vars(main)
    try:
        try:
            exec(compile(request["code"], FILE, "exec"), scope)  # noqa: S102
        except SystemExit as error:
            if error.code not in (None, 0):
                raise
        return success(scope)
    except BaseException as error:  # noqa: BLE001
        del reserve
        try:
            return failure(error, request["code"])
        except MemoryError:
            error.__traceback__ = None
            scope.clear()
            gc.collect()
            return '{"ok": false, "type": "MemoryError", "message": "MemoryError", "line": null}'


class Tools:
    """The tools of the node: each is a function of its name."""

    ToolError = ToolError

    def __init__(self, names: Sequence[str], printed: Printed) -> None:
        vars(self).update({name: caller(name, printed) for name in names})

    def __getattr__(self, name: str) -> Any:
        names = ", ".join(vars(self)) or "none"
        raise AttributeError(f"this node has no tool {name}; it has: {names}", name=None)


def main_module(request: Mapping[str, Any], printed: Printed) -> ModuleType:
    """The module that the code is."""
    main = ModuleType("__main__")
    sys.modules["__main__"] = main
    allowed = request["allowed_modules"]
    own = dict(vars(builtins))
    own["__import__"] = importer(None if allowed is None else frozenset(allowed))
    scope = vars(main)
    scope["__builtins__"] = own
    scope["inputs"] = request["inputs"]
    scope["tools"] = Tools(request["tools"], printed)
    return main


def importer(allowed: frozenset[str] | None) -> Callable[..., Any]:
    """An `__import__` that says why a module is not there.

    Python's own C code imports what it needs by way of it too, with a list as `fromlist`; that is let through.
    """

    def __import__(
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        if level == 0 and not isinstance(fromlist, list):
            for full in (
                name,
                *(f"{name}.{part}" for part in fromlist or () if f"{name}.{part}" in modules.NETWORK),
            ):
                reason = modules.refusal(full, allowed)
                if reason:
                    raise ImportError(reason, name=full)
        return builtins.__import__(name, globals, locals, fromlist or (), level)

    return __import__


def caller(name: str, printed: Printed) -> Callable[..., Any]:
    """The function that code calls as `tools.NAME(**args)`."""

    def call(*extra: Any, **args: Any) -> Any:
        if extra:
            raise TypeError(f"tools.{name} takes its arguments by name: tools.{name}(argument=value)")
        try:
            payload = json.dumps({"name": name, "args": args}, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise TypeError(f"an argument of tools.{name} cannot be handed over: {error}") from None
        printed.flush()
        answer = json.loads(wit_world.host("tool", payload))
        if "error" in answer:
            failed = ToolError(answer["error"])
            failed.retry = answer["retry"]
            raise failed
        return answer["value"]

    call.__name__ = call.__qualname__ = name
    return call


def success(scope: dict[str, Any]) -> str:
    """The report of code that ended: its result, or else the variables that it set."""
    if "result" in scope:
        return f'{{"ok": true, "has_result": true, "names": {{}}, "result": {dumped(scope["result"])}}}'
    found: list[str] = []
    size = 0
    for name, value in scope.items():
        if (
            name.startswith("_")
            or name in ("inputs", "tools")
            or callable(value)
            or isinstance(value, ModuleType)
        ):
            continue
        try:
            text = json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            continue
        size += len(text)
        if size > LARGEST_NAMES:
            break
        found.append(f"{json.dumps(name)}: {text}")
    return f'{{"ok": true, "has_result": false, "result": null, "names": {{{", ".join(found)}}}}}'


def dumped(value: Any) -> str:
    """The value as JSON. NotJson names the part that does not fit."""
    try:
        return json.dumps(value, allow_nan=False)
    except RecursionError:
        raise NotJson("result is nested too deeply, or contains itself") from None
    except (TypeError, ValueError) as error:
        raise NotJson(misfit(value, "result", 0) or f"result cannot be handed over: {error}") from None


def misfit(value: Any, where: str, depth: int) -> str | None:
    """Which part of a value JSON cannot hold, in words; None when it can hold all."""
    if depth > 100:
        return "result is nested too deeply, or contains itself"
    if value is None or isinstance(value, str | bool):
        return None
    if isinstance(value, int):
        limit = sys.get_int_max_str_digits()
        return f"{where} is a whole number of over {limit} digits" if abs(value) >= 10**limit else None
    if isinstance(value, float):
        return None if value - value == 0 else f"{where} is {value}, which JSON has no number for"
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str | int | float | bool | None):
                return f"{where} has the key {key!r:.80}, a {type(key).__name__}; keys must be text"
        parts = ((f"{where}[{key!r:.80}]", item) for key, item in value.items())
    elif isinstance(value, list | tuple):
        parts = ((f"{where}[{index}]", item) for index, item in enumerate(value))
    else:
        return f"{where} is of type {type(value).__name__}, which JSON cannot hold"
    return next((found for path, item in parts if (found := misfit(item, path, depth + 1))), None)


def failure(error: BaseException, code: str) -> str:
    """The report of code that failed: type, the traceback's last line, and the line of the code."""
    line = line_of(error)
    lines = code.splitlines()
    return json.dumps(
        {
            "ok": False,
            "type": type(error).__name__,
            "message": last_line(error)[:LONGEST_MESSAGE],
            "line": line,
            "source": lines[line - 1].strip()[:200] if line and line <= len(lines) else "",
            "retry": bool(getattr(error, "retry", False)) if isinstance(error, ToolError) else False,
        }
    )


def last_line(error: BaseException) -> str:
    """The last line of the traceback, with Python's own hint at what may have been meant."""
    if isinstance(error, ImportError | NotJson | ToolError):
        return str(error)
    try:
        told = traceback.TracebackException(type(error), error, error.__traceback__, limit=0)
        return next((t.strip() for t in reversed(list(told.format_exception_only())) if t.strip()), "")
    except Exception:  # noqa: BLE001
        return type(error).__name__


def line_of(error: BaseException) -> int | None:
    """The last line of the code itself that took part."""
    if isinstance(error, SyntaxError) and error.filename == FILE:
        return error.lineno
    line = None
    step = error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == FILE:
            line = step.tb_lineno
        step = step.tb_next
    return line


preload.everything()
gc.collect()
gc.freeze()
