"""Taking along what is kept of a person, and erasing it: nothing of it is left in the files."""

from __future__ import annotations

import io
import json
import sqlite3
import zipfile
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from engine.errors import InputError, NotFound
from engine.ports import RunEnd
from sessions.credentials import Credentials
from tests.chat.house import HELD, QUICK, TestHouse, eventually, open_gate
from tests.chat.serving import served

ANN, BOB = "local", "bob"
WORD = "Zwetschgendatschi"
"""Stands in everything that belongs to the person."""
MINE = QUICK.replace("Says hello", f"Says hello {WORD}")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[TestHouse]:
    found = await TestHouse(tmp_path / "home").start()
    yield found
    await found.close()


async def fill(house: TestHouse, owner: str, word: str = WORD) -> str:
    """Something of everything; the conversation's id."""
    talk = (await house.service.create(owner, f"About {word}")).id
    for n in range(20):  # more than one segment of the index
        await house.answer(owner, talk, f"say {word} number {n}")
    text = MINE.replace(WORD, word)
    await house.service.save_yaml(owner, talk, text, f"first {word}")
    await house.service.save_yaml(owner, talk, text + f"# {word}\n", f"second {word}")
    await house.service.proofs.tests.add(owner, "quick", word, f"Say {word}!", {"inputs": {"who": word}})
    run = await house.service.start_run(owner, talk, {"who": word})
    await house.engine.wait(run)
    card = (await house.service.get(owner, talk)).messages[-1]
    await house.events(owner, talk, card.id)
    await house.service.timetable.add(owner, cron="0 9 * * 1", workflow="quick", inputs={"who": word})
    await house.service.preferences.set(owner, language="de", timezone="Europe/Berlin")
    files = house.home / "files"
    files.mkdir(exist_ok=True)
    (files / "note.txt").write_text(word)
    return talk


def left(home: Path, word: str) -> list[str]:
    """The files of the data folder in which a word stands, in one of the ways in which text is stored."""
    needles = [word.encode(), word.encode("utf-16-le"), word.lower().encode()]
    needles += [word[5:11].encode()]  # the index keeps pieces of words apart
    return [
        str(file.relative_to(home))
        for file in sorted(home.rglob("*"))
        if file.is_file() and any(needle in file.read_bytes() for needle in needles)
    ]


def indexed(home: Path, piece: bytes) -> bool:
    """Whether the index of messages still has a piece of a word; what is deleted from it stays until it is merged."""
    with closing(sqlite3.connect(home / "parlance.db")) as connection:
        blocks = connection.execute("SELECT block FROM messages_index_data").fetchall()
    return any(piece in block for (block,) in blocks)


async def exported(house: TestHouse, owner: str) -> zipfile.ZipFile:
    pieces = [piece async for piece in house.service.my_data.export(owner)]
    found = zipfile.ZipFile(io.BytesIO(b"".join(pieces)))
    assert found.testzip() is None
    return found


async def test_an_export_has_everything_of_the_owner_and_of_nobody_else(house: TestHouse) -> None:
    talk = await fill(house, ANN)
    await fill(house, BOB, "Topfenstrudel")
    found = await exported(house, ANN)
    names = found.namelist()
    assert len(names) == len(set(names))
    every = {name: found.read(name).decode() for name in names}
    assert not [
        name for name, text in every.items() if "Topfenstrudel" in text and not name.startswith("files/")
    ]
    (conversation,) = [name for name in names if name.startswith("conversations/") and name.endswith(".json")]
    said = json.loads(every[conversation])
    assert (said["id"], len(said["messages"])) == (talk, 41)
    assert f"{WORD} number 19" in every[conversation.replace(".json", ".md")]
    folder = "workflows/001 quick"
    assert every[f"{folder}/version 1.yaml"] == MINE
    assert every[f"{folder}/version 2.yaml"] == MINE + f"# {WORD}\n"
    assert [v["author"] for v in json.loads(every[f"{folder}/versions.json"])["versions"]] == ["editor"] * 2
    assert json.loads(every[f"{folder}/tests.json"])[0]["quote"] == f"Say {WORD}!"
    (run,) = [json.loads(every[name]) for name in names if name.startswith("runs/")]
    assert (run["inputs"], run["rows"][0]["writes"]) == ({"who": WORD}, {"greeting": f"Hello {WORD}"})
    assert json.loads(every["schedules.json"])[0]["inputs"] == {"who": WORD}
    assert json.loads(every["preferences.json"])["language"] == "de"


