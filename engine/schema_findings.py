"""jsonschema's errors as problems: a rule, a sentence to act on, and a patch where the mend is certain."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from engine.document import Document, Path
from engine.problems import Patch, Problem
from engine.schema import KIND_KEYS, load_schema, node_kind
from engine.schema_names import BOOLEANS, MISPLACED, NEEDED, ONLY_KEYS, OPENINGS, SLIPS
from engine.types import TypeSyntaxError, show

_KINDS = {
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a set of keys",
}
_BOUNDS = {
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "more than",
    "maxLength": "at most as many characters as",
}
_IDENTIFIER = "^[A-Za-z_]"
_MARKS = ("&", "*", "!")
_WAYS = ("to", "routes", "loop", "parallel")


class Finder:
    """Makes the problems of one document, taking jsonschema's errors one by one."""

    def __init__(self, document: Document) -> None:
        from engine.check.suggest import Suggester

        self.document = document
        self.names = Suggester()
        self._problems: list[Problem] = []
        self._renamed: set[tuple[Path, str]] = set()  # keys that a problem offers to make by renaming another
        self._missing: dict[
            int, tuple[Path, str]
        ] = {}  # number of a problem to the key that it says is missing

    def found(self) -> list[Problem]:
        """The problems, in the order of the lines; what the mend of another problem mends too is left out."""
        kept = [p for n, p in enumerate(self._problems) if self._missing.get(n) not in self._renamed]
        unique = {(p.rule, p.path, p.message): p for p in kept}
        return sorted(unique.values(), key=lambda p: (p.line, p.column))

    def take(self, error: Any) -> None:
        """Note the problems behind one error; an optional key without a value is as good as left out."""
        path: Path = tuple(error.absolute_path)
        if "propertyNames" in error.absolute_schema_path:
            name = str(error.instance)
            handle = self._reserved_field if error.validator == "not" else self._bad_name
            handle((*path, name), name)
        elif error.instance is None and path:
            if path[-1] in NEEDED or isinstance(path[-1], int):
                self._add("missing-key", path, f"{self._label(path)} has no value.")
            elif error.schema.get("format") == "workflow-type":
                self._add(
                    "missing-key", path, f"{self._label(path)} has no type. Write `{path[-1]}: str`, say."
                )
        elif path == ("schema_version",):
            self._version(error.instance)
        else:
            _HANDLERS.get(error.validator, Finder._other)(self, error, path)

    def _add(self, rule: str, path: Path, message: str, patch: Patch | None = None) -> None:
        self._problems.append(self.document.problem(rule, path, message, patch=patch))

    def _label(self, path: Path) -> str:
        """How a sentence names a value: its key, or its place in a list."""
        names = [step for step in path if isinstance(step, str)]
        if path and isinstance(path[-1], int):
            return f"Entry {path[-1] + 1} of `{names[-1]}`" if names else "This entry"
        return f"`{names[-1]}`" if names else "The document"

    # --- keys ---

    def _unknown(self, error: Any, path: Path) -> None:
        properties = error.schema.get("properties", {})
        pattern = next(iter(error.schema.get("patternProperties", {})), "$.^")
        for key in error.instance:
            if key not in properties and not re.search(pattern, key):
                self._unknown_key(key, error, path)

    def _unknown_key(self, key: str, error: Any, path: Path) -> None:
        data, where = error.instance, error.schema.get("title", "this part")
        scope = "a node" if where.endswith(" node") else where
        if scope == "a node" and node_kind(data) is None:
            where = scope
            if _other_kind(key, scope):
                return None  # whether it fits is not known before the node has a kind
        elif scope == "a node" and key in KIND_KEYS:
            own = next(k for k in KIND_KEYS if k in data)
            message = f"A node has one kind, but this one has both `{own}` and `{key}`. Make two nodes of it."
            return self._add("node-kind", (*path, key), message)
        known = _keys_of(error.schema, where)
        misplaced = MISPLACED.get((scope, _plain(key))) or _of_config(key, scope)
        certain = SLIPS.get((scope, _plain(key))) or (None if misplaced else self.names.certain(key, known))
        if certain in known and certain not in data and (path, certain) not in self._renamed:
            self._renamed.add((path, certain))
            if scope == "a node" and certain in KIND_KEYS:
                self._renamed.add((path, "prompt"))  # a node that gets a kind lacks no prompt
            message = f"`{key}` is not a key of {where}. Did you mean `{certain}`?"
            return self._add("unknown-key", (*path, key), message, self._renaming((*path, key), certain))
        advice = misplaced or _other_kind(key, scope)
        if advice is None:
            near = self.names.near(key, known)
            advice = f"Did you mean `{near}`?" if near else f"Its keys are {', '.join(known)}."
        return self._add("unknown-key", (*path, key), f"`{key}` is not a key of {where}. {advice}")

    def _renaming(self, path: Path, name: str) -> Patch | None:
        start, end = (self.document.offset(place) for place in self.document.key_span(path))
        return None if self.document.text[start:end][:1] in _MARKS else self.document.replace_key(path, name)

    def _instead(self, path: Path, text: str) -> Patch | None:
        """The patch that puts a text in a value's place; none where that would take an anchor away."""
        return None if self.document.source(path)[:1] in _MARKS else self.document.replace_value(path, text)

    def _required(self, error: Any, path: Path) -> None:
        needed = error.validator_value
        if isinstance(needed, dict):  # dependentRequired; an edge that leads nowhere is told of by _ways
            if not any(key in error.instance for key in _WAYS):
                return
            needed = [key for given, keys in needed.items() if given in error.instance for key in keys]
        for key in needed:
            if key not in error.instance:
                self._missing_key(key, error, path)

    def _missing_key(self, key: str, error: Any, path: Path) -> None:
        where = error.schema.get("title") or ("a route" if "routes" in path else "this part")
        if where == "a prompt node":
            message = "This node has no kind. Give it a `prompt` for a model, or a `tool`."
            return self._lacks("node-kind", path, key, message)
        patch = None
        if key == "schema_version" and self.document.source(())[:1] != "{":
            start = self.document.span(())[0]
            patch = Patch(start, start, 'schema_version: "1.0"\n')
        return self._lacks("missing-key", path, key, f"{_capital(where)} needs the key `{key}`.", patch)

    def _lacks(self, rule: str, path: Path, key: str, message: str, patch: Patch | None = None) -> None:
        self._missing[len(self._problems)] = (path, key)
        self._add(rule, path, message, patch)

    def _ways(self, error: Any, path: Path) -> None:
        """An edge with none of `to`, `routes` and `loop`, or with several."""
        if not isinstance(error.instance, dict):
            return
        given = [key for key in _WAYS if key in error.instance]
        if len(given) > 1:
            both = " and ".join(f"`{key}`" for key in given)
            message = f"An edge has one of to, routes and loop; this one has {both}. Make two edges of it."
            self._add("edge-kind", (*path, given[1]), message)
        elif not any(SLIPS.get(("an edge", _plain(key))) in _WAYS for key in error.instance):
            message = "This edge leads nowhere. Give it `to`, `routes` or `loop`."
            self._lacks("edge-kind", path, "to", message)

    def _bad_name(self, path: Path, name: str) -> None:
        message = f"'{name}' can't be a name: use letters a to z, digits and _, not beginning with a digit."
        self._add("bad-value", path, message)

    def _reserved_field(self, path: Path, name: str) -> None:
        message = (
            f"A field can't be called {name}: names that begin so are kept by the engine. Choose another."
        )
        self._add("bad-value", path, message)

    # --- values ---

    def _type(self, error: Any, path: Path) -> None:
        wanted = [error.validator_value] if isinstance(error.validator_value, str) else error.validator_value
        words = " or ".join(_KINDS[kind] for kind in wanted)
        message = f"{self._label(path)} must be {words}, not {_kind_of(error.instance)}."
        text = self._retyped(error.instance, wanted, path, error.schema)
        if text is not None:
            patch = self._instead(path, text)
            self._add("wrong-type", path, f"{message} Write {text}.", patch)
        else:
            advice = OPENINGS.get(path[-1]) if path else None
            self._add("wrong-type", path, f"{message} {advice}" if advice else message)

    def _retyped(
        self, value: Any, wanted: Sequence[str], path: Path, schema: Mapping[str, Any]
    ) -> str | None:
        """The value's text as one of the wanted kinds, where only one thing can have been meant."""
        source = self.document.source(path)
        if isinstance(value, dict | list) or not source or "\n" in source:
            return None
        if "string" in wanted and re.search(schema.get("pattern", ""), source):
            return f'"{source}"'
        if "boolean" in wanted and isinstance(value, str) and value.lower() in BOOLEANS:
            return BOOLEANS[value.lower()]
        number = isinstance(value, str) and re.fullmatch(r"(0|[1-9]\d*)(\.\d+)?", value)
        if number and ("number" in wanted or ("integer" in wanted and "." not in value)):
            return str(value)
        if wanted == ["array"] and isinstance(value, str):
            return f"[{source}]"
        key = ONLY_KEYS.get(str(path[-1])) if path and wanted == ["object"] else None
        return f"{{{key}: {source}}}" if key else None

    def _enum(self, error: Any, path: Path) -> None:
        allowed = [str(v) for v in error.validator_value]
        words = ", ".join(dict.fromkeys(v.lower() if v.isupper() else v for v in allowed))
        message = f"{self._label(path)} must be one of {words}; this is {show(error.instance)}."
        near = self.names.certain(error.instance, allowed) if isinstance(error.instance, str) else None
        patch = self._instead(path, near) if near else None
        self._add("bad-value", path, f"{message} Did you mean {near}?" if near else message, patch)

    def _pattern(self, error: Any, path: Path) -> None:
        if error.validator_value.startswith(_IDENTIFIER):
            self._bad_name(path, error.instance)
        else:
            self._add("bad-value", path, f"{self._label(path)} is empty. Write something, or remove the key.")

    def _reserved(self, error: Any, path: Path) -> None:
        if isinstance(error.instance, dict):
            self._else_and_more(error.instance, path)
            return
        message = (
            f"A node can't be called {error.instance}; that name has a meaning of its own. Choose another."
        )
        self._add("bad-value", path, message)

    def _else_and_more(self, route: Mapping[str, Any], path: Path) -> None:
        other = next(key for key in ("to", "condition") if key in route)
        message = f"A route has `else`, or `condition` and `to`; this one has `else` and `{other}`. "
        self._add("edge-kind", (*path, other), f"{message}Make two routes of it.")

    def _format(self, error: Any, path: Path) -> None:
        suggestion = error.cause.suggestion if isinstance(error.cause, TypeSyntaxError) else None
        patch = self._instead(path, _as_yaml(suggestion)) if suggestion else None
        self._add("bad-type", path, str(error.cause), patch)

    def _bound(self, error: Any, path: Path) -> None:
        bound = f"{_BOUNDS[error.validator]} {error.validator_value}"
        self._add("bad-value", path, f"{self._label(path)} must be {bound}; this is {show(error.instance)}.")

    def _too_few(self, error: Any, path: Path) -> None:
        self._add("bad-value", path, f"{self._label(path)} is empty; it needs at least one entry.")

    def _other(self, error: Any, path: Path) -> None:
        message = f"{self._label(path)} is not as the format wants it: {error.message}."
        self._add("bad-value", path, message)

    def _version(self, value: Any) -> None:
        path = ("schema_version",)
        if not isinstance(value, bool) and value in (1, 1.0, "1", "v1", "v1.0", "1.0.0"):
            patch = self._instead(path, '"1.0"')
            return self._add("schema-version", path, 'schema_version must be "1.0", in quotes.', patch)
        message = f'schema_version {show(value)} is not known here. The one known version is "1.0".'
        return self._add("schema-version", path, message)


