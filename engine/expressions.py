"""Conditions of routes: a small, safe expression language on simpleeval, parsed once and evaluated per visit.

The text is parsed to Python's syntax tree, every node of which must be on a short list; references become
names that are looked up lazily: `state.a != null and state.a.b > 1` reads `b` only where there is an `a`.
Null is neither smaller nor greater than anything and contains nothing; what else is done with it is an error.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from simpleeval import InvalidExpression, SimpleEval

from engine.expression_operators import FUNCTIONS, OPERATORS, ValueProblem
from engine.expression_syntax import LITERALS, SyntaxFault, parse_prepared, prepare, suggest
from engine.templates import Ref, TemplateError

MAX_LENGTH = 2000
MAX_DEPTH = 50


class ExpressionError(Exception):
    """A condition that can't be read or evaluated.

    `hint` says how to write it, `patch_text` is the whole condition put right where the mend is certain, and
    `name` is a bare name that stands where a reference or a literal was meant, at `start`..`end` of the text.
    """

    def __init__(
        self,
        message: str,
        hint: str | None = None,
        patch_text: str | None = None,
        *,
        name: str | None = None,
        start: int = 0,
        end: int = 0,
    ) -> None:
        super().__init__(message)
        self.message, self.hint, self.patch_text = message, hint, patch_text
        self.name, self.start, self.end = name, start, end

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


@dataclass(frozen=True, slots=True)
class Comparison:
    """One `reference operator literals` in a condition, to find a route that can never match.

    `op` is one of == != < <= > >= in "not in", seen from the reference; `literals` is one value, which may be
    a list; where a list stands after `in`, it is the elements of that.
    """

    ref: Ref
    op: str
    literals: tuple[Any, ...]


Lookup = Callable[[Ref], Any]


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled condition. `refs` stand in reading order, with offsets into `text`."""

    text: str
    refs: tuple[Ref, ...]
    comparisons: tuple[Comparison, ...]
    tree: ast.expr = field(repr=False, compare=False)

    def evaluate(self, lookup: Lookup) -> bool:
        """Whether the condition holds. `lookup` gives the value of a reference; only those needed are read.

        ExpressionError says in a plain sentence what could not be computed.
        """
        try:
            return bool(_Evaluator(self.refs, lookup).eval(self.text, self.tree))
        except ExpressionError:
            raise
        except (ValueProblem, TemplateError) as error:
            raise ExpressionError(f"The condition `{self.text}` can't be evaluated: {error}") from None
        except (
            InvalidExpression,
            ArithmeticError,
            ValueError,
            TypeError,
            LookupError,
            RecursionError,
        ) as error:
            raise ExpressionError(f"The condition `{self.text}` can't be evaluated: {error}.") from None


@lru_cache(maxsize=2048)
def compile_expression(text: str) -> Expression:
    """Compile a condition; ExpressionError with a hint, and a patch where the mend is certain.

    Remembered, for the checker and the builder ask for the same.
    """
    try:
        return _compile(text)
    except SyntaxFault as fault:
        patch = suggest(text, _compiles) if fault.mendable and len(text) <= MAX_LENGTH else None
        hint = f"Write `{patch}`." if patch else fault.hint
        raise ExpressionError(
            fault.message, hint, patch, name=fault.name, start=fault.start, end=fault.end
        ) from None


def _compiles(text: str) -> bool:
    try:
        _compile(text)
    except SyntaxFault:
        return False
    return True


def _compile(text: str) -> Expression:
    if len(text) > MAX_LENGTH:
        raise SyntaxFault(f"A condition is at most {MAX_LENGTH} characters long; this one has {len(text)}.")
    if not text.strip():
        raise SyntaxFault("The condition is empty.", "Write something like state.score > 3, or default.")
    source = prepare(text)
    compiler = _Compiler(text, source)
    tree = compiler.visit(_parse(text, source), 0)
    return Expression(text, tuple(compiler.refs), tuple(compiler.comparisons), tree)


def _parse(text: str, source: str) -> ast.expr:
    try:
        return parse_prepared(source.strip())
    except SyntaxError as error:
        stripped = text.strip()
        found = stripped[max((error.offset or 1) - 1, 0) :].strip()[:20]
        where = f" near `{found}`" if found and found != stripped else ""
        shown = stripped if len(stripped) <= 80 else f"{stripped[:79]}…"
        raise SyntaxFault(f"`{shown}` is not a condition{where}.", _HELP, mendable=True) from None
    except (ValueError, RecursionError, MemoryError):
        raise SyntaxFault(
            "The condition can't be read: it is nested too deep or has a forbidden character."
        ) from None


