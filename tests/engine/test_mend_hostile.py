"""Hostile and damaged texts: mending and editing never raise, never hang, and never make a text worse."""

from __future__ import annotations

import asyncio
import os
import time
from itertools import pairwise
from random import Random

import pytest

from engine.check import Checked, check
from engine.document import read_document
from engine.mend import mend
from engine.text_edits import OPS, Edit, apply_edits
from tests.engine.test_text_edits import GALLERY
from tools.registry import ToolRegistry

SEED = int(os.environ.get("PARLANCE_SEED") or time.time())
DAMAGED = 1500 if os.environ.get("PARLANCE_SOAK") else 100
TOOLS = ToolRegistry()
LEVELS = "abcdefghijklm"
HOSTILE = {
    "deep": "a: " * 200 + "x",
    "brackets": "nodes: " + "[" * 5000,
    "closed brackets": "nodes: " + "[" * 3000 + "]" * 3000,
    "braces": "nodes: " + "[{a: " * 3000,
    "aliases": "a: &a [x, x, x, x]\n"
    + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in pairwise(LEVELS)),
    "an alias of itself": "a: &a [*a]",
    "one huge line": "nodes: " + "x" * 900_000,
    "a huge quote": 'nodes: "' + "x" * 900_000,
    "a NUL byte": "schema_version: \x00\nnodes: []",
    "half a pair": "nodes: \ud800",
    "colons": ": " * 100_000,
    "dashes": "- " * 100_000,
    "tabs": "\t" * 100_000 + "a: b",
    "lines": "\n" * 300_000,
    "fences": "```\n" * 50_000,
    "curly quotes": "a: “" * 40_000,
    "placeholders": "prompt: " + "{{state.x}} " * 15_000,
    "documents": "---\na: b\n" * 15_000,
    "odd values": "".join(f"k{n}: @v\n" for n in range(5000)),
    "escapes": '"' + "\\n" * 90_000 + '"',
    "tags": "<yaml>\n" * 25_000,
    "words": "hello there\n" * 15_000 + "nodes: []",
    "JSON": '{"nodes":' + "[" * 4000,
}
SIGNS = [
    *"{}[]:,-|>&*!%@`'\"#?\t\n \r\x00\ufeff\u2028“”",
    "```",
    "---",
    "\n---\n",
    "state.",
    "{{",
    "}}",
    "- id: ",
    "\r\n",
    "<<: *x",
]
TEXTS = (
    "x: y",
    "[a]",
    "{a: b}",
    "- z",
    "|\n  k",
    "",
    "a\nb",
    '"q"',
    "&x 1",
    "*x",
    "!!int 3",
    "\x00",
    "\t",
    "{state.a}: b",
)
PATHS = (
    "nodes[0].prompt",
    "nodes",
    "state.fields.new",
    "edges[0]",
    "flow.name",
    "nodes[0]",
    "nodes[",
    "",
    "a.b.c",
    "[0]",
)


async def checked(text: str) -> Checked:
    return await asyncio.to_thread(check, text, TOOLS)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
async def test_hostile_texts(text: str) -> None:
    found = await mend(text, checked)
    assert not found.checked.ok
    for op in OPS:
        edited, problems = await asyncio.to_thread(apply_edits, text, [Edit(op, "nodes[0].prompt", "x")])
        assert problems
        assert edited == text


async def test_damaged_documents() -> None:
    draw = Random(SEED)
    print(f"seed {SEED}")
    for _ in range(DAMAGED):
        text = draw.choice(GALLERY).read_text(encoding="utf-8")
        for _ in range(draw.randint(1, 5)):
            at = draw.randrange(len(text) + 1)
            text = (
                text[:at]
                + draw.choice(SIGNS) * draw.randint(0, 1)
                + text[at + draw.choice((0, 0, 1, 5, 40)) :]
            )
        before = check(text, TOOLS)
        found = await mend(text, checked)
        assert before.ok <= found.checked.ok, text
        if before.document.root is not None:
            assert found.checked.document.root is not None, text
        edits = [
            Edit(draw.choice(OPS), draw.choice(PATHS), draw.choice(TEXTS)) for _ in range(draw.randint(1, 3))
        ]
        edited, problems = apply_edits(text, edits)
        if problems:
            assert edited == text
        elif before.document.root is not None:
            assert read_document(edited).root is not None, (text, edits)
