"""The Python of code nodes, read as far as the rules need it: which names it sets, which inputs it reads.

It is parsed, never run. The sandbox's Python may be newer than ours, so what only ours can't read is left alone.
"""

from __future__ import annotations

import ast
import builtins
import re
import sys
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from tools.sandbox.guest.modules import NETWORK

SANDBOX_PYTHON = (3, 14)
INPUTS, TOOLS, RESULT = "inputs", "tools", "result"
_BUILTINS = frozenset(dir(builtins)) | {"__name__", "__builtins__", "__file__", "__annotations__"}
_OPAQUE = frozenset({"exec", "eval", "globals", "locals", "vars", "__import__"})
_READING = frozenset({"get", "pop"})
_NEWER = re.compile(
    r"""(?<![A-Za-z0-9_])[rR]?[tT][rR]?["']|^\s*type\s+\w|^\s*(?:async\s+)?(?:def|class)\s+\w+\s*\[|^\s*except\b"""
)
"""Lines that newer versions of Python read otherwise than older ones."""
_QUIET = threading.Lock()

Span = tuple[int, int]


@dataclass(frozen=True)
class Fault:
    """Why code can't be read, and where: `line` and `column` count from 1."""

    message: str
    line: int
    column: int


@dataclass
class Code:
    """A piece of code. Names come with the span of characters at which they stand first.

    `opaque`: it does what can't be foreseen, such as `exec`. `whole`: it uses `inputs` as a whole, so that it may
    read any of them.
    """

    text: str
    fault: Fault | None = None
    known: bool = False
    bound: set[str] = field(default_factory=set)
    loaded: dict[str, Span] = field(default_factory=dict)
    read: list[tuple[str, Span]] = field(default_factory=list)
    stored: set[str] = field(default_factory=set)
    attributes: list[tuple[str, str, Span]] = field(default_factory=list)
    imported: list[tuple[str, Span]] = field(default_factory=list)
    returned: list[ast.stmt] = field(default_factory=list)
    results: list[ast.expr | None] = field(default_factory=list)
    opaque: bool = False
    whole: bool = False

    @property
    def unbound(self) -> Iterator[tuple[str, Span]]:
        """Names that are used, that nothing sets, and that Python does not have."""
        for name, span in self.loaded.items():
            if name not in self.bound and name not in _BUILTINS and name not in (INPUTS, TOOLS):
                yield name, span

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column of a character, both from 1."""
        before = self.text[:offset]
        return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1

    def span(self, node: ast.AST) -> Span:
        """The characters of a part of the tree."""
        start = self._offset(getattr(node, "lineno", 1), getattr(node, "col_offset", 0))
        end = self._offset(getattr(node, "end_lineno", 1), getattr(node, "end_col_offset", 0))
        return start, end

    @cached_property
    def _lines(self) -> list[tuple[int, str]]:
        """The lines, each with the offset of its first character."""
        found, start = [], 0
        for line in self.text.split("\n"):
            found.append((start, line))
            start += len(line) + 1
        return found

    def _offset(self, line: int, column: int) -> int:
        """The offset of a character that `ast` gives as a line and a column in UTF-8."""
        start, text = self._lines[line - 1] if line <= len(self._lines) else (len(self.text), "")
        return start + (column if text.isascii() else len(text.encode()[:column].decode(errors="ignore")))


def read_code(text: str) -> Code:
    """Read a piece of code. Never raises."""
    code = Code(text)
    try:
        with _QUIET, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "invalid escape sequence" and the like
            tree = ast.parse(text)
    except SyntaxError as error:
        code.fault = None if _may_be_newer(text, error) else _fault(text, error)
        return code
    except (ValueError, RecursionError, MemoryError):
        code.fault = Fault("it is nested too deeply, or holds characters that Python can't read", 1, 1)
        return code
    _Reader(code).read(tree)
    code.known = True
    return code


def _may_be_newer(text: str, error: SyntaxError) -> bool:
    """Whether the sandbox's Python may read what ours can't."""
    if sys.version_info >= SANDBOX_PYTHON:
        return False
    lines = text.split("\n")[: error.lineno or 1]
    return (bool(lines) and bool(_NEWER.search(lines[-1]))) or "f-string" in str(error.msg)


def _fault(text: str, error: SyntaxError) -> Fault:
    line = min(max(error.lineno or 1, 1), text.count("\n") + 1)
    message = str(error.msg).removeprefix("invalid syntax. ")
    return Fault(message[:1].lower() + message[1:], line, max(error.offset or 1, 1))


class _Reader:
    """Collects what a tree does, in one walk."""

    def __init__(self, code: Code) -> None:
        self.code = code
        self._plain: set[ast.AST] = set()  # the mentions of `inputs` and `tools` that are understood

    def read(self, tree: ast.Module) -> None:
        names: list[ast.Name] = []
        for node in ast.walk(tree):
            if isinstance(node, ast.Name):
                names.append(node)
            elif isinstance(node, ast.Subscript):
                self._subscript(node)
            elif isinstance(node, ast.Attribute | ast.Call | ast.Compare):
                self._mention(node)
            else:
                self._bind(node)
        for name in names:
            self._name(name)
        self.code.whole |= INPUTS in self.code.bound
        self.code.returned = list(_outside_functions(tree))
        self._results(tree)

    def _name(self, node: ast.Name) -> None:
        code = self.code
        if not isinstance(node.ctx, ast.Load):
            code.bound.add(node.id)
            return
        if node.id not in code.loaded:
            code.loaded[node.id] = code.span(node)
        code.opaque |= node.id in _OPAQUE
        if node not in self._plain:
            code.whole |= node.id == INPUTS
            code.opaque |= node.id == TOOLS

    def _subscript(self, node: ast.Subscript) -> None:
        """`inputs["name"]`, read or set."""
        name, span = _text(node.slice), self.code.span(node.slice)
        if not _is(node.value, INPUTS) or name is None:
            return
        self._plain.add(node.value)
        if isinstance(node.ctx, ast.Load):
            self.code.read.append((name, span))
        else:
            self.code.stored.add(name)

    def _mention(self, node: ast.Attribute | ast.Call | ast.Compare) -> None:
        if isinstance(node, ast.Attribute):
            if _is(node.value, TOOLS):
                self._plain.add(node.value)
            if isinstance(node.value, ast.Name):
                self.code.attributes.append((node.value.id, node.attr, self.code.span(node)))
        elif isinstance(node, ast.Call):
            what = node.func
            reads = isinstance(what, ast.Attribute) and what.attr in _READING and _is(what.value, INPUTS)
            if reads and node.args and (name := _text(node.args[0])) is not None:
                self._plain.add(what.value)  # type: ignore[attr-defined]
                self.code.read.append((name, self.code.span(node.args[0])))
        elif isinstance(node.ops[0], ast.In | ast.NotIn) and _text(node.left) is not None:
            self._plain |= {each for each in node.comparators if _is(each, INPUTS)}

    def _bind(self, node: ast.AST) -> None:
        """Names that are set otherwise than by an assignment."""
        bound = self.code.bound
        if isinstance(node, ast.Import | ast.ImportFrom):
            self._import(node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            bound.add(node.name)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            bound.add(node.rest)

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        code, span = self.code, self.code.span(node)
        for alias in node.names:
            code.opaque |= alias.name == "*"
            code.bound.add(alias.asname or alias.name.partition(".")[0])
            if isinstance(node, ast.Import):
                code.imported.append((alias.name, span))
        if isinstance(node, ast.ImportFrom) and not node.level and node.module:
            parts = [f"{node.module}.{alias.name}" for alias in node.names]
            code.imported += [(name, span) for name in (node.module, *(p for p in parts if p in NETWORK))]

    def _results(self, tree: ast.Module) -> None:
        """The values that `result` is set to; None where that is not plain to see."""
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign):
                sure = [target for target in node.targets if _is(target, RESULT)]
                others = [t for t in node.targets if t not in sure and _within(t, RESULT)]
                self.code.results += [node.value for _ in sure] + [None for _ in others]
            elif isinstance(node, ast.AnnAssign) and _is(node.target, RESULT):
                self.code.results.append(node.value)
            elif isinstance(node, ast.AugAssign | ast.NamedExpr | ast.For) and _within(node.target, RESULT):
                self.code.results.append(None)


def _within(node: ast.AST, name: str) -> bool:
    return any(_is(part, name) for part in ast.walk(node))


def _is(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _text(node: ast.AST) -> str | None:
    """The text that is written there, None for all else."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _outside_functions(tree: ast.Module) -> Iterator[ast.stmt]:
    """`return` where there is no function to return from."""
    todo: list[ast.AST] = list(tree.body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Return):
            yield node
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.expr):
            todo += list(ast.iter_child_nodes(node))
