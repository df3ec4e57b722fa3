"""The reference interpreter shares no code with the engine, or it would share its mistakes."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

OURS = ("engine", "sessions", "tools", "chat", "app")


@pytest.mark.parametrize("name", ["interpreter", "documents", "nested", "work"])
def test_it_imports_nothing_of_the_engine(name: str) -> None:
    tree = ast.parse((Path(__file__).parent / f"{name}.py").read_text(encoding="utf-8"))
    froms = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    plain = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert froms or plain
    assert not [module for module in froms + plain if module.split(".")[0] in OURS]
