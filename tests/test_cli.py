"""The command line as other programs see it: a real process, its output, its exit code, a real HTTP model."""

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

from tests.fakes.openai_server import FakeOpenAI, Reply

ROOT = Path(__file__).resolve().parent.parent
GREET = """\
schema_version: "1.0"
flow: {name: greet, description: Greet somebody}
state:
  fields:
    name: {type: str, required: true}
    times: {type: int, default: 1}
    greeting: str
nodes:
  - id: greet
    prompt: "Greet {state.name} {state.times} times."
    outputs: [greeting]
"""
CLOCK = """\
schema_version: "1.0"
flow: {name: clock}
state:
  fields:
    line: str
    who: {type: str, required: true}
nodes:
  - id: fill
    tool: text_template
    args: {template: "Hello $who", values: {who: "{state.who}"}}
    outputs: [line]
"""


class Shell:
    """Runs app.py in a folder and a data folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "PARLANCE_HOME": str(folder / "home")}

    def __call__(
        self, *words: str, code: int = 0, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, str(ROOT / "app.py"), *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            input=stdin,
            timeout=60,
        )
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self(*words, "--json", code=code).stdout)

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(ROOT / "app.py"), *words],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    (tmp_path / "greet.yaml").write_text(GREET)
    (tmp_path / "clock.yaml").write_text(CLOCK)
    return Shell(tmp_path)


@pytest.fixture
def model(shell: Shell) -> Iterator[FakeOpenAI]:
    with FakeOpenAI("Good day, Ada!") as fake:
        shell.environment |= {"PARLANCE_API_BASE": fake.base_url, "PARLANCE_MODEL": "openai/some-model"}
        yield fake


def test_version_and_help(shell: Shell) -> None:
    assert shell("--version").stdout == "parlance 0.1.0\n"
    for verb in ("serve", "check", "run", "chat", "workflows", "runs", "show", "doctor"):
        assert verb in shell("--help").stdout
        assert shell(verb, "--help").stdout


def test_a_saved_workflow_is_run_by_its_name_and_by_others(shell: Shell) -> None:
    parent = """\
schema_version: "1.0"
flow: {name: parent}
state: {fields: {line: str}}
nodes:
  - {id: below, workflow: clock, inputs: {who: Ann}, outputs: [line]}
