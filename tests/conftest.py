"""What holds for every test: no home folder, no internet, no keys of whoever runs it, no skip in CI."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.loop_guard import watched
from tests.servers import postgres_server, postgres_url  # noqa: F401 - fixtures

LOOPBACK = ("127.", "::1", "localhost")


def _harmless_environment() -> None:
    for name in list(os.environ):
        ours = name.startswith(("PARLANCE_", "OPENAI_", "ANTHROPIC_", "PG")) and name != "PARLANCE_SOAK"
        if ours or name.endswith("_API_KEY"):
            del os.environ[name]
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    os.environ["HF_HUB_OFFLINE"] = "1"


_harmless_environment()

# A busy machine is no fault of an example; `make soak` draws ten times as many.
settings.register_profile(
    "parlance", deadline=None, max_examples=1000 if os.environ.get("PARLANCE_SOAK") == "1" else 100
)
settings.load_profile("parlance")


@pytest.fixture(scope="session", autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """HOME and the data folders are a folder of this run, also for the processes that tests start."""
    home = tmp_path_factory.mktemp("home")
    saved = dict(os.environ)
    os.environ.update(HOME=str(home), XDG_DATA_HOME=str(home / "data"), XDG_CACHE_HOME=str(home / "cache"))
    yield home
    os.environ.clear()
    os.environ.update(saved)


@pytest.fixture(scope="session", autouse=True)
def _no_internet() -> Iterator[None]:
    """A connection to anything but this machine fails the test that makes it."""
    connect = socket.socket.connect
    connect_ex = socket.socket.connect_ex

    def refuse_foreign(address: Any) -> None:
        if isinstance(address, tuple) and not str(address[0]).startswith(LOOPBACK):
            raise AssertionError(f"a test tried to reach {address[0]}, which is not on this machine")

    def guarded(self: socket.socket, address: Any) -> None:
        refuse_foreign(address)
        return connect(self, address)

    def guarded_ex(self: socket.socket, address: Any) -> int:
        refuse_foreign(address)
        return connect_ex(self, address)

    socket.socket.connect = guarded  # type: ignore[method-assign]
    socket.socket.connect_ex = guarded_ex  # type: ignore[method-assign]
    yield
    socket.socket.connect = connect  # type: ignore[method-assign]
    socket.socket.connect_ex = connect_ex  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def _free_loop() -> Iterator[None]:
    """A step that keeps an event loop busy for long fails the test in which it is taken."""
    with watched() as slow:
        yield
    assert not slow, f"The event loop was kept busy: {'; '.join(slow)}."


@pytest.fixture
def soak() -> bool:
    """True when the heavy tests are to run with their full numbers (`make soak`)."""
    return bool(os.environ.get("PARLANCE_SOAK"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """In CI a test that is skipped, or expected to fail, is a failure."""
    report = yield
    if os.environ.get("CI") == "true" and report.outcome == "skipped":
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped; CI lets nothing be skipped"
    return report
