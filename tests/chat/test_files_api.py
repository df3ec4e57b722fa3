"""Files over real HTTP: sent up, attached, sent down, refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from sessions.files import LARGEST_FILE, MOST_FILES
from tests.chat.house import TestHouse, eventually
from tests.chat.serving import served
from tests.files import image, pdf


@pytest.fixture
def house(tmp_path: Path) -> TestHouse:
    return TestHouse(tmp_path)


@pytest.fixture
async def client(house: TestHouse) -> AsyncIterator[httpx.AsyncClient]:
    async with served(house) as address, httpx.AsyncClient(base_url=address, timeout=20) as client:
        yield client


async def upload(client: httpx.AsyncClient, name: str, content: bytes) -> str:
    answer = await client.post("/api/files", content=content, headers={"Parlance-File-Name": quote(name)})
    assert answer.status_code == 201, answer.text
    assert answer.json()["name"] == name
    return str(answer.json()["id"])


async def conversation(client: httpx.AsyncClient) -> str:
    return str((await client.post("/api/conversations")).json()["id"])


async def say(
    client: httpx.AsyncClient, where: str, text: str, files: list[str], key: str = ""
) -> httpx.Response:
    headers = {"Accept": "application/json"} | ({"Idempotency-Key": key} if key else {})
    body = {"text": text, "files": files}
    return await client.post(f"/api/conversations/{where}/messages", json=body, headers=headers)


async def test_a_file_is_attached_and_sent_down(client: httpx.AsyncClient, house: TestHouse) -> None:
    where = await conversation(client)
    file = await upload(client, "Bericht für März.pdf", pdf("Umsatz"))
    assert (await say(client, where, "say thanks", [file])).status_code == 200
    question = (await client.get(f"/api/conversations/{where}")).json()["messages"][0]
    assert question["text"] == "say thanks"
    assert question["parts"][0] == {"kind": "text", "text": "say thanks"}
    about = {key: question["parts"][1][key] for key in ("kind", "id", "name", "media_type")}
    name = "Bericht für März.pdf"
    assert about == {"kind": "file", "id": file, "name": name, "media_type": "application/pdf"}
    assert house.assistant.seen[0].files[0]["id"] == file
    down = await client.get(f"/api/files/{file}")
    assert down.content == pdf("Umsatz")
    assert down.headers["content-disposition"] == f"attachment; filename*=UTF-8''{quote(name)}"
    assert down.headers["x-content-type-options"] == "nosniff"
    assert (await client.get(f"/api/files/{file}/details")).json()["details"]["pages"] == 1


async def test_html_is_never_shown_in_place(client: httpx.AsyncClient) -> None:
    file = await upload(client, "a.txt", b"<html><script>alert(1)</script>")
    down = await client.get(f"/api/files/{file}")
    assert down.headers["content-type"] == "text/plain; charset=utf-8"
    assert down.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in down.headers["content-security-policy"]


async def test_a_message_may_be_files_alone(client: httpx.AsyncClient) -> None:
    where = await conversation(client)
    file = await upload(client, "cat.png", image())
    assert (await say(client, where, "", [file])).status_code == 200
    found = (await client.get(f"/api/conversations/{where}")).json()
    assert found["title"] == "cat.png"
    assert [part["kind"] for part in found["messages"][0]["parts"]] == ["file"]
    assert (await say(client, where, "", [])).status_code == 422


async def test_the_same_message_twice_is_one(client: httpx.AsyncClient) -> None:
    where = await conversation(client)
    file = await upload(client, "a.txt", b"a")
    for _ in range(2):
        assert (await say(client, where, "say x", [file], key="k1")).status_code == 200
    assert len((await client.get(f"/api/conversations/{where}")).json()["messages"]) == 2


async def test_an_edited_message_keeps_its_files(client: httpx.AsyncClient, house: TestHouse) -> None:
    where = await conversation(client)
    file = await upload(client, "a.txt", b"a")
    await say(client, where, "say x", [file])
    first = (await client.get(f"/api/conversations/{where}")).json()["messages"][0]
    answer = await house.service.edit("local", where, first["id"], "say y")
    await house.events("local", where, answer)
    again = (await client.get(f"/api/conversations/{where}")).json()["messages"]
    assert [part["kind"] for part in again[0]["parts"]] == ["text", "file"]
    assert again[0]["text"] == "say y"
    answer = await house.service.regenerate("local", where, again[1]["id"])
    await house.events("local", where, answer)
    assert [context.files[0]["id"] for context in house.assistant.seen] == [file] * 3


async def test_files_go_with_their_conversation(client: httpx.AsyncClient, house: TestHouse) -> None:
    where = await conversation(client)
    file = await upload(client, "a.pdf", pdf("a"))
    await say(client, where, "say x", [file])
    assert (await client.delete(f"/api/files/{file}")).status_code == 409
    assert len(list((house.home / "files").iterdir())) == 2
    await house.service.delete("local", where)
    assert (await client.get(f"/api/files/{file}")).status_code == 404
    assert list((house.home / "files").iterdir()) == []


async def test_an_unused_file_is_deleted(client: httpx.AsyncClient, house: TestHouse) -> None:
    file = await upload(client, "a.txt", b"a")
    assert (await client.delete(f"/api/files/{file}")).status_code == 204
    assert (await client.get(f"/api/files/{file}")).status_code == 404
    assert list((house.home / "files").iterdir()) == []


async def test_what_cannot_be_attached(client: httpx.AsyncClient, house: TestHouse) -> None:
    refused = await client.post("/api/files", content=b"MZ\x90\x00\x00\x00")
    assert refused.status_code == 422
    assert "can't be attached" in refused.json()["error"]["message"]
    large = await client.post("/api/files", content=b"x" * (LARGEST_FILE + 1))
    assert large.status_code == 422
    assert large.json()["error"]["message"] == "“file” is larger than 20 MB."
    assert (await client.post("/api/files", content=b"x" * (LARGEST_FILE + 2))).status_code == 413
    where = await conversation(client)
    assert (await say(client, where, "say x", ["nothing"])).status_code == 404
    assert (await say(client, where, "say x", [str(n) for n in range(MOST_FILES + 1)])).status_code == 422
    assert (await client.get(f"/api/conversations/{where}")).json()["messages"] == []
    assert list((house.home / "files").iterdir()) == []


async def test_a_caller_that_goes_away_leaves_nothing(client: httpx.AsyncClient, house: TestHouse) -> None:
    folder = house.home / "files"
    begun = asyncio.Event()

    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 1000
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(client.post("/api/files", content=broken()))
    await begun.wait()

    async def count(wanted: int) -> bool:
        return folder.exists() and len(list(folder.iterdir())) == wanted

    await eventually(lambda: count(1))
    task.cancel()
    await eventually(lambda: count(0))
