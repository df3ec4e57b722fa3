"""A workflow from plain sentences, one per step. Ids, fields, references and quoting are made by code, so it
is right.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

MOST_STEPS = 12
LONGEST_STEP = 300
_FILLER = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at be by for from i in into is it its me my of on or our please than that the "
        "their them then there this those to up us we with you your",
    )
)
_RESERVED = frozenset(
    {"null", "true", "false", "start", "end", "fail", "continue", "text", "state", "secret"}
)


def split_steps(text: str) -> list[str]:
    """The steps in a person's words: one per line, or parts between semicolons, full stops or "then"."""
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) == 1:
        inline = re.sub(r"(?<!^)(?<=\s)\(?\d{1,2}[.)]\s+", "\n", lines[0])
        lines = re.split(r"\n|;|(?<=[a-z)])\.\s+|,?\s+(?:and\s+)?(?:then|after that|finally)\s+", inline)
    steps = (re.sub(r"^\s*(?:[-*•]|\(?\d{1,2}[.)])\s*", "", line).strip(" \t.,;") for line in lines)
    return [" ".join(step.split())[:LONGEST_STEP] for step in steps if step][:MOST_STEPS]


def wire_steps(steps: Sequence[str], request: str = "") -> str:
    """The document: a chain in which each step sees the text and what came before it."""
    if not steps:
        raise ValueError("there is no step")
    steps, request = [_printable(step) for step in steps], _printable(request)
    ids = _ids(steps)
    name = _slug(request, 4) or _slug(" ".join(steps), 4) or "my_workflow"
    fields = [
        "    text: {type: str, required: true, description: The text or the topic to work on}",
        *(
            f"    {step_id}_result: {{type: str, description: {_quoted(step)}}}"
            for step_id, step in zip(ids, steps, strict=True)
        ),
    ]
    nodes = [_node(ids, steps, number) for number in range(len(steps))]
    return "\n".join(
        [
            'schema_version: "1.0"',
            "flow:",
            f"  name: {_quoted(name)}",
            f"  description: {_quoted(_sentence(request) or '; '.join(steps))}",
            f"  outputs: [{ids[-1]}_result]",
            "state:",
            "  fields:",
            *fields,
            "nodes:",
            *nodes,
            "",
        ]
    )


def _node(ids: Sequence[str], steps: Sequence[str], number: int) -> str:
    lines = [
        f"  - id: {ids[number]}",
        f"    description: {_quoted(_sentence(steps[number]))}",
        "    prompt: |",
        f"      {_literal(_sentence(steps[number]))}. Answer with the result only.",
        "",
    ]
    lines.append("      Text: {state.text}")
    if number:
        lines.append(f"      So far: {{state.{ids[number - 1]}_result}}")
    lines.append(f"    outputs: [{ids[number]}_result]")
    return "\n".join(lines)


def _ids(steps: Sequence[str]) -> list[str]:
    ids: list[str] = []
    for number, step in enumerate(steps, 1):
        base = _slug(step, 3) or f"step_{number}"
        if base in _RESERVED:
            base = f"{base}_step"
        found, count = base, 1
        while found in ids:
            count += 1
            found = f"{base}_{count}"
        ids.append(found)
    return ids


def _slug(text: str, words: int) -> str:
    """The first words that carry meaning, as an identifier; "" where there is none in Latin letters."""
    found = [w for w in re.findall(r"[a-z0-9]+", text.lower()) if w not in _FILLER][:words]
    slug = "_".join(found)[:40].strip("_")
    return slug if re.match(r"[a-z]", slug) else ""


def _sentence(text: str) -> str:
    text = text.strip().rstrip(".!?:")
    return text[:1].upper() + text[1:]


def _literal(text: str) -> str:
    """A person's braces are text, never references: `{` is doubled, and so is the one that closes it."""
    found, depth = [], 0
    for char in text:
        doubled = char == "{" or (char == "}" and depth > 0)
        depth += (char == "{") - (char == "}" and depth > 0)
        found.append(char * 2 if doubled else char)
    return "".join(found)


def _quoted(text: str) -> str:
    """A YAML scalar in double quotes; JSON's strings are such."""
    return json.dumps(text, ensure_ascii=False)


def _printable(text: str) -> str:
    """Without the characters that YAML does not allow, on one line."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
