"""`app.py worker`, `run` and `schedule` as people use them, with a PostgreSQL database between them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.patience import within
from tests.servers import PASSWORD, PASSWORD_IN_URL

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
HELLO = """
schema_version: "1.0"
flow: {name: hello}
state: {fields: {who: {type: str, required: true}, out: str}}
nodes: [{id: say, tool: text_template, args: {template: "Hi {state.who}"}, outputs: [out]}]
"""


@pytest.fixture
def environment(tmp_path: Path, postgres_url: str) -> dict[str, str]:
    (tmp_path / "hello.yaml").write_text(HELLO)
    (tmp_path / "nobody").mkdir()
    return {
        **os.environ,
        "HOME": str(tmp_path / "nobody"),
        "PARLANCE_HOME": str(tmp_path / "home"),
        "PARLANCE_DATABASE_URL": postgres_url,
        "PARLANCE_DISPATCH": "dbos",
    }


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    """What is put in here is killed at the end."""
    found: list[subprocess.Popen[str]] = []
    yield found
    for process in found:
        process.kill()
        process.communicate()


def app(environment: dict[str, str], *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, ROOT / "app.py", *words],
        env=environment,
        cwd=environment["PARLANCE_HOME"].removesuffix("home"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def said(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_a_run_waits_aloud_for_a_worker_and_is_executed_by_it(
    environment: dict[str, str], started: list[subprocess.Popen[str]]
) -> None:
    run = app(environment, "run", "hello.yaml", "-i", "who=you", "--json")
    started.append(run)
    assert run.stderr is not None
    lines = iter(run.stderr.readline, "")
    assert "Waiting for a worker: start one with `app.py worker`.\n" in lines
    worker = app(environment, "worker", "--concurrency", "2")
    started.append(worker)
    assert worker.stdout is not None
    first = worker.stdout.readline()
    assert "executes up to 2 runs at once of PostgreSQL at 127.0.0.1:" in first
    code, out, _ = said(run)
    assert (code, json.loads(out)["outputs"]) == (0, {"out": "Hi you"})
    began = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    code, out, err = said(worker)
    assert (code, out) == (0, "Stopped; other workers go on with what ran here.\n"), err
    assert time.monotonic() - began < within(5)  # two seconds to let go, and Python's own end
    for text in (first, out, err):
        assert PASSWORD not in text
        assert PASSWORD_IN_URL not in text
    assert err == "", "a quiet worker"
    assert list(Path(environment["HOME"]).iterdir()) == [], "nothing is written to the home folder"


def test_schedules_start_on_a_worker(
    environment: dict[str, str], started: list[subprocess.Popen[str]], tmp_path: Path
) -> None:
    code, out, err = said(app(environment, "schedule", "add", "hello.yaml", "* * * * *", "-i", "who=all"))
    assert code == 0, err
    assert out.splitlines()[0] == 'Schedule hello: hello, "* * * * *" in UTC. The next times:'
    assert len([line for line in out.splitlines() if line.endswith("+00:00")]) == 3
    _set_back(environment)
    worker = app(environment, "worker")
    started.append(worker)

    def listed() -> dict[str, Any]:
        code, out, err = said(app(environment, "schedule", "list", "--json"))
        assert code == 0, err
        (found,) = json.loads(out)
        return dict(found)

    until = time.monotonic() + 60
    while (found := listed())["last_run_id"] is None:
        assert time.monotonic() < until
    assert found["missed"] == 4
    assert found["note"].startswith("Missed 4 times")
    run_id = found["last_run_id"]
    while (run := json.loads(said(app(environment, "show", run_id, "--json"))[1]))["status"] == "running":
        assert time.monotonic() < until
    assert (run["status"], run["outputs"]) == ("ok", {"out": "Hi all"})
    assert said(app(environment, "schedule", "pause", "hello"))[0] == 0
    assert listed()["next"] == []
    assert said(app(environment, "schedule", "resume", "hello"))[0] == 0
    assert said(app(environment, "schedule", "remove", "hello"))[:2] == (0, "Schedule hello is removed.\n")
    code, _, err = said(app(environment, "schedule", "remove", "hello"))
    assert (code, err) == (2, "There is no schedule hello. `app.py schedule list` names them.\n")


def _set_back(environment: dict[str, str]) -> None:
    """As if the schedule's first time had been four to five minutes ago, with nothing running since."""
    import psycopg

    due = time.time() // 60 * 60 - 240
    with psycopg.connect(environment["PARLANCE_DATABASE_URL"]) as connection:
        connection.execute("UPDATE parlance.schedules SET next_at = %s", (due,))


def test_what_does_not_go_together_is_said(environment: dict[str, str]) -> None:
    local = {**environment, "PARLANCE_DISPATCH": "local"}
    alone = {**environment, "PARLANCE_DATABASE_URL": ""}
    unknown = {**environment, "PARLANCE_DISPATCH": "dbso"}
    for given, words in (
        (local, "whoever starts a run executes it. Set PARLANCE_DISPATCH=dbos"),
        (alone, "PARLANCE_DISPATCH=dbos goes with a PostgreSQL database"),
        (unknown, "PARLANCE_DISPATCH can't be used"),
    ):
        code, out, err = said(app(given, "worker"))
        assert (code, out) == (2, "")
        assert words in err
        assert "Traceback" not in err
