"""Mutation operators: each plants one kind of mistake wherever it can into a valid workflow.

They work on the text with regular expressions and know nothing of the checker, so that the place they
expect is found in another way than the one that is tested.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import yaml


@dataclass(frozen=True)
class Mutation:
    """A text with one mistake, the rule that must find it, and where. `also` may be found besides."""

    rule: str
    text: str
    place: tuple[int, int]
    also: frozenset[str] = frozenset()


Operator = Callable[[str], Iterator[Mutation]]
OPERATORS: dict[str, Operator] = {}


def operator(function: Operator) -> Operator:
    OPERATORS[function.__name__] = function
    return function


def place_of(text: str, offset: int) -> tuple[int, int]:
    start = text.rfind("\n", 0, offset) + 1
    return text.count("\n", 0, offset) + 1, offset - start + 1


def key_of(text: str, offset: int) -> tuple[int, int]:
    """Where the key stands whose value is at `offset`: above a block, or else on the same line."""
    start = text.rfind("\n", 0, offset) + 1
    for opener in re.finditer(r"^( *)(?:- )?(\w+): *[|>][+-]?\n", text[:start], re.MULTILINE):
        between = text[opener.end() : text.find("\n", offset)].split("\n")
        if all(not line or line.startswith(opener[1] + " ") for line in between):
            return place_of(text, opener.start(2))
    keys = list(re.finditer(r"(?:^\s*(?:- )?|[{,]\s*)(\w+):\s", text[start:offset]))
    return place_of(text, start + keys[-1].start(1))


def _slip(name: str) -> str:
    """The name with one letter in the middle left out."""
    middle = len(name) // 2
    return name[:middle] + name[middle + 1 :]


def _replace(text: str, match: re.Match[str], new: str, group: int = 1) -> str:
    return text[: match.start(group)] + new + text[match.end(group) :]


def _ids(text: str) -> list[str]:
    return [node["id"] for node in yaml.safe_load(text)["nodes"]]


def _fields(text: str) -> dict[str, object]:
    return dict(yaml.safe_load(text)["state"]["fields"])


@operator
def misspell_target(text: str) -> Iterator[Mutation]:
    for match in re.finditer(r"\bto: (\w{5,})", text):
        new = _replace(text, match, _slip(match[1]))
        yield Mutation("undefined-node", new, place_of(text, match.start()))


@operator
def misspell_source(text: str) -> Iterator[Mutation]:
    for match in re.finditer(r"\bfrom: (\w{4,})", text):
        if match[1] != "START":
            new = _replace(text, match, _slip(match[1]))
            yield Mutation("undefined-node", new, place_of(text, match.start()))


@operator
def lead_to_nowhere(text: str) -> Iterator[Mutation]:
    for match in re.finditer(r"\bto: (\w+)", text):
        yield Mutation("undefined-node", _replace(text, match, "zzqqzz"), place_of(text, match.start()))


@operator
def misspell_field_in_template(text: str) -> Iterator[Mutation]:
    body = text.index("\nnodes:")
    for match in re.finditer(r"\{state\.(\w{4,})", text):
        if match.start() > body:
            new = _replace(text, match, _slip(match[1]))
            yield Mutation("unknown-field", new, key_of(text, match.start()))


@operator
def misspell_output(text: str) -> Iterator[Mutation]:
    for match in re.finditer(r"^    outputs: \[(\w{4,})", text, re.MULTILINE):
        new = _replace(text, match, _slip(match[1]))
        also = frozenset({"output-not-given"})
        yield Mutation("unknown-field", new, place_of(text, match.start(1)), also)


@operator
def misspell_field_in_condition(text: str) -> Iterator[Mutation]:
    for match in re.finditer(r"condition: \"[^\"]*?state\.(\w{4,})", text):
        new = _replace(text, match, _slip(match[1]))
        yield Mutation("unknown-field", new, place_of(text, match.start()))


@operator
def misspell_tool(text: str) -> Iterator[Mutation]:
    for match in re.finditer(r"\btool: (\w+)", text):
        yield Mutation("unknown-tool", _replace(text, match, _slip(match[1])), place_of(text, match.start()))


@operator
def misspell_key(text: str) -> Iterator[Mutation]:
    for match in re.finditer(
        r"^ +(?:- )?(prompt|outputs|description|tool|args|routes|system):", text, re.MULTILINE
    ):
        new = _replace(text, match, _slip(match[1]))
        yield Mutation(
            "unknown-key", new, place_of(text, match.start(1)), frozenset({"node-kind", "edge-kind"})
        )


@operator
def misspell_type(text: str) -> Iterator[Mutation]:
    for match in re.finditer(r"\btype: (str|int|bool|float)\b", text):
        long = {"str": "string", "int": "integer", "bool": "boolean", "float": "number"}[match[1]]
        yield Mutation("bad-type", _replace(text, match, long), place_of(text, match.start()))


@operator
def forget_quotes(text: str) -> Iterator[Mutation]:
    for match in re.finditer(r": (\"(\{[\w.]+\})\")", text):
        new = _replace(text, match, match[2])
        yield Mutation("unquoted-placeholder", new, place_of(text, match.start(1)))


@operator
def repeat_key(text: str) -> Iterator[Mutation]:
    for match in re.finditer(r"^    (description): .*\n", text, re.MULTILINE):
        new = text[: match.end()] + match[0] + text[match.end() :]
        yield Mutation("duplicate-key", new, place_of(new, match.end() + 4))


@operator
def repeat_id(text: str) -> Iterator[Mutation]:
    matches = list(re.finditer(r"^  - id: (\w+)", text, re.MULTILINE))
    for match in matches[1:]:
        new = _replace(text, match, matches[0][1])
        yield Mutation("duplicate-node", new, place_of(text, match.start() + 4))


@operator
def value_outside_enum(text: str) -> Iterator[Mutation]:
    for match in re.finditer(r"condition: \"state\.(\w+) == '(\w{4,})'\"", text):
        if "enum" in dict(_fields(text)[match[1]]):  # type: ignore[call-overload]
            new = _replace(text, match, _slip(match[2]), 2)
            yield Mutation("condition-value", new, place_of(text, match.start()))


@operator
def single_equals_sign(text: str) -> Iterator[Mutation]:
    for match in re.finditer(r"condition: \"[^\"]*?( == )", text):
        yield Mutation("bad-condition", _replace(text, match, " = "), place_of(text, match.start()))


@operator
def number_as_text(text: str) -> Iterator[Mutation]:
    for match in re.finditer(r"condition: \"state\.\w+ (?:[<>]=?|==) (\d+)\"", text):
        new = _replace(text, match, f"'{match[1]}'")
        yield Mutation("condition-type", new, place_of(text, match.start()))


@operator
def write_a_key_down(text: str) -> Iterator[Mutation]:
    for match in re.finditer(r"^    (prompt): \|\n", text, re.MULTILINE):
        new = f"{text[: match.end()]}      Use sk-{'Ab3' * 12} for this.\n{text[match.end() :]}"
        yield Mutation("secret-in-document", new, place_of(text, match.start(1)))


@operator
def secret_in_prompt(text: str) -> Iterator[Mutation]:
    for match in re.finditer(r"^    (prompt): \|\n", text, re.MULTILINE):
        new = f"{text[: match.end()]}      Use {{secret.KEY}} for this.\n{text[match.end() :]}"
        yield Mutation("secret-misplaced", new, place_of(text, match.start(1)))


@operator
def repeat_route(text: str) -> Iterator[Mutation]:
    for match in re.finditer(r"^      - \{(condition): \"[^\"]*\", to: .*\}\n", text, re.MULTILINE):
        new = text[: match.end()] + match[0] + text[match.end() :]
        yield Mutation("route-never-matches", new, place_of(new, new.index("condition", match.end())))


@operator
def remove_only_way(text: str) -> Iterator[Mutation]:
    """Take away an edge that is the only one to its target, where another edge still leaves its source."""
    for match in re.finditer(r"^  - \{from: (\w+), to: (\w+)\}\n", text, re.MULTILINE):
        ways_in = len(re.findall(rf"to: \[?(?:\w+, )*{match[2]}\b", text))
        if match[1] != "START" and match[2] != "END" and ways_in == 1:
            new = text[: match.start()] + text[match.end() :]
            at = re.search(rf"^  - (id): {match[2]}$", new, re.MULTILINE)
            assert at is not None
            yield Mutation("unreachable-node", new, place_of(new, at.start(1)), frozenset({"read-too-early"}))


@operator
def circle(text: str) -> Iterator[Mutation]:
    """Lead a node that goes to END back to itself."""
    for match in re.finditer(r"^  - \{from: (\w+), to: (END)\}\n", text, re.MULTILINE):
        new = _replace(text, match, match[1], 2)
        at = re.search(rf"^  - (id): {match[1]}$", new, re.MULTILINE)
        assert at is not None
        other_end = new.count("END") > 0
        place = place_of(new, at.start(1)) if other_end else place_of(new, new.index("\nedges:") + 1)
        yield Mutation("endless" if other_end else "no-end", new, place)
