"""Every store of runs, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sessions.run_store import SqlRunStore
from tests.contracts.stores import KINDS, opened


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def where(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a new and empty store is."""
    if kind == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return str(tmp_path / "runs.db")


@pytest.fixture
def store(kind: str, where: str) -> Iterator[SqlRunStore]:
    with opened(kind, where) as found:
        yield found


@pytest.fixture
def other(kind: str, where: str, store: SqlRunStore) -> Iterator[SqlRunStore]:
    """The same store, opened a second time, as another process does."""
    with opened(kind, where) as found:
        yield found