_HELP = (
    "A condition compares state fields, as in state.score >= 4 and state.kind == 'bug'; "
    "functions are len, lower, upper, contains, startswith, endswith, abs, min, max and round."
)


class _Compiler:
    """Checks every node of the tree, collects references and comparisons, puts names in their place."""

    def __init__(self, text: str, source: str) -> None:
        self.text = text
        self.source = source
        self.indent = len(source) - len(source.lstrip())
        self.encoded = source.strip().encode()
        self.refs: list[Ref] = []
        self.comparisons: list[Comparison] = []

    def visit(self, node: ast.expr, depth: int) -> ast.expr:
        """The node with references replaced; SyntaxFault for whatever is not part of the language."""
        if depth > MAX_DEPTH:
            raise SyntaxFault(f"The condition is nested more than {MAX_DEPTH} levels deep.")
        if (ref := self._reference(node)) is not None:
            self.refs.append(ref)
            return ast.Name(id=f"${len(self.refs) - 1}", ctx=ast.Load())
        handler = _HANDLERS.get(type(node))
        if handler is None:
            raise SyntaxFault(f"`{self._text_of(node)}` can't stand in a condition.", _HELP, mendable=True)
        return handler(self, node, depth + 1)

    def several(self, nodes: list[ast.expr], depth: int) -> list[ast.expr]:
        return [self.visit(node, depth) for node in nodes]

    def constant(self, node: ast.Constant, depth: int) -> ast.expr:
        if node.value is not None and not isinstance(node.value, str | bool | int | float):
            raise SyntaxFault(f"`{self._text_of(node)}` can't stand in a condition.", _HELP)
        return node

    def name(self, node: ast.Name, depth: int) -> ast.expr:
        if node.id in LITERALS:
            return ast.Constant(value=LITERALS[node.id])
        start, end = self._offsets(node)
        raise SyntaxFault(
            f"`{node.id}` is not known in a condition.",
            f"Write state.{node.id} for a state field, or '{node.id}' in quotes for text.",
            mendable=True,
            name=node.id,
            start=start,
            end=end,
        )

    def unary(self, node: ast.UnaryOp, depth: int) -> ast.expr:
        self._operator(node.op, node)
        return ast.UnaryOp(op=node.op, operand=self.visit(node.operand, depth))

    def binary(self, node: ast.BinOp, depth: int) -> ast.expr:
        self._operator(node.op, node)
        return ast.BinOp(left=self.visit(node.left, depth), op=node.op, right=self.visit(node.right, depth))

    def boolean(self, node: ast.BoolOp, depth: int) -> ast.expr:
        return ast.BoolOp(op=node.op, values=self.several(node.values, depth))

    def compare(self, node: ast.Compare, depth: int) -> ast.expr:
        for op in node.ops:
            self._operator(op, node)
        first = len(self.refs)
        left, others = self.visit(node.left, depth), self.several(node.comparators, depth)
        pairs = zip([left, *others[:-1]], node.ops, others, strict=True)
        for before, op, after in pairs if len(self.refs) > first else ():
            self._note(before, _SYMBOLS[type(op)], after)
        return ast.Compare(left=left, ops=node.ops, comparators=others)

    def call(self, node: ast.Call, depth: int) -> ast.expr:
        name = node.func.id if isinstance(node.func, ast.Name) else None
        if name is None or name not in FUNCTIONS:
            raise SyntaxFault(f"`{self._text_of(node.func)}` is not a function.", _HELP, mendable=True)
        low, high = FUNCTIONS[name].arity
        if node.keywords or not low <= len(node.args) <= high:
            count = str(low) if low == high else f"{low} to {high}"
            raise SyntaxFault(f"{name} takes {count} value{'s' if high > 1 else ''} in its parentheses.")
        return ast.Call(func=node.func, args=self.several(node.args, depth), keywords=[])

    def subscript(self, node: ast.Subscript, depth: int) -> ast.expr:
        if isinstance(node.slice, ast.Slice | ast.Tuple):
            raise SyntaxFault(f"`{self._text_of(node)}`: an index is one number or one text.", _HELP)
        return ast.Subscript(
            value=self.visit(node.value, depth), slice=self.visit(node.slice, depth), ctx=ast.Load()
        )

    def sequence(self, node: ast.List | ast.Tuple, depth: int) -> ast.expr:
        return ast.List(elts=self.several(node.elts, depth), ctx=ast.Load())

    def _operator(self, op: ast.AST, node: ast.expr) -> None:
        if type(op) not in OPERATORS:
            raise SyntaxFault(
                f"`{self._text_of(node)}` has an operator that is not known.", _HELP, mendable=True
            )

    def _note(self, left: ast.expr, op: str, right: ast.expr) -> None:
        ref, (known, value) = self._ref_at(left), literal(right)
        if ref is None and op in _FLIPPED:
            ref, (known, value), op = self._ref_at(right), literal(left), _FLIPPED[op]
        if ref is not None and known:
            several = "in" in op and isinstance(value, list)
            self.comparisons.append(Comparison(ref, op, tuple(value) if several else (value,)))

    def _ref_at(self, node: ast.expr) -> Ref | None:
        return self.refs[int(node.id[1:])] if isinstance(node, ast.Name) and node.id[0] == "$" else None

    def _reference(self, node: ast.expr) -> Ref | None:
        """The reference that a chain such as state.a.b[0] is, else None; `{name}` in braces is one too."""
        steps: list[str | int] = []
        inner = node
        while not isinstance(inner, ast.Name):
            if isinstance(inner, ast.Attribute):
                steps.append(inner.attr)
                inner = inner.value
            elif isinstance(inner, ast.Subscript) and (index := _index(inner.slice)) is not None:
                steps.append(index)
                inner = inner.value
            else:
                return None
        if inner.id == "secret":
            raise SyntaxFault("A secret can't be used in a condition.")
        start = self._offsets(inner)[0]
        braced = self.text[start - 1 : start] == "{" and self.text[start - 1] != self.source[start - 1]
        end = self._offsets(node)[1]
        if (inner.id != "state" and not braced) or "}" in self.text[start:end]:
            return None
        return Ref(inner.id, tuple(reversed(steps)), self.text[start:end], start, end)

    def _offsets(self, node: ast.expr) -> tuple[int, int]:
        """Where the node stands in the text, in characters; the tree counts bytes of the stripped text."""
        start = len(self.encoded[: node.col_offset].decode(errors="ignore"))
        end = len(self.encoded[: node.end_col_offset].decode(errors="ignore"))
        return self.indent + start, self.indent + end

    def _text_of(self, node: ast.expr) -> str:
        start, end = self._offsets(node)
        return self.text[start:end][:60]