async def test_an_export_comes_in_pieces_and_has_every_run(house: TestHouse) -> None:
    await fill(house, ANN)
    record = await house.engine.store.find(owner=ANN)
    base = await house.engine.store.get(record[0].id)
    many = [
        replace(base, id=f"run{n}", root_id=f"run{n}", created_at=1000.0, status="running")
        for n in range(450)
    ]
    await house.engine.store.create(*many)
    for run in many:
        await house.engine.store.append(run.id, run.epoch, [], RunEnd("ok", 1001.0, 1))
    pieces = [piece async for piece in house.service.my_data.export(ANN)]
    found = zipfile.ZipFile(io.BytesIO(b"".join(pieces)))
    assert len([name for name in found.namelist() if name.startswith("runs/")]) == 451
    assert len(pieces) > 1


async def test_nothing_is_left_in_the_files_after_an_erase(house: TestHouse) -> None:
    talk = await fill(house, ANN)
    await fill(house, BOB, "Topfenstrudel")
    Credentials(house.home).set_key("openai", f"sk-{WORD}")
    assert left(house.home, WORD)
    assert indexed(house.home, b"zwe")
    with pytest.raises(InputError, match="Nothing was erased"):
        await house.service.my_data.erase(ANN, "yes")
    with pytest.raises(InputError):
        await house.service.my_data.erase(ANN, "")
    assert len(await house.service.list(ANN)) == 1
    gone = await house.service.my_data.erase(ANN, "Erase my data\n")
    assert gone == {"conversations": 1, "workflows": 1, "schedules": 1, "runs": 1, "files": 1, "keys": 1}
    assert left(house.home, WORD) == []
    assert not indexed(house.home, b"zwe")
    with pytest.raises(NotFound):
        await house.service.get(ANN, talk)
    assert len((await exported(house, ANN)).namelist()) == 3
    assert [c.title for c in await house.service.list(BOB, "Topfenstrudel")] == ["About Topfenstrudel"]
    assert len(await house.service.runs(BOB)) == 1
    assert Credentials(house.home).keys() == {}
    assert len(await house.service.list(ANN)) == 0
    await fill(house, ANN, "Marillenknödel")
    assert len(await house.service.list(ANN, "Marillenknödel")) == 1


async def test_what_is_under_way_is_ended_first(house: TestHouse, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    talk = (await house.service.create(ANN)).id
    await house.service.post(ANN, talk, f"say {WORD}\nrun {gate}\nhold {gate}")
    await eventually(lambda: house.service.runs(ANN, status="running"))
    loose = await house.service.start_detached_run(ANN, HELD, {"gate": str(gate)})
    gone = await house.service.my_data.erase(ANN, "erase my data")
    assert (gone["conversations"], gone["runs"]) == (1, 2)
    open_gate(gate, WORD)
    for call in (house.service.get(ANN, talk), house.service.view_run(ANN, loose)):
        with pytest.raises(NotFound):
            await call
    assert await house.service.runs(ANN) == []
    assert left(house.home, WORD) == []


async def test_over_the_api(tmp_path: Path) -> None:
    house = TestHouse(tmp_path / "home")
    async with served(house) as address, httpx.AsyncClient(base_url=address, timeout=20) as client:
        await fill(house, ANN)
        assert (await client.get("/api/preferences")).json()["language"] == "de"
        changed = await client.patch("/api/preferences", json={"language": None, "daily_cap_usd": 2})
        assert (changed.json()["language"], changed.json()["daily_cap_usd"]) == (None, 2)
        for wrong in ({"language": "no language"}, {"owner": "x"}, {"self": 1}):
            assert (await client.patch("/api/preferences", json=wrong)).status_code == 422
        answer = await client.get("/api/data/export")
        assert answer.headers["content-type"] == "application/zip"
        assert len(zipfile.ZipFile(io.BytesIO(answer.content)).namelist()) > 8
        assert (await client.post("/api/data/erase", json={"confirm": "no"})).status_code == 422
        assert (await client.post("/api/data/erase", json={})).status_code == 422
        done = await client.post("/api/data/erase", json={"confirm": "erase my data"})
        assert done.json()["runs"] == 1
        assert (await client.get("/api/workflows")).json() == []
        assert left(house.home, WORD) == []
