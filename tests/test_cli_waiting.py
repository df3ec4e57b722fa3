"""Runs that ask, at a terminal and without one; lists of runs and the time line: a real process, a real terminal."""

from __future__ import annotations

import os
import pty
import select
import sys
import time
from pathlib import Path

import pytest

from tests.test_cli import CLOCK, ROOT, Shell

pytestmark = pytest.mark.slow
ASKS = """\
schema_version: "1.0"
flow: {name: asks}
state:
  fields:
    who: {type: str, required: true}
    choice: {type: str, enum: [approve, reject]}
    why: str
    line: str
nodes:
  - {id: check, ask: "May I greet {state.who}?", outputs: [choice]}
  - {id: reason, ask: "Why?", options: [], outputs: [why]}
  - {id: greet, tool: text_template, args: {template: "{state.choice} {state.who}: {state.why}"}, outputs: [line]}
"""


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    (tmp_path / "asks.yaml").write_text(ASKS)
    (tmp_path / "clock.yaml").write_text(CLOCK)
    return Shell(tmp_path)


class Terminal:
    """app.py at a terminal of its own: `read` until something is there, `type` a line."""

    def __init__(self, shell: Shell, *words: str) -> None:
        self.said = ""
        self.pid, self.screen = pty.fork()
        if self.pid == 0:
            os.chdir(shell.folder)
            os.execve(
                sys.executable,
                [sys.executable, str(ROOT / "app.py"), *words],
                {**shell.environment, "TERM": "dumb", "COLUMNS": "120"},
            )

    def read(self, wanted: str, seconds: float = 30) -> str:
        """What has been printed since the last call, up to and with what is wanted."""
        until = time.monotonic() + seconds
        while wanted not in self.said:
            assert time.monotonic() < until, f"{wanted!r} did not come; there is {self.said!r}"
            if select.select([self.screen], [], [], 0.1)[0]:
                try:
                    self.said += os.read(self.screen, 65536).decode()
                except OSError:  # it has ended
                    assert wanted in self.said, self.said
        before, _, self.said = self.said.partition(wanted)
        return before + wanted

    def type(self, text: str) -> None:
        os.write(self.screen, text.encode())

    def code(self) -> int:
        """The exit code, once it has ended."""
        while True:
            try:
                self.said += os.read(self.screen, 65536).decode()
            except OSError:
                break
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.screen)
        return code


def test_without_a_terminal_a_run_is_left_waiting_and_answered_from_elsewhere(shell: Shell) -> None:
    view = shell.json("run", "asks.yaml", "-i", "who=Ann")
    assert view["status"] == "waiting"
    [wait] = view["waiting"]
    assert (wait["node"], wait["question"], wait["options"]) == (
        "check",
        "May I greet Ann?",
        ["approve", "reject"],
    )
    run_id = view["run_id"]
    refused = shell("answer", run_id, "check", "perhaps", code=2)
    assert "approve, reject" in refused.stderr
    assert "What waits: check" in shell("answer", run_id, "chek", "approve", code=2).stderr
    after = shell("answer", run_id, "check", "approve")
    assert f"app.py answer {run_id} reason ANSWER" in after.stderr
    assert "answered by local already" in shell("answer", run_id, "check", "reject", code=1).stderr
    ended = shell.json("answer", run_id, "reason", "just so")
    assert (ended["status"], ended["outputs"]) == ("ok", {"line": "approve Ann: just so"})


def test_at_a_terminal_the_question_is_put_and_put_again(shell: Shell) -> None:
    terminal = Terminal(shell, "run", "asks.yaml", "-i", "who=Bob")
    assert "May I greet Bob?" in terminal.read("answer:")
    terminal.type("9\n")
    terminal.read("none of the answers")
    terminal.read("answer:")
    terminal.type("2\n")
    terminal.read("Why?")
    terminal.type("no time\n")
    terminal.read("reject Bob: no time")
    assert terminal.code() == 0


def test_ctrl_c_at_a_question_stops_the_run(shell: Shell) -> None:
    terminal = Terminal(shell, "run", "asks.yaml", "-i", "who=Bob")
    terminal.read("answer:")
    terminal.type("\x03")
    terminal.read("The run was cancelled.")
    assert terminal.code() == 1
    [run] = shell.json("runs")
    assert run["status"] == "cancelled"


def test_an_answer_given_elsewhere_ends_the_question_here(shell: Shell) -> None:
    terminal = Terminal(shell, "run", "asks.yaml", "-i", "who=Eve")
    terminal.read("answer:")
    [run] = shell.json("runs", "--status", "waiting")
    view = shell.json("answer", run["run_id"], "check", "approve")
    assert view["nodes"][0]["status"] == "ok"
    terminal.read("Why?")
    terminal.type("\x03")
    assert terminal.code() == 1


def test_runs_are_found_by_status_workflow_and_time(shell: Shell) -> None:
    waiting = shell.json("run", "asks.yaml", "-i", "who=Ann")["run_id"]
    ended = shell.json("run", "clock.yaml", "-i", "who=Ann")["run_id"]

    def found(*words: str) -> list[str]:
        return [run["run_id"] for run in shell.json("runs", *words)]

    assert found() == [ended, waiting]
    assert found("--status", "waiting") == [waiting]
    assert found("--workflow", "clock") == [ended]
    assert found("--limit", "1") == [ended]
    assert found("--since", "1h") == [ended, waiting]
    assert found("--since", "2999-01-01") == []
    assert "No run is like that." in shell("runs", "--workflow", "none").stdout
    assert "30m, 2h, 3d" in shell("runs", "--since", "soon", code=2).stderr
    shell("runs", "--status", "odd", code=2)


def test_show_draws_the_time_line(shell: Shell) -> None:
    ended = shell.json("run", "clock.yaml", "-i", "who=Ann")["run_id"]
    shown = shell("show", ended).stdout
    [line] = [line for line in shown.splitlines() if "━" in line]
    assert "✓" in line
    assert "fill" in line
    assert '"line": "Hello $who"' in shown
    waiting = shell.json("run", "asks.yaml", "-i", "who=Ann")["run_id"]
    assert f"app.py answer {waiting} check approve" in shell("show", waiting).stdout