def _index(node: ast.expr) -> str | int | None:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _index(node.operand)
        return -inner if isinstance(inner, int) else None
    if (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str | int)
        and not isinstance(node.value, bool)
    ):
        return node.value
    return None


def literal(node: ast.expr) -> tuple[bool, Any]:
    """Whether a part of a compiled condition is written out, and its value: a text, a number, a list of such."""
    if isinstance(node, ast.Constant):
        return True, node.value
    if isinstance(node, ast.List):
        items = [literal(item) for item in node.elts]
        return all(known for known, _ in items), [value for _, value in items]
    if isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.Not):
        known, value = literal(node.operand)
        number = known and isinstance(value, int | float) and not isinstance(value, bool)
        return (True, OPERATORS[type(node.op)](value)) if number else (False, None)
    return False, None


_SYMBOLS: Mapping[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
    ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip
_FLIPPED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_HANDLERS: Mapping[type[ast.expr], Callable[..., ast.expr]] = {
    ast.Constant: _Compiler.constant, ast.Name: _Compiler.name, ast.UnaryOp: _Compiler.unary,
    ast.BinOp: _Compiler.binary, ast.BoolOp: _Compiler.boolean, ast.Compare: _Compiler.compare,
    ast.Call: _Compiler.call, ast.Subscript: _Compiler.subscript, ast.List: _Compiler.sequence,
    ast.Tuple: _Compiler.sequence,
}  # fmt: skip


class _Evaluator(SimpleEval):  # type: ignore[misc]
    """simpleeval with our operators and functions, without attributes, f-strings and conditionals."""

    def __init__(self, refs: tuple[Ref, ...], lookup: Lookup) -> None:
        super().__init__(
            operators=OPERATORS,
            functions={name: function.call for name, function in FUNCTIONS.items()},
            names=lambda node: lookup(refs[int(node.id[1:])]),
        )
        known: tuple[type[ast.expr], ...] = (
            *(ast.Constant, ast.Name, ast.UnaryOp, ast.BinOp),
            *(ast.BoolOp, ast.Compare, ast.Call),
        )
        inherited: Mapping[type[ast.expr], Callable[[Any], Any]] = vars(self)["nodes"]
        handlers = {kind: inherited[kind] for kind in known}
        handlers[ast.Subscript] = self._subscript
        handlers[ast.List] = lambda node: [self._eval(item) for item in node.elts]
        self.nodes = handlers

    def _subscript(self, node: ast.Subscript) -> Any:
        container, key = self._eval(node.value), self._eval(node.slice)
        try:
            return container[key]
        except (LookupError, TypeError):
            raise ValueProblem(f"there is no [{key!r}] in that value.") from None
