"""The command line with its runs on PostgreSQL: every verb, and what it says when the server is not there."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from tests.servers import PASSWORD, PASSWORD_IN_URL, PostgresServer, free_port
from tests.test_cli import Shell

CLOCK = """\
schema_version: "1.0"
flow: {name: clock}
state: {fields: {line: str, who: {type: str, required: true}}}
nodes:
  - {id: fill, tool: text_template, args: {template: "Hello {state.who}"}, outputs: [line]}
"""
pytestmark = pytest.mark.slow


@pytest.fixture
def shell(tmp_path: Path, postgres_url: str) -> Shell:
    (tmp_path / "clock.yaml").write_text(CLOCK)
    found = Shell(tmp_path)
    found.environment["PARLANCE_DATABASE_URL"] = postgres_url
    return found


def test_runs_are_on_postgresql(shell: Shell, postgres_server: PostgresServer) -> None:
    ran = shell.json("run", "clock.yaml", "-i", "who=Ada")
    assert (ran["status"], ran["outputs"]) == ("ok", {"line": "Hello Ada"})
    assert [run["run_id"] for run in shell.json("runs")] == [ran["run_id"]]
    assert shell.json("show", ran["run_id"])["outputs"] == {"line": "Hello Ada"}
    findings = {f["name"]: f for f in json.loads(shell("doctor", "--json").stdout)}
    assert findings["store of runs"]["status"] == "ok"
    assert f"127.0.0.1:{postgres_server.port}/" in findings["store of runs"]["detail"]
    home = Path(shell.environment["PARLANCE_HOME"]) / "parlance.db"
    with sqlite3.connect(home) as kept:
        assert kept.execute("SELECT count(*) FROM runs").fetchone() == (0,)
    kept.close()


def test_a_server_that_is_not_there(shell: Shell, postgres_server: PostgresServer) -> None:
    """One sentence with the fix, and no word of the password."""
    good = shell.environment["PARLANCE_DATABASE_URL"]
    nobody = f"postgresql://parlance:{PASSWORD_IN_URL}@127.0.0.1:{free_port()}/x"
    wrong = good.replace(PASSWORD_IN_URL, PASSWORD_IN_URL + "ly-wrong")
    for url, said in (
        (nobody, "Check that the server runs"),
        (wrong, "Check that the server runs"),
        (f"postgresql://u:{PASSWORD}@h:1/x", "%40"),
        (good.replace("/t_", "/nowhere_"), "PARLANCE_DATABASE_URL"),
    ):
        shell.environment["PARLANCE_DATABASE_URL"] = url
        done = shell("run", "clock.yaml", "-i", "who=Ada", code=1)
        assert said in done.stderr, done.stderr
        report = shell("doctor", "--json", code=1)
        (finding,) = [f for f in json.loads(report.stdout) if f["name"] == "store of runs"]
        assert finding["status"] == "missing"
        for secret in (PASSWORD, PASSWORD_IN_URL, "planted"):
            assert secret not in done.stdout + done.stderr + report.stdout + report.stderr
