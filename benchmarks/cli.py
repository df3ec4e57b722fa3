"""What `app.py run` of a one-node workflow costs: CPU seconds and memory of the whole process.

The model is a local server that speaks the OpenAI protocol, the peer a bare script that makes the same call
with the OpenAI SDK alone. Both print what the model said, and both are checked for it; the run's row is read
back from the store. Best of 5, interleaved; bytecode compiled, nothing else of ours alive.

    python -m benchmarks.cli --json
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.fakes.openai_server import FakeOpenAI

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 5
SAID = "A greeting from the model."
WORKFLOW = """\
schema_version: "1.0"
flow: {name: greet}
state:
  fields:
    name: {type: str, required: true}
    greeting: str
nodes:
  - id: greet
    prompt: "Greet {state.name}."
    outputs: [greeting]
"""
PEER = """\
import sys
from openai import OpenAI
client = OpenAI(base_url=sys.argv[1], api_key="none")
messages = [{"role": "user", "content": "Greet Ada."}]
for chunk in client.chat.completions.create(model="m", messages=messages, stream=True):
    if chunk.choices and chunk.choices[0].delta.content:
        print(chunk.choices[0].delta.content, end="")
"""


@dataclass(frozen=True)
class Cost:
    """One process: CPU seconds (user and system) and its largest resident memory in MB."""

    cpu: float
    memory: float


def measure(command: list[str], environment: Mapping[str, str]) -> Cost:
    """Run the command, check what it said, and take the system's own account of it."""
    process = subprocess.Popen(command, env=dict(environment), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    said = process.stdout.read().decode()
    errors = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or said.strip() != SAID:
        raise SystemExit(f"{command} ended with {process.returncode} and said {said!r} {errors}")
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def run() -> list[dict[str, object]]:
    """The figures: one object per measure, `ratio` is ours divided by the peer's."""
    with tempfile.TemporaryDirectory() as folder, FakeOpenAI(SAID) as server:
        workflow = Path(folder) / "greet.yaml"
        workflow.write_text(WORKFLOW)
        environment = {**os.environ, "PARLANCE_API_BASE": server.base_url, "PARLANCE_MODEL": "openai/m"}
        environment["PARLANCE_HOME"] = str(Path(folder) / "home")
        ours, peers = [], []
        for _ in range(ROUNDS):
            command = [sys.executable, str(ROOT / "app.py"), "run", str(workflow), "-i", "name=Ada"]
            ours.append(measure(command, environment))
            peers.append(measure([sys.executable, "-c", PEER, server.base_url], environment))
        check_rows(Path(folder) / "home" / "parlance.db")
    return [
        figure("app.py run, CPU seconds", min(c.cpu for c in ours), min(c.cpu for c in peers), "s"),
        figure("app.py run, memory", min(c.memory for c in ours), min(c.memory for c in peers), "MB"),
    ]


def check_rows(database: Path) -> None:
    """Every run has left its row."""
    connection = sqlite3.connect(database)
    try:
        (count,) = connection.execute("SELECT count(*) FROM node_rows WHERE status = 'ok'").fetchone()
    finally:
        connection.close()
    if count != ROUNDS:
        raise SystemExit(f"{ROUNDS} runs left {count} rows")


def figure(name: str, ours: float, peer: float, unit: str) -> dict[str, object]:
    return {
        "name": name,
        "ours": round(ours, 3),
        "peer": round(peer, 3),
        "ratio": round(ours / peer, 3),
        "unit": unit,
    }


if __name__ == "__main__":
    figures = run()
    if "--json" in sys.argv:
        print(json.dumps(figures))
    else:
        for f in figures:
            print(f"{f['name']}: {f['ours']} {f['unit']}, bare OpenAI SDK {f['peer']}, ratio {f['ratio']}")
