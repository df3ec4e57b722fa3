"""The HTTP API over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from sessions.db import open_db
from sessions.runs import SqliteRunStore
from tests.chat.house import HELD, QUICK, TestHouse, eventually, open_gate
from tests.chat.serving import served, sse


@pytest.fixture
def house(tmp_path: Path) -> TestHouse:
    return TestHouse(tmp_path)


@pytest.fixture
async def client(house: TestHouse) -> AsyncIterator[httpx.AsyncClient]:
    async with served(house) as address, httpx.AsyncClient(base_url=address, timeout=20) as client:
        yield client


async def new_conversation(client: httpx.AsyncClient) -> str:
    answer = await client.post("/api/conversations")
    assert answer.status_code == 201
    return str(answer.json()["id"])


def events_of(response: httpx.Response) -> list[dict[str, Any]]:
    """The events of a stream, each with its data parsed; ids must rise by one from 1."""
    assert response.headers["content-type"].startswith("text/event-stream")
    events = [{**event, "data": json.loads(event["data"])} for event in sse(iter(response.text.split("\n")))]
    first = int(events[0]["id"])
    assert [int(event["id"]) for event in events] == list(range(first, first + len(events)))
    return events


async def test_health(client: httpx.AsyncClient) -> None:
    answer = await client.get("/healthz")
    assert answer.status_code == 200
    model = {"name": None, "demo": None, "note": "No model is set up. Set PARLANCE_MODEL."}
    assert answer.json() == {"status": "ok", "version": "0.1.0", "model": model, "store": "ok"}


async def test_a_broken_store_is_told(client: httpx.AsyncClient, house: TestHouse) -> None:
    await house.db.execute("ALTER TABLE migrations RENAME TO lost")
    answer = await client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json()["status"] == "failed"
    assert "lost" not in answer.json()["status"]
    await house.db.execute("ALTER TABLE lost RENAME TO migrations")


async def test_a_broken_store_of_runs_is_told(tmp_path: Path) -> None:
    """Runs may be kept in another database than conversations."""
    house, runs = TestHouse(tmp_path), open_db(tmp_path / "runs.db")
    house.engine.store = SqliteRunStore(runs)
    async with served(house) as address, httpx.AsyncClient(base_url=address, timeout=20) as client:
        assert (await client.get("/healthz")).json()["store"] == "ok"
        await runs.execute("ALTER TABLE processes RENAME TO lost")
        answer = await client.get("/healthz")
        assert (answer.status_code, answer.json()["status"]) == (503, "failed")
        assert answer.json()["store"] != "ok"
    runs.close()


async def test_conversations_are_made_listed_and_read(client: httpx.AsyncClient) -> None:
    made = (await client.post("/api/conversations", json={"title": "Mail"})).json()
    assert set(made) == {"id", "title", "workflow", "created_at", "updated_at", "messages"}
    assert (made["title"], made["workflow"], made["messages"]) == ("Mail", None, [])
    assert made["created_at"].endswith("Z")
    other = await new_conversation(client)
    await client.post(f"/api/conversations/{other}/messages", json={"text": "say Hi"})
    assert [c["title"] for c in (await client.get("/api/conversations")).json()] == ["say Hi", "Mail"]
    assert [c["id"] for c in (await client.get("/api/conversations?query=mail")).json()] == [made["id"]]
    messages = (await client.get(f"/api/conversations/{other}")).json()["messages"]
    assert [(m["role"], m["text"], m["status"], m["channel"]) for m in messages] == [
        ("user", "say Hi", "ok", "api"),
        ("assistant", "Hi", "ok", "api"),
    ]


async def test_a_message_is_answered_by_a_stream(client: httpx.AsyncClient) -> None:
    talk = await new_conversation(client)
    answer = await client.post(
        f"/api/conversations/{talk}/messages", json={"text": "say one |two\nstep look"}
    )
    events = events_of(answer)
    assert [event["event"] for event in events] == ["text", "text", "step", "step", "turn_ended"]
    assert events[0] == {"id": "1", "event": "text", "data": {"kind": "text", "text": "one "}}
    message_id = answer.headers["parlance-message-id"]
    assert events[-1]["data"] == {"kind": "turn_ended", "message_id": message_id, "status": "ok"}


async def test_a_message_is_answered_in_one_piece(client: httpx.AsyncClient) -> None:
    talk = await new_conversation(client)
    for accept in ("application/json", "text/html;q=0.5, application/json; charset=utf-8"):
        answer = await client.post(
            f"/api/conversations/{talk}/messages",
            json={"text": "say one |two\nfail"},
            headers={"Accept": accept},
        )
        collected = answer.json()
        assert collected["conversation_id"] == talk
        assert (collected["status"], collected["text"]) == ("failed", "one twoso far")
        assert [part["kind"] for part in collected["parts"]] == ["text", "error"]
        assert collected["message_id"] == collected["id"]


async def test_a_stream_comes_as_it_happens_and_going_away_stops_nothing(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    talk = await new_conversation(client)
    gate = tmp_path / "gate"
    body = {"text": f"say early\nhold {gate}\nsay late"}
    async with client.stream("POST", f"/api/conversations/{talk}/messages", json=body) as answer:
        message_id = answer.headers["parlance-message-id"]
        lines = answer.aiter_lines()
        assert [await anext(lines) for _ in range(2)] == [
            "event: text",
            'data: {"kind":"text","text":"early"}',
        ]
    open_gate(gate)
    events = f"/api/conversations/{talk}/messages/{message_id}/events"
    rest = events_of(await client.get(events, headers={"Last-Event-ID": "1"}))
    assert [(event["id"], event["event"]) for event in rest] == [
        ("2", "text"),
        ("3", "text"),
        ("4", "turn_ended"),
    ]
    played = events_of(await client.get(events))
    assert [event["data"].get("text") for event in played] == ["early passedlate", None]
    assert (await client.get(events, headers={"Last-Event-ID": "9"})).status_code == 204


async def test_an_idempotency_key_makes_one_message_of_many(client: httpx.AsyncClient) -> None:
    talk = await new_conversation(client)
    sent = [
        client.post(
            f"/api/conversations/{talk}/messages",
            json={"text": "say once"},
            headers={"Idempotency-Key": "k1", "Accept": "application/json"},
        )
        for _ in range(10)
    ]
    answers = await asyncio.gather(*sent)
    assert len({answer.json()["message_id"] for answer in answers}) == 1
    assert len((await client.get(f"/api/conversations/{talk}")).json()["messages"]) == 2
    other = await new_conversation(client)
    again = await client.post(
        f"/api/conversations/{other}/messages", json={"text": "x"}, headers={"Idempotency-Key": "k1"}
    )
    assert (again.status_code, again.json()["error"]["code"]) == (409, "conflict")


async def test_a_turn_can_be_stopped(client: httpx.AsyncClient, tmp_path: Path) -> None:
    talk = await new_conversation(client)
    path = f"/api/conversations/{talk}"
    turn = asyncio.create_task(
        client.post(f"{path}/messages", json={"text": f"say a\nhold {tmp_path / 'never'}"})
    )

    async def speaks() -> bool:
        messages = (await client.get(path)).json()["messages"]
        return bool(messages) and messages[-1]["text"] == "a"

    await eventually(speaks)
    assert (await client.post(f"{path}/stop")).status_code == 204
    assert events_of(await turn)[-1]["data"]["status"] == "stopped"


async def test_check_says_what_the_checker_says(client: httpx.AsyncClient) -> None:
    assert (await client.post("/api/check", json={"yaml": QUICK})).json() == []
    answer = await client.post("/api/check", json={"yaml": QUICK.replace("{state.who}", "{state.whom}")})
    assert answer.status_code == 200
    [problem] = [p for p in answer.json() if p["severity"] == "error"]
    assert set(problem) == {"file", "line", "column", "severity", "rule", "path", "message", "patch"}
    assert problem["line"] == 8
    assert "who" in problem["message"]
    assert (await client.post("/api/check", json={"yaml": "a: [1"})).json()[0]["line"] >= 1


async def test_workflows(client: httpx.AsyncClient, house: TestHouse) -> None:
    assert (await client.get("/api/workflows")).json() == []
    await house.workflows.save("local", None, QUICK, "first")
    await house.workflows.save("local", "quick", QUICK + "# more\n", "second")
    await house.workflows.save("local", None, QUICK.replace("quick", "a/b ä"), "odd name")
    listed = (await client.get("/api/workflows")).json()
    assert [(w["name"], w["version"], w["description"]) for w in listed] == [
        ("a/b ä", 1, "Says hello"),
        ("quick", 2, "Says hello"),
    ]
    found = (await client.get("/api/workflows/quick")).json()
    assert (found["version"], found["yaml"]) == (2, QUICK + "# more\n")
    assert [(v["version"], v["summary"]) for v in found["versions"]] == [(2, "second"), (1, "first")]
    assert (await client.get("/api/workflows/quick", params={"version": 1})).json()["yaml"] == QUICK
    assert (await client.get("/api/workflows/a/b ä")).json()["name"] == "a/b ä"
    assert (await client.get("/api/workflows/nothing")).status_code == 404


async def test_a_run_is_started_followed_and_shown(client: httpx.AsyncClient, house: TestHouse) -> None:
    await house.workflows.save("local", None, QUICK, "first")
    for body in ({"yaml": QUICK}, {"workflow": "quick"}):
        answer = await client.post("/api/runs", json={**body, "inputs": {"who": "Ann"}})
        assert answer.status_code == 202
        assert set(answer.json()) == {"run_id"}
        run_id = answer.json()["run_id"]
        events = events_of(await client.get(f"/api/runs/{run_id}/events"))
        assert [event["event"] for event in events] == [
            "run_started",
            "node_started",
            "node_ended",
            "run_ended",
        ]
        view = (await client.get(f"/api/runs/{run_id}")).json()
        assert events[-1]["data"] == view
        assert view["outputs"] == {"greeting": "Hello Ann"}
        assert view["nodes"][0] == events[2]["data"]
    assert len((await client.get("/api/runs")).json()) == 2


async def test_a_runs_events_go_on_after_the_last_one_seen(client: httpx.AsyncClient, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    answer = await client.post("/api/runs", json={"yaml": HELD, "inputs": {"gate": str(gate)}})
    events = f"/api/runs/{answer.json()['run_id']}/events"
    async with client.stream("GET", events) as live:
        seen = [line async for line in _until(live.aiter_lines(), '"id":"wait"')]
    last = [line.removeprefix("id: ") for line in seen if line.startswith("id: ")][-1]
    open_gate(gate)
    rest = events_of(await client.get(events, headers={"Last-Event-ID": last}))
    assert int(rest[0]["id"]) == int(last) + 1
    assert rest[-1]["event"] == "run_ended"
    assert (await client.get(events, headers={"Last-Event-ID": rest[-1]["id"]})).status_code == 204
    assert len(events_of(await client.get(events, headers={"Last-Event-ID": "no number"}))) == 6


async def _until(lines: AsyncIterator[str], part: str) -> AsyncIterator[str]:
    """The lines up to the end of the event that has `part` in it."""
    found = False
    async for line in lines:
        yield line
        found = found or part in line
        if found and not line:
            return


async def test_a_run_can_be_cancelled(client: httpx.AsyncClient, tmp_path: Path) -> None:
    answer = await client.post("/api/runs", json={"yaml": HELD, "inputs": {"gate": str(tmp_path / "never")}})
    run = f"/api/runs/{answer.json()['run_id']}"
    for _ in range(2):
        assert (await client.post(f"{run}/cancel")).status_code == 202
        assert (await client.get(run)).json()["status"] == "cancelled"


ERRORS: list[tuple[str, str, dict[str, Any], int, str]] = [
    ("GET", "/api/conversations/none", {}, 404, "not_found"),
    ("POST", "/api/conversations/none/messages", {"json": {"text": "x"}}, 404, "not_found"),
    ("GET", "/api/conversations/none/messages/none/events", {}, 404, "not_found"),
    ("POST", "/api/conversations/none/stop", {}, 404, "not_found"),
    ("GET", "/api/workflows/none", {}, 404, "not_found"),
    ("GET", "/api/runs/none", {}, 404, "not_found"),
    ("GET", "/api/runs/none/events", {}, 404, "not_found"),
    ("POST", "/api/runs/none/cancel", {}, 404, "not_found"),
    ("POST", "/api/runs", {"json": {"workflow": "none"}}, 404, "not_found"),
    ("POST", "/api/runs", {"json": {"yaml": QUICK}}, 422, "input_invalid"),
    ("POST", "/api/runs", {"json": {"yaml": QUICK, "inputs": {"who": 3, "x": 1}}}, 422, "input_invalid"),
    ("POST", "/api/runs", {"json": {"yaml": "flow: 1"}}, 422, "workflow_invalid"),
    ("POST", "/api/runs", {"json": {}}, 422, "input_invalid"),
    ("POST", "/api/runs", {"json": {"yaml": QUICK, "workflow": "quick"}}, 422, "input_invalid"),
    ("POST", "/api/runs", {"json": {"yaml": QUICK, "inputs": []}}, 422, "input_invalid"),
    ("POST", "/api/check", {"json": {"yam": QUICK}}, 422, "input_invalid"),
    ("POST", "/api/check", {"json": {"yaml": QUICK, "more": 1}}, 422, "input_invalid"),
    ("POST", "/api/check", {"content": b"{"}, 422, "bad_json"),
    ("POST", "/api/check", {"content": b"\xff\xfe"}, 422, "bad_json"),
    ("POST", "/api/check", {"content": b'"text"'}, 422, "input_invalid"),
    ("POST", "/api/check", {"content": b"x" * 3_000_000}, 413, "too_large"),
    ("GET", "/api/runs?limit=many", {}, 422, "input_invalid"),
    ("GET", "/api/nothing", {}, 404, "not_found"),
    ("GET", "/api/", {}, 404, "not_found"),
    ("DELETE", "/api/nothing/at/all", {}, 404, "not_found"),
    ("GET", "/api/check", {}, 405, "method_not_allowed"),
    ("DELETE", "/api/runs", {}, 405, "method_not_allowed"),
    ("PUT", "/api/conversations/none/messages", {}, 405, "method_not_allowed"),
    ("GET", "/nothing", {}, 404, "not_found"),
]


@pytest.mark.parametrize(("method", "path", "options", "status", "code"), ERRORS)
async def test_errors_have_one_shape(
    client: httpx.AsyncClient, method: str, path: str, options: dict[str, Any], status: int, code: str
) -> None:
    if "content" in options:
        options = {**options, "headers": {"Content-Type": "application/json"}}
    answer = await client.request(method, path, **options)
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"error"} | ({"problems"} if code == "workflow_invalid" else set())
    assert set(body["error"]) == {"code", "message", "fix"}
    assert body["error"]["code"] == code
    assert body["error"]["message"].endswith(".")
    if code == "workflow_invalid":
        assert body["problems"][0]["rule"]


async def test_an_empty_message_is_refused_in_words(client: httpx.AsyncClient) -> None:
    talk = await new_conversation(client)
    for text in ("", "   ", "x" * 200_001):
        answer = await client.post(f"/api/conversations/{talk}/messages", json={"text": text})
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "input_invalid")
    assert (await client.get(f"/api/conversations/{talk}")).json()["messages"] == []


async def test_a_body_that_does_not_tell_its_size_is_limited_too(client: httpx.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b"x" * 100_000

    answer = await client.post("/api/check", content=pieces(), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


async def test_a_fault_of_ours_is_logged_and_leaks_nothing(
    client: httpx.AsyncClient, house: TestHouse, caplog: pytest.LogCaptureFixture
) -> None:
    talk = await new_conversation(client)
    await house.db.execute("UPDATE conversations SET created_at = 'secret-4711' WHERE id = ?", (talk,))
    answer = await client.get(f"/api/conversations/{talk}")
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "internal_error"
    assert "secret-4711" not in answer.text
    assert "Traceback" in caplog.text


async def test_the_docs_need_no_network(client: httpx.AsyncClient) -> None:
    page = await client.get("/api/docs")
    assert page.headers["content-type"].startswith("text/html")
    described = (await client.get("/api/openapi.json")).json()
    for path, operations in described["paths"].items():
        assert path in page.text
        for operation in operations.values():
            assert operation["description"]
    for address in ("/healthz", "/api/conversations/{conversation_id}/messages", "/api/runs/{run_id}/cancel"):
        assert address in described["paths"]
    assert "<script" not in page.text
    assert "//" not in page.text.replace(str(client.base_url).rstrip("/"), "")


async def test_a_page_hears_of_its_conversation(client: httpx.AsyncClient) -> None:
    talk = await new_conversation(client)
    address = str(client.base_url).rstrip("/").replace("http", "ws")
    async with connect(f"{address}/api/events?conversation={talk}") as socket:
        assert json.loads(await socket.recv())["type"] == "ready"
        await client.post(f"/api/conversations/{talk}/messages", json={"text": "say hi"})
        told = [json.loads(await socket.recv()) for _ in range(4)]
        assert [nudge["type"] for nudge in told] == ["message", "list_changed", "turn_started", "turn_ended"]
    with pytest.raises(ConnectionClosed) as closed:
        async with connect(f"{address}/api/events?conversation=none") as socket:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4404
