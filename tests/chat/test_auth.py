"""The two gates: Host and Origin for everybody, the password where one is set."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from chat.api import sessions
from chat.api.guard import _name
from chat.api.login import COOKIE, _local
from chat.api.sessions import ENDED_FILE, KEY_FILE, Sessions, Tries
from tests.chat.house import TestHouse
from tests.chat.serving import served

PASSWORD = "correct horse § battery"


def page(app: FastAPI) -> None:
    """Something mounted at / like the real page."""
    app.mount("/", Starlette(routes=[Route("/{rest:path}", lambda request: PlainTextResponse("the page"))]))


@pytest.fixture
def house(tmp_path: Path) -> TestHouse:
    return TestHouse(tmp_path)


@pytest.fixture
async def client(house: TestHouse) -> AsyncIterator[httpx.AsyncClient]:
    """A client that has not signed in."""
    async with (
        served(house, password=PASSWORD, page=page) as address,
        httpx.AsyncClient(base_url=address, timeout=20) as client,
    ):
        yield client


@pytest.fixture
async def open_client(house: TestHouse) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server without a password."""
    async with served(house, page=page) as address, httpx.AsyncClient(base_url=address, timeout=20) as client:
        yield client


def bearer(token: str) -> dict[bytes, bytes]:
    return {b"Authorization": b"Bearer " + token.encode()}


async def sign_in(client: httpx.AsyncClient, password: str = PASSWORD, **more: str) -> httpx.Response:
    return await client.post("/login", data={"password": password, **more})


@pytest.mark.parametrize(
    "path", ["/", "/api/conversations", "/api/docs", "/api/openapi.json", "/gradio_api/queue"]
)
async def test_nothing_answers_without_the_password(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "login_required"
    assert answer.headers["www-authenticate"] == "Bearer"
    browser = await client.get(path, headers={"Accept": "text/html,*/*"})
    assert browser.status_code == 303
    assert browser.headers["location"].startswith("/login?next=%2F")
    assert (await client.post(path, headers={"Accept": "text/html"})).status_code == 401
    assert (await client.get(path, headers=bearer(PASSWORD))).status_code == 200 or path.startswith("/api/c")


async def test_health_tells_strangers_the_status_alone(client: httpx.AsyncClient) -> None:
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    assert (await client.get("/healthz", headers=bearer("wrong"))).json() == {"status": "ok"}
    assert "version" in (await client.get("/healthz", headers=bearer(PASSWORD))).json()


async def test_sign_in_use_and_sign_out(client: httpx.AsyncClient) -> None:
    form = await client.get("/login?next=/api/docs")
    assert form.status_code == 200
    assert 'name="next" value="/api/docs"' in form.text
    assert "//" not in form.text.replace("<!doctype", "")
    done = await sign_in(client, next="/api/docs")
    assert (done.status_code, done.headers["location"]) == (303, "/api/docs")
    cookie = done.headers["set-cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=lax", "Path=/", "Max-Age="))
    assert PASSWORD not in cookie
    assert (await client.get("/")).text == "the page"
    assert (await client.get("/api/conversations")).json() == []
    kept = f"{COOKIE}={client.cookies[COOKIE]}"
    assert (await client.get("/logout")).status_code == 405
    out = await client.post("/logout")
    assert (out.status_code, out.headers["location"]) == (303, "/login")
    assert COOKIE not in client.cookies
    assert (await client.get("/api/conversations", headers={"Cookie": kept})).status_code == 401


async def test_who_signs_out_loses_his_open_sockets(client: httpx.AsyncClient) -> None:
    await client.post("/login", data={"password": PASSWORD})
    value = client.cookies[COOKIE]
    address = str(client.base_url).replace("http", "ws").rstrip("/") + "/api/events"
    async with connect(address, additional_headers={"Cookie": f"{COOKIE}={value}"}) as socket:
        await client.post("/logout")
        await asyncio.wait_for(socket.wait_closed(), 10)
        assert socket.close_code == 4401


