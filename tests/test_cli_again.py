"""Dry runs, retry, replay and resume on the command line: real processes, a real HTTP model, a real kill -9."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.openai_server import FakeOpenAI, Reply
from tests.test_cli import Shell

pytestmark = pytest.mark.slow
STORY = """\
schema_version: "1.0"
flow: {name: story}
state:
  fields:
    topic: {type: str, required: true}
    plan: str
    kind: {type: str, enum: [long, short]}
    text: str
nodes:
  - {id: outline, prompt: "Outline {state.topic}.", outputs: [plan]}
  - {id: choose, prompt: "Choose for {state.plan}.", outputs: [kind]}
  - {id: write, prompt: "Write {state.plan}.", outputs: [text]}
  - {id: sum_up, prompt: "Sum up {state.plan}.", outputs: [text]}
edges:
  - {from: START, to: outline}
  - {from: outline, to: choose}
  - from: choose
    routes: [{condition: "state.kind == 'long'", to: write}, {condition: default, to: sum_up}]
  - {from: write, to: END}
  - {from: sum_up, to: END}
"""
NEVER = STORY.replace("state.kind == 'long'", "min(len(state.kind), 2) > 4")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    (tmp_path / "story.yaml").write_text(STORY)
    (tmp_path / "never.yaml").write_text(NEVER)
    return Shell(tmp_path)


@pytest.fixture
def model(shell: Shell) -> Iterator[FakeOpenAI]:
    replies = [
        Reply("a plan", when="Outline"),
        Reply('{"kind": "long"}', when="Choose"),
        Reply(status=400, message="planted", when="Write"),
    ]
    with FakeOpenAI(replies) as fake:
        shell.environment |= {"PARLANCE_API_BASE": fake.base_url, "PARLANCE_MODEL": "openai/some-model"}
        yield fake


def test_a_dry_run_needs_no_model(shell: Shell) -> None:
    """Nothing is set, nothing is installed, and nothing is loaded: a second is too short for the embedded model."""
    shell.environment |= {"PARLANCE_MODEL": "openai/none", "PARLANCE_API_BASE": "http://127.0.0.1:9/v1"}
    done = shell("run", "story.yaml", "--dry")
    assert "The input topic was made up" in done.stderr
    assert "write was made up: no model is asked in a dry run." in done.stderr
    view = shell.json("run", "story.yaml", "--dry", "-i", "topic=tea")
    assert (view["dry"], view["status"], view["made_inputs"]) == (True, "ok", [])
    assert [each["node"] for each in view["simulated"]] == ["outline", "choose", "write"]
    assert [each["to"] for each in view["branches"]] == [["choose"], ["write"], ["END"]]


def test_every_way_is_tried(shell: Shell) -> None:
    view = shell.json("run", "story.yaml", "--dry", "--branches")
    assert (view["explored"]["reached"], view["explored"]["of"]) == (2, 2)
    done = shell("run", "never.yaml", "--dry", "--branches", code=1)
    assert "1 of 2 ways can be taken." in done.stderr
    assert "no value was found that leads there" in done.stderr
    assert "--branches goes with --dry" in shell("run", "story.yaml", "--branches", code=2).stderr


def test_retry_from_a_node_and_with_the_document_put_right(shell: Shell, model: FakeOpenAI) -> None:
    failed = shell.json("run", "story.yaml", "-i", "topic=tea", code=1)
    (shell.folder / "right.yaml").write_text(STORY.replace('"Write {', '"Tell {'))
    model.script = "told"
    again = shell.json("retry", failed["run_id"], "--from", "write", "--file", "right.yaml")
    assert (again["status"], again["outputs"]["text"]) == ("ok", "told")
    assert len([p for p in model.prompts() if "Outline" in p]) == 1
    assert "retry of" in shell("show", again["run_id"]).stdout
    assert "kept" in shell("show", again["run_id"]).stdout
    assert "Did you mean 'write'" in shell("retry", failed["run_id"], "--from", "wrte", code=2).stderr
    assert "There is no run" in shell("retry", "nothing", "--from", "write", code=2).stderr


def test_a_retry_that_was_killed_goes_on_with_resume(shell: Shell, model: FakeOpenAI) -> None:
    failed = shell.json("run", "story.yaml", "-i", "topic=tea", code=1)
    model.script = Reply("late", delay=30)
    count = len(model.requests)
    process = shell.start("retry", failed["run_id"], "--from", "write")
    try:
        until = time.monotonic() + 30
        while len(model.requests) == count:
            assert time.monotonic() < until
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    (run_id,) = [r["run_id"] for r in shell.json("runs", "--status", "running")]
    assert "has not ended" in shell("retry", run_id, "--from", "write", code=1).stderr
    model.script = "quick"
    view = shell.json("resume", run_id)
    assert (view["status"], view["outputs"]["text"]) == ("ok", "quick")
    assert len([p for p in model.prompts() if "Outline" in p]) == 1
    assert "has ended: ok" in shell("resume", run_id, code=1).stderr


def test_replay_shows_both_models_beside_each_other(shell: Shell, model: FakeOpenAI) -> None:
    model.script = lambda body: (
        {"kind": "long"} if "Choose" in json.dumps(body["messages"]) else body["model"]
    )
    first = shell.json("run", "story.yaml", "-i", "topic=tea")
    done = shell("replay", first["run_id"], "--model", "openai/other")
    table = [line.split() for line in done.stdout.splitlines()]
    assert any(
        line[:1] == ["outline"] and "openai/some-model," in line and "openai/other," in line for line in table
    )
    assert any(line == ["text", "some-model", "other"] for line in table)
    assert model.requests[-1]["model"] == "other"
    assert "is not a model's name" in shell("replay", first["run_id"], "--model", "other", code=2).stderr
