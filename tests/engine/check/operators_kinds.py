"""Mutation operators for code, questions, lists and failures; see `operators`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.engine.check.operators import Mutation, _replace, _slip, key_of, operator, place_of


@operator
def misspell_handler(text: str) -> Iterator[Mutation]:
    for match in re.finditer(r"\bon_error: (\w{5,})", text):
        new = _replace(text, match, _slip(match[1]))
        yield Mutation("unknown-handler", new, place_of(text, match.start()))


@operator
def misspell_input_of_code(text: str) -> Iterator[Mutation]:
    for match in re.finditer(r"inputs\[\"(\w{5,})\"\]", text):
        new = _replace(text, match, _slip(match[1]))
        yield Mutation("code-input", new, place_of(text, match.start(1) - 1))


@operator
def break_python(text: str) -> Iterator[Mutation]:
    for match in re.finditer(r"^      result (= )", text, re.MULTILINE):
        new = _replace(text, match, "= = ")
        yield Mutation("code-syntax", new, place_of(text, match.start(1) + 2))


@operator
def call_the_result_otherwise(text: str) -> Iterator[Mutation]:
    for match in re.finditer(r"^      (result) = ", text, re.MULTILINE):
        new = _replace(text, match, "outcome")
        yield Mutation("code-result", new, key_of(text, match.start(1)))


@operator
def import_what_is_not_there(text: str) -> Iterator[Mutation]:
    for match in re.finditer(r"^    code: \|\n", text, re.MULTILINE):
        new = f"{text[: match.end()]}      import numpy\n{text[match.end() :]}"
        yield Mutation("code-import", new, place_of(new, match.end() + 6))


@operator
def use_what_is_not_set(text: str) -> Iterator[Mutation]:
    for match in re.finditer(r"^      result = ", text, re.MULTILINE):
        new = f"{text[: match.start()]}      print(unheard)\n{text[match.start() :]}"
        yield Mutation("code-name", new, place_of(new, new.index("unheard")))


@operator
def name_the_list_without_state(text: str) -> Iterator[Mutation]:
    for match in re.finditer(r"\bfor_each: (state\.(\w+))", text):
        new = _replace(text, match, match[2])
        yield Mutation("each-list", new, place_of(text, match.start()))


@operator
def run_over_a_text(text: str) -> Iterator[Mutation]:
    for match in re.finditer(r"\bfor_each: (state\.\w+)", text):
        at = text.index("\nnodes:")
        extra = "    odd_one: {type: str, default: x, description: odd}"
        new = f"{text[:at]}\n{extra}{text[at : match.start(1)]}state.odd_one{text[match.end(1) :]}"
        also = frozenset({"unknown-path", "unused-field", "code-value"})
        yield Mutation("each-list", new, place_of(new, match.start() + len(extra) + 1), also)


@operator
def forget_free_answers(text: str) -> Iterator[Mutation]:
    for match in re.finditer(r"^    options: \[\]\n", text, re.MULTILINE):
        new = text[: match.start()] + text[match.end() :]
        ask = list(re.finditer(r"^    (ask):", text[: match.start()], re.MULTILINE))[-1]
        if re.match(r"(?:    .*\n)*    default:", text[match.end() :]):
            continue  # then the default is what is wrong
        yield Mutation("ask-approval", new, place_of(text, ask.start(1)))


@operator
def read_an_error_that_is_not_kept(text: str) -> Iterator[Mutation]:
    for match in re.finditer(r"\{state\._error_(\w+)\}", text):
        first = re.search(r"^  - id: (\w+)$(?:\n    (?!on_error).*)*\n(?=  - id)", text, re.MULTILINE)
        if first:
            new = _replace(text, match, first[1])
            yield Mutation("unknown-field", new, key_of(text, match.start()))