_HANDLERS: Mapping[str, Any] = {
    "additionalProperties": Finder._unknown,
    "required": Finder._required,
    "dependentRequired": Finder._required,
    "oneOf": Finder._ways,
    "type": Finder._type,
    "enum": Finder._enum,
    "pattern": Finder._pattern,
    "not": Finder._reserved,
    "format": Finder._format,
    "minItems": Finder._too_few,
    "minProperties": Finder._too_few,
    **dict.fromkeys(_BOUNDS, Finder._bound),
}


def _keys_of(schema: Mapping[str, Any], where: str) -> list[str]:
    """The keys to offer: those of the schema, for a node the common ones too, without those out of use."""
    properties = dict(schema.get("properties", {}))
    if where.endswith(" node"):
        properties |= load_schema()["$defs"]["node"]["properties"]
    if where == "a node":
        properties |= {key: {} for key in KIND_KEYS}
    return [
        key for key, below in properties.items() if not below.get("deprecated") and "x-alias" not in below
    ]


def _of_config(key: str, scope: str) -> str | None:
    """Advice for a key that stands beside `config` instead of below it."""
    if scope != "a workflow" or key not in load_schema()["$defs"]["config"]["properties"]:
        return None
    return f"It belongs under `config`, as in config: {{{key}: …}}."


def _other_kind(key: str, scope: str) -> str | None:
    """Advice for a key that another kind of node has."""
    if scope != "a node":
        return None
    kinds = [k for k in KIND_KEYS if key in load_schema()["$defs"][f"{k}_node"]["properties"]]
    return f"It belongs to a node with `{kinds[-1]}`; remove it here." if kinds else None


def _plain(key: str) -> str:
    return key.casefold().replace("_", "").replace("-", "").replace(" ", "")


def _kind_of(value: Any) -> str:
    if isinstance(value, float):
        return show(value)
    names = {bool: "true or false", str: "text", int: "a whole number", list: "a list", dict: "a set of keys"}
    return names.get(type(value), "empty")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:] if text.startswith(("a ", "an ")) else f"`{text}`"


def _as_yaml(text: str) -> str:
    """A type as YAML: in braces, its brackets would be read as a list."""
    return f'"{text}"' if "[" in text else text