"""
    (shell.folder / "parent.yaml").write_text(parent)
    assert "app.py save" in shell("check", "parent.yaml", code=1).stdout
    assert "version 1" in shell("save", "clock.yaml").stdout
    saved = shell.json("save", "clock.yaml")
    assert (saved["name"], saved["version"], saved["proof"]["checked"]["ok"]) == ("clock", 1, True)
    (shell.folder / "clock.yaml").write_text(CLOCK.replace("Hello", "Good day"))
    assert shell.json("save", "clock.yaml")["version"] == 2
    assert shell("run", "clock", "-i", "who=Bob").stdout == "Good day $who\n"
    assert shell.json("run", "parent.yaml")["outputs"] == {"line": "Good day $who"}
    (shell.folder / "team.yaml").write_text(CLOCK.replace("name: clock", "name: team/clock"))
    assert shell.json("save", "team.yaml")["name"] == "team/clock"
    assert shell("run", "team/clock", "-i", "who=Bob").stdout == "Hello $who\n"
    assert "line 1" in shell("why", "team/clock", "1").stdout
    shell("save", "greet2.yaml", code=2)
    (shell.folder / "broken.yaml").write_text(CLOCK.replace("text_template", "text_templat"))
    assert "text_template" in shell("save", "broken.yaml", code=1).stderr
    assert [w["name"] for w in shell.json("workflows")] == ["team/clock", "clock"]


def test_wrong_use_is_2(shell: Shell) -> None:
    assert "invalid choice" in shell("fly", code=2).stderr
    assert "greet2.yaml does not exist" in shell("run", "greet2.yaml", code=2).stderr
    assert "greet2.yaml does not exist" in shell("check", "greet.yaml", "greet2.yaml", code=2).stderr
    assert "nobody" in shell("run", "nobody", code=2).stderr
    assert "key=value" in shell("run", "clock.yaml", "-i", "who", code=2).stderr
    assert "run-1" in shell("show", "run-1", code=2).stderr


def test_wrong_settings_are_all_told(shell: Shell) -> None:
    shell.environment |= {"PARLANCE_PORT": "many", "PARLANCE_MODEL": "gpt"}
    said = shell("runs", code=2).stderr
    assert "PARLANCE_PORT" in said
    assert "PARLANCE_MODEL" in said


def test_check_prints_place_rule_and_message(shell: Shell) -> None:
    (shell.folder / "bad.yaml").write_text(GREET.replace("{state.name}", "{state.nmae}"))
    done = shell("check", "greet.yaml", "bad.yaml", code=1)
    (line,) = [x for x in done.stdout.splitlines() if " error " in x]
    place, severity, rule, _ = line.split(" ", 3)
    assert place.startswith("bad.yaml:10:")
    assert (severity, rule) == ("error", "unknown-field")
    (problem,) = [p for p in shell.json("check", "bad.yaml", code=1) if p["severity"] == "error"]
    assert set(problem) == {"file", "line", "column", "severity", "rule", "path", "message", "patch"}
    assert problem["patch"]["text"].endswith("name") or "name" in problem["patch"]["text"]


def test_check_reads_standard_input(shell: Shell) -> None:
    assert shell("check", "-", stdin=GREET).stdout == ""
    assert shell("check", "-", stdin="{", code=1).stdout.startswith("-:1:")


def test_run_prints_outputs_alone_on_stdout(shell: Shell, model: FakeOpenAI) -> None:
    done = shell("run", "greet.yaml", "-i", "name=Ada", "-i", "times=2")
    assert done.stdout == "Good day, Ada!\n"
    assert "openai/some-model" in done.stderr
    assert "Greet Ada 2 times." in json.dumps(model.requests[-1])


def test_run_json_has_the_promised_shape(shell: Shell, model: FakeOpenAI) -> None:
    view = shell.json("run", "greet.yaml", "-i", "name=Ada")
    assert {"run_id", "status", "outputs", "state", "nodes"} <= set(view)
    assert view["status"] == "ok"
    assert view["outputs"] == {"greeting": "Good day, Ada!"}
    assert view["state"]["times"] == 1
    (node,) = view["nodes"]
    assert (node["id"], node["kind"], node["iteration"], node["attempt"]) == ("greet", "llm", 1, 1)
    assert (node["status"], node["model"]) == ("ok", "openai/some-model")
    assert view["prompt_tokens"] == node["prompt_tokens"] > 0
    assert node["cost_usd"] is None
    assert view["cost_usd"] is None
    assert shell.json("show", view["run_id"]) == view
    assert [r["run_id"] for r in shell.json("runs")] == [view["run_id"]]


def test_inputs_from_a_file_and_in_their_types(shell: Shell, model: FakeOpenAI) -> None:
    (shell.folder / "in.json").write_text('{"name": "Ada", "times": 3}')
    shell("run", "greet.yaml", "-i", "@in.json")
    assert "Greet Ada 3 times." in json.dumps(model.requests[-1])
    for words, said in (
        (["-i", "name=Ada", "-i", "times=three"], "times"),
        (["-i", "nmae=Ada"], "nmae"),
        ([], "name"),
        (["-i", "@none.json"], "none.json does not exist"),
    ):
        assert said in shell("run", "greet.yaml", *words, code=2).stderr
    assert len(model.requests) == 1


def test_a_forced_model_gets_every_call(shell: Shell, model: FakeOpenAI) -> None:
    named = GREET.replace(
        "outputs: [greeting]", "outputs: [greeting]\n    llm: {provider: anthropic, model: x}"
    )
    (shell.folder / "named.yaml").write_text(named)
    shell.environment["PARLANCE_FORCE_MODEL"] = "openai/forced"
    view = shell.json("run", "named.yaml", "-i", "name=Ada")
    assert view["nodes"][0]["model"] == "openai/forced"
    view = shell.json("run", "named.yaml", "-i", "name=Ada", "--model", "openai/stronger")
    assert model.requests[-1]["model"] == "stronger"


def test_a_document_with_problems_is_not_run(shell: Shell, model: FakeOpenAI) -> None:
    (shell.folder / "bad.yaml").write_text(GREET.replace("greeting]", "greetin]"))
    answer = shell.json("run", "bad.yaml", "-i", "name=Ada", code=1)
    assert answer["status"] == "failed"
    assert answer["problems"][0]["rule"] == "unknown-field"
    assert not model.requests


def test_a_failed_run_is_1_and_says_the_node_and_the_fix(shell: Shell) -> None:
    with FakeOpenAI(Reply(status=401, message="bad key sk-planted-secret")) as fake:
        shell.environment |= {"PARLANCE_API_BASE": fake.base_url, "PARLANCE_MODEL": "openai/m"}
        shell.environment["PARLANCE_API_KEY"] = "sk-planted-secret"
        done = shell("run", "greet.yaml", "-i", "name=Ada", code=1)
    assert "greet" in done.stderr
    assert "PARLANCE_API_KEY" in done.stderr
    assert "sk-planted-secret" not in done.stderr + done.stdout
    assert b"sk-planted-secret" not in (shell.folder / "home" / "parlance.db").read_bytes()


def test_no_model_server_says_how_to_mend_it(shell: Shell) -> None:
    shell.environment |= {"PARLANCE_API_BASE": "http://127.0.0.1:9/v1", "PARLANCE_MODEL": "openai/m"}
    view = shell.json("run", "greet.yaml", "-i", "name=Ada", code=1)
    assert view["status"] == "failed"
    assert "127.0.0.1:9" in view["error"]


def test_ctrl_c_cancels(shell: Shell) -> None:
    with FakeOpenAI(Reply("Good day", pause=True)) as fake:
        shell.environment |= {"PARLANCE_API_BASE": fake.base_url, "PARLANCE_MODEL": "openai/m"}
        process = shell.start("run", "greet.yaml", "-i", "name=Ada", "--json")
        assert fake.paused.wait(20)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        fake.release()
    assert process.returncode == 1, err
    assert json.loads(out)["status"] == "cancelled"
    assert shell.json("runs")[0]["status"] == "cancelled"


def test_chat_streams_an_answer_and_goes_on_in_the_same_conversation(shell: Shell, model: FakeOpenAI) -> None:
    first = shell.json("chat", "hello")
    assert first["status"] == "ok"
    again = shell.json("chat", "hello again", "--conversation", first["conversation_id"])
    assert again["conversation_id"] == first["conversation_id"]
    assert "conversation" in shell("chat", "hi", "--conversation", "nowhere", code=2).stderr
    shell("chat", "  ", code=2)


def test_a_saved_workflow_runs_by_name(shell: Shell) -> None:
    draft = f"Here you are:\n\n```yaml\n{GREET}```\n"
    with FakeOpenAI([Reply(draft), Reply("Good day, Ada!")]) as fake:
        shell.environment |= {"PARLANCE_API_BASE": fake.base_url, "PARLANCE_MODEL": "openai/m"}
        shell("chat", "make a workflow that greets somebody")
        (saved,) = shell.json("workflows")
        assert saved["name"] == "greet"
        assert shell.json("run", "greet", "-i", "name=Ada")["outputs"] == {"greeting": "Good day, Ada!"}


def test_doctor_tells_what_is_there(shell: Shell, model: FakeOpenAI) -> None:
    findings = {f["name"]: f for f in shell.json("doctor")}
    assert findings["model"]["detail"].startswith("openai/some-model")
    assert findings["store"]["status"] == "ok"
    shell.environment["PARLANCE_HOME"] = "/proc/nowhere"
    assert "PARLANCE_HOME" in shell("doctor", code=1).stdout


def test_a_closed_pipe_is_no_error(shell: Shell) -> None:
    (shell.folder / "many.yaml").write_text(
        GREET + "".join(f"  - id: n{i}\n    promt: x\n" for i in range(900))
    )
    process = shell.start("check", "many.yaml")
    assert process.stdout
    assert process.stderr
    process.stdout.readline()
    process.stdout.close()
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    assert process.wait(20) in (0, 1)


def test_a_killed_run_is_not_lost(shell: Shell) -> None:
    """What was running when the process was killed is still known, as running."""
    with FakeOpenAI(Reply("Good day", pause=True)) as fake:
        shell.environment |= {"PARLANCE_API_BASE": fake.base_url, "PARLANCE_MODEL": "openai/m"}
        process = shell.start("run", "greet.yaml", "-i", "name=Ada", "--json")
        assert fake.paused.wait(20)
        process.kill()
        process.communicate()
        time.sleep(0.1)
        (found,) = shell.json("runs")
        fake.release()
    assert found["status"] == "running"


def test_ctrl_c_again_and_again_still_ends_in_order(shell: Shell) -> None:
    with FakeOpenAI(Reply("Good day", pause=True)) as fake:
        shell.environment |= {"PARLANCE_API_BASE": fake.base_url, "PARLANCE_MODEL": "openai/m"}
        process = shell.start("run", "greet.yaml", "-i", "name=Ada", "--json")
        assert fake.paused.wait(20)
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
            time.sleep(0.02)
        out, err = process.communicate()
        fake.release()
    assert process.returncode == 1, err
    assert json.loads(out)["status"] == "cancelled"


def test_a_port_that_is_none_and_a_model_without_provider_are_wrong_use(shell: Shell) -> None:
    assert "0 to 65535" in shell("serve", "--port", "99999", code=2).stderr
    assert "provider/model" in shell("run", "greet.yaml", "-i", "name=A", "--model", "gpt", code=2).stderr


def test_lists_show_whole_run_ids(shell: Shell, model: FakeOpenAI) -> None:
    run_id = shell.json("run", "greet.yaml", "-i", "name=Ada")["run_id"]
    assert run_id in shell("runs").stdout
    assert "Good day, Ada!" in shell("show", run_id).stdout


def test_check_and_run_say_what_this_machine_lacks(shell: Shell, model: FakeOpenAI) -> None:
    named = GREET.replace("prompt:", "llm: {model: anthropic/claude-sonnet-5}\n    prompt:")
    (shell.folder / "named.yaml").write_text(named)
    loose = GREET.replace("times:", "spare: {type: int, default: 1}\n    times:", 1)
    (shell.folder / "loose.yaml").write_text(loose)
    (found,) = shell.json("check", "named.yaml")
    assert (found["rule"], found["severity"], found["line"]) == ("no-key", "warning", 10)
    view = shell.json("run", "named.yaml", "-i", "name=Ada", code=1)
    assert [(p["rule"], p["severity"]) for p in view["problems"]] == [("no-key", "error")]
    for words in ((), ("--json",)):
        done = shell("run", "loose.yaml", "-i", "name=Ada", *words)
        assert "loose.yaml:6:5 warning unused-field" in done.stderr
        assert "warning" not in done.stdout