def test_a_session_that_was_ended_stays_ended_in_the_next_process(tmp_path: Path) -> None:
    first = Sessions(tmp_path, PASSWORD)
    ended, kept = first.start(), first.start()
    first.end(ended)
    second = Sessions(tmp_path, PASSWORD)
    assert not second.valid(ended)
    assert second.valid(kept)
    assert stat.S_IMODE((tmp_path / ENDED_FILE).stat().st_mode) == 0o600
    assert ended not in (tmp_path / ENDED_FILE).read_text()


def test_when_the_list_of_ended_sessions_is_spoilt_all_have_ended(tmp_path: Path) -> None:
    first = Sessions(tmp_path, PASSWORD)
    kept = first.start()
    (tmp_path / ENDED_FILE).write_text("[1, ", encoding="ascii")
    second = Sessions(tmp_path, PASSWORD)
    assert not second.valid(kept)
    again = second.start()
    assert Sessions(tmp_path, PASSWORD).valid(again)


async def test_a_wrong_password_is_told_and_many_are_stopped(client: httpx.AsyncClient) -> None:
    wrong = await sign_in(client, "wrong", next="/<b>")
    assert wrong.status_code == 401
    assert "That is not the password." in wrong.text
    assert "/<b>" not in wrong.text
    assert (await client.get("/api/runs", headers=bearer("wrong"))).json()["error"]["code"] == "login_failed"
    for _ in range(sessions.TRIES - 2):
        await sign_in(client, "wrong")
    late = await sign_in(client)
    assert late.status_code == 429
    assert int(late.headers["retry-after"]) > 200
    assert "Too many" in late.text
    refused = await client.get("/api/runs", headers=bearer(PASSWORD))
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_tries")


async def test_who_is_signed_in_is_not_locked_out(client: httpx.AsyncClient) -> None:
    await sign_in(client)
    for _ in range(sessions.TRIES + 1):
        await sign_in(client, "wrong")
    assert (await client.get("/api/runs")).status_code == 200


