"""What docs/sandbox.md says is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from engine.nodes.code import MEGABYTES, PRESETS, SECONDS
from tests.tools.sandbox.conftest import Box
from tools.sandbox import outcome, pool, worker
from tools.sandbox.guest.modules import OFFERED

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "sandbox.md").read_text(encoding="utf-8")


def test_the_modules_are_those_that_are_offered() -> None:
    section = PAGE.split("## Modules")[1].split("\n\n")[0]
    assert re.findall(r"`(\w+)`", section) == list(OFFERED)


def test_the_numbers_are_those_of_the_code() -> None:
    for name, (seconds, megabytes) in PRESETS.items():
        assert f"`{name}` {seconds:g} s and {megabytes} MB" in PAGE
    assert f"not counted | {SECONDS:g} s | `timeout`" in PAGE
    assert f"| {MEGABYTES} MB | `max_memory_mb`, {pool.LEAST_MEMORY_MB} to {pool.MOST_MEMORY_MB} |" in PAGE
    assert f"printed | {worker.LARGEST_PRINTED >> 10} kB" in PAGE
    assert f"| result | {worker.LARGEST_REPORT >> 20} MB |" in PAGE
    assert f"| inputs | {pool.LARGEST_INPUTS >> 20} MB |" in PAGE
    assert f"at most {outcome.DEEPEST} deep" in PAGE


def test_the_example_runs(box: Box) -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (node,) = yaml.safe_load(text)
    orders = [{"price": 3}, {"price": 5}, {"price": 4}]
    done = box.run(node["code"], {"orders": orders})
    assert done.result == {"total": 12, "middle": 4}
    assert sorted(done.result) == sorted(node["outputs"])
