"""Reads the attacks in attacks.yaml, and says what they have to hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

PRELUDE = """
import sys, os
c = inputs
loot = result = []
def attempt(f, *a, **k):
    try:
        loot.append(repr(f(*a, **k))[:5000])
    except Exception as e:
        loot.append(f"{type(e).__name__}: {e}"[:300])
class Modules:
    def __getattr__(self, name):
        return sys.modules.get(name) or sys.modules["builtins"].__import__(name)
m = Modules()
"""


@dataclass(frozen=True)
class Attack:
    """`expect` is a part of the error that the run must end with; None: it must end well, with every attempt made."""

    name: str
    code: str
    expect: str | None = None
    timeout: float = 2.0
    memory_mb: int = 128
    within: float = 8.0
    never: str | None = None


def read_attacks() -> list[Attack]:
    path = Path(__file__).with_name("attacks.yaml")
    return [Attack(**each) for each in yaml.safe_load(path.read_text(encoding="utf-8"))]


ATTACKS = read_attacks()