@pytest.mark.parametrize("body", [b"", b"password=", b"password", b"\xff\xfe", b"password=" + b"x" * 20_000])
async def test_odd_forms_are_wrong_passwords(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post("/login", content=body)
    assert answer.status_code == 401


async def test_a_websocket_needs_the_password(client: httpx.AsyncClient) -> None:
    address = str(client.base_url).rstrip("/").replace("http", "ws") + "/api/events"
    with pytest.raises(InvalidStatus) as refused:
        async with connect(address):
            pass
    assert refused.value.response.status_code == 403
    await sign_in(client)
    cookie = f"{COOKIE}={client.cookies[COOKIE]}"
    async with connect(address, additional_headers={"Cookie": cookie}) as socket:
        assert '"ready"' in str(await socket.recv())


async def test_without_a_password_everything_is_open(open_client: httpx.AsyncClient) -> None:
    assert (await open_client.get("/")).text == "the page"
    assert (await open_client.get("/api/runs")).json() == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost"}, 200),
        ({"Host": "LOCALHOST:80"}, 200),
        ({"Host": "[::1]:7860"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example:7860"}, 403),
        ({"Host": "localhost:7860@evil.example"}, 403),
        ({"Host": "localhost/evil"}, 403),
        ({"Host": ""}, 403),
        ({"Host": "localhost:1", "Origin": "http://localhost:1"}, 200),
        ({"Host": "localhost:1", "Origin": "http://localhost:2"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
    ],
)
async def test_host_and_origin(open_client: httpx.AsyncClient, headers: dict[str, str], status: int) -> None:
    for method, path in (
        ("GET", "/"),
        ("GET", "/healthz"),
        ("GET", "/api/runs"),
        ("POST", "/api/conversations"),
    ):
        answer = await open_client.request(method, path, headers=headers)
        assert answer.status_code in (status, 201 if status == 200 else status)
        if status == 403:
            assert answer.json()["error"]["code"] == "forbidden"


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Host": "evil.example"}])
async def test_a_foreign_site_gets_no_websocket(
    open_client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    address = str(open_client.base_url).rstrip("/").replace("http", "ws") + "/api/events"
    options: dict[str, Any] = {"origin": headers["Origin"]} if "Origin" in headers else {}
    if "Host" in headers:
        port = open_client.base_url.port
        address = f"ws://evil.example:{port}/api/events"
        options = {"host": "127.0.0.1", "port": port}
    with pytest.raises(InvalidStatus):
        async with connect(address, **options):
            pass


async def test_a_server_on_all_addresses_takes_any_name(house: TestHouse) -> None:
    async with (
        served(house, password=PASSWORD, host="0.0.0.0") as address,
        httpx.AsyncClient(base_url=address) as client,
    ):
        answer = await client.get("/healthz", headers={"Host": "parlance.example:7860"})
        assert answer.status_code == 200
        foreign = {"Host": "parlance.example", "Origin": "http://evil.example"}
        assert (await client.get("/healthz", headers=foreign)).status_code == 403


async def test_pages_may_load_and_send_nothing_elsewhere(open_client: httpx.AsyncClient) -> None:
    for path in ("/", "/api/docs", "/api/runs", "/api/none"):
        headers = (await open_client.get(path)).headers
        policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
        host = open_client.base_url.netloc.decode()
        assert policy["img-src"] == "'self' data: blob:"
        assert policy["connect-src"] == f"'self' ws://{host} wss://{host}"
        assert policy["default-src"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"


def test_a_session_ends_with_its_time_its_password_and_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = Sessions(tmp_path, PASSWORD)
    value = mine.start()
    assert mine.valid(value)
    assert Sessions(tmp_path, PASSWORD).valid(value)
    assert not Sessions(tmp_path, "other").valid(value)
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600
    now = sessions.time.time()
    monkeypatch.setattr(sessions.time, "time", lambda: now + sessions.LIFETIME + 1)
    assert not mine.valid(value)
    monkeypatch.undo()
    (tmp_path / KEY_FILE).write_text("damaged")
    assert not Sessions(tmp_path, PASSWORD).valid(value)
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600


@given(st.integers(0, 200), st.characters(min_codepoint=33, max_codepoint=126))
def test_a_changed_cookie_is_refused(
    tmp_path_factory: pytest.TempPathFactory, place: int, letter: str
) -> None:
    kept = Sessions(tmp_path_factory.getbasetemp(), PASSWORD)
    value = kept.start()
    place %= len(value)
    changed = value[:place] + letter + value[place + 1 :]
    assert kept.valid(changed) == (changed == value)


@given(st.text())
def test_any_cookie_is_read_without_a_fault(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    assert not Sessions(tmp_path_factory.getbasetemp(), PASSWORD).valid(value)


def test_tries_are_forgotten_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(sessions.time, "monotonic", lambda: now)
    tries = Tries()
    for _ in range(sessions.TRIES):
        assert tries.wait("a") == 0
        tries.failed("a")
    assert tries.wait("a") == sessions.WINDOW
    assert tries.wait("b") == 0
    now += sessions.WINDOW / 2
    assert tries.wait("a") == sessions.WINDOW / 2
    now += sessions.WINDOW / 2 + 1
    assert tries.wait("a") == 0
    for number in range(sessions.TRIES_OF_ALL):
        tries.failed(str(number))
    assert tries.wait("new") > 0


@pytest.mark.parametrize(
    ("asked", "used"),
    [
        ("/", "/"),
        ("/api/docs?a=b#c", "/api/docs?a=b#c"),
        ("", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\nb", "/"),
        ("/\t/evil.example", "/"),
        ("api", "/"),
    ],
)
def test_signing_in_leads_nowhere_else(asked: str, used: str) -> None:
    assert _local(asked) == used


@given(st.text())
def test_a_host_header_is_a_name_or_nothing(host: str) -> None:
    name = _name(host)
    assert name is None or (set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789._:-") and name)
