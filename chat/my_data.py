"""What an owner has here, to take along or to erase: conversations, workflows, runs, schedules, preferences, keys.

An export is a zip that is made while it is sent: a conversation or a run at a time, packed on a thread. After an erase
no word of it is left in the files of this machine's database.
"""

from __future__ import annotations

import asyncio
import io
import json
import re
import shutil
import time
import zipfile
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from chat.schedules import schedules_view
from engine.errors import InputError
from engine.ports import RunStatus
from sessions.conversations import iso
from sessions.credentials import Credentials
from sessions.my_data import OwnerData

if TYPE_CHECKING:
    from chat.service import ChatService
    from engine.ports import RunRecord

CONFIRM = "erase my data"
"""What is to be said for an erase."""
FILES = "files"
"""The folder of what was attached, in the data folder."""
END_SECONDS = 10.0
"""How long runs that were cancelled are waited for."""
OPEN: tuple[RunStatus, ...] = ("running", "waiting", "unknown")
PAGE = 200
CHUNK = 64 * 1024
README = """\
This is what Parlance had kept of you on {when}.

conversations/  one file of JSON with everything, and one to read, for each conversation
workflows/      each version of each workflow as YAML, who made it, why and its proof; its tests
runs/           each run with its document, its rows and what it asked
schedules.json, preferences.json; other/ has what else there is, by table
files/          what was attached to messages, where there is any

Keys of model providers are not in here.
"""


class MyData:
    """The data of owners. `home` is the folder with the keys and what was attached."""

    def __init__(self, service: ChatService, home: Path) -> None:
        self._service = service
        self._home = home
        self._rows = OwnerData(service.db)

    # --- export ---

    async def export(self, owner: str) -> AsyncGenerator[bytes]:
        """The pieces of a zip, in order."""
        sink = _Sink()
        packed = zipfile.ZipFile(cast(IO[bytes], sink), "w", zipfile.ZIP_DEFLATED, strict_timestamps=False)
        async for name, content in self._files(owner):
            await asyncio.to_thread(packed.writestr, name, content)
            if len(sink.pieces) >= CHUNK:
                yield sink.take()
        packed.close()
        yield sink.take()

    async def _files(self, owner: str) -> AsyncIterator[tuple[str, bytes]]:
        yield "README.txt", README.format(when=iso(time.time())).encode()
        async for named in self._conversations(owner):
            yield named
        async for named in self._workflows(owner):
            yield named
        async for named in self._runs(owner):
            yield named
        schedules = await self._service.timetable.list(owner)
        yield "schedules.json", _json(await asyncio.to_thread(schedules_view, schedules))
        yield "preferences.json", _json(await self._service.preferences.get(owner))
        for table, rows in (await self._rows.others(owner)).items():
            yield f"other/{table}.json", await asyncio.to_thread(_json, rows)
        for file in await asyncio.to_thread(self._attached):
            yield f"{FILES}/{file.relative_to(self._home / FILES)}", await asyncio.to_thread(file.read_bytes)

    async def _conversations(self, owner: str) -> AsyncIterator[tuple[str, bytes]]:
        for id in await self._rows.conversation_ids(owner):
            head = (await self._service.conversations.head(owner, id)).to_dict()
            messages = await self._rows.messages(id)
            name = f"conversations/{head['created_at'][:10]} {_slug(head['title'])} {id[:8]}"
            yield f"{name}.json", await asyncio.to_thread(_json, {**head, "messages": messages})
            yield f"{name}.md", await asyncio.to_thread(_markdown, head, messages)

    async def _workflows(self, owner: str) -> AsyncIterator[tuple[str, bytes]]:
        for number, summary in enumerate(await self._service.workflows.list(owner, archived=None), start=1):
            folder = f"workflows/{number:03} {_slug(summary.name)}"
            versions = [v.to_dict() for v in await self._service.workflows.versions(owner, summary.name)]
            tests = [t.to_dict() for t in await self._service.proofs.tests.list(owner, summary.name)]
            for version in versions:
                yield f"{folder}/version {version['version']}.yaml", version.pop("yaml").encode()
            yield f"{folder}/versions.json", _json({**summary.to_dict(), "versions": versions})
            if tests:
                yield f"{folder}/tests.json", _json(tests)

    async def _runs(self, owner: str) -> AsyncIterator[tuple[str, bytes]]:
        store = self._service.engine.store
        for found in await self._all_runs(owner):
            run = await store.get(found)
            rows = [asdict(row) for row in await store.rows(run.id)]
            waits = [asdict(wait) for wait in await store.waits(run_id=run.id, answered=None, limit=10**6)]
            name = f"runs/{iso(run.created_at)[:10]} {_slug(run.workflow)} {run.id}.json"
            yield name, await asyncio.to_thread(_json, {**asdict(run), "rows": rows, "waits": waits})

    async def _all_runs(self, owner: str) -> list[str]:
        """The ids of all runs, those that are parts of others too, the newest first."""
        seen: dict[str, None] = {}
        before, limit = None, PAGE
        while True:
            page = await self._service.engine.store.find(
                owner=owner, before=before, limit=limit, children=True
            )
            fresh = [run.id for run in page if run.id not in seen]
            seen.update(dict.fromkeys(fresh))
            if len(page) < limit:
                return list(seen)
            # What was created in the same moment as the last one is looked at again.
            limit = limit if fresh else limit * 2
            before = page[-1].created_at + 1e-6

    def _attached(self) -> list[Path]:
        return sorted(path for path in (self._home / FILES).rglob("*") if path.is_file())

    # --- erase ---

    async def erase(self, owner: str, confirm: str) -> dict[str, int]:
        """Delete everything of the owner's, for good; how much of what there was. Runs are cancelled first.

        InputError unless `confirm` is CONFIRM. StoreError where all is deleted and another program keeps the database's
        files from being written anew; once more helps then.
        """
        if confirm.strip().casefold() != CONFIRM:
            raise InputError(
                "Nothing was erased.", f'To erase everything, confirm with "{CONFIRM}".', "confirm"
            )
        service, store = self._service, self._service.engine.store
        schedules = await service.timetable.list(owner)
        for schedule in schedules:
            await service.timetable.remove(owner, schedule.id)
        conversations = await self._rows.conversation_ids(owner)
        for id in conversations:
            await service.delete(owner, id)
        await self._end_runs(owner)
        gone = {
            "conversations": len(conversations),
            "workflows": len(await service.workflows.list(owner, archived=None)),
            "schedules": len(schedules),
            "runs": await store.erase(owner),
        }
        await self._rows.erase(owner)
        gone |= await asyncio.to_thread(self._erase_files)
        await self._rows.scrub()
        service.hub.publish(owner, "", "list_changed")
        return gone

    async def _end_runs(self, owner: str) -> None:
        """Cancel what has not ended, and give it some seconds to end; what is left then ends with its rows."""
        engine = self._service.engine
        going = await self._open_runs(owner)
        for run in going:
            await engine.cancel(run.id)
        with suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                await asyncio.gather(*(engine.wait(run.id) for run in going), return_exceptions=True)

    async def _open_runs(self, owner: str) -> list[RunRecord]:
        store = self._service.engine.store
        found: list[RunRecord] = []
        for status in OPEN:
            found += await store.find(owner=owner, status=status, limit=10**6)
        return found

    def _erase_files(self) -> dict[str, int]:
        files = len(self._attached())
        shutil.rmtree(self._home / FILES, ignore_errors=True)
        credentials = Credentials(self._home)
        keys = len(credentials.keys())
        credentials.forget()
        return {"files": files, "keys": keys}


class _Sink:
    """Takes what a zip writes, to be handed on."""

    def __init__(self) -> None:
        self.pieces = bytearray()

    def write(self, data: bytes) -> int:
        self.pieces += data
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        taken = bytes(self.pieces)
        self.pieces.clear()
        return taken


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1, default=str).encode("utf-8", "surrogatepass")


def _slug(name: str) -> str:
    """A name as a part of a file's name on every system."""
    return re.sub(r"[^\w.-]+", " ", name).strip(" .")[:60] or "unnamed"


def _markdown(head: Mapping[str, Any], messages: list[dict[str, Any]]) -> bytes:
    """What was in view of a conversation, to be read."""
    found = io.StringIO()
    found.write(f"# {head['title']}\n\n{head['created_at']}\n")
    for message in messages:
        if message["hidden_at"] is None:
            who = "You" if message["role"] == "user" else "Parlance"
            said = message["text"] or _told(message["parts"])
            found.write(f"\n## {who}, {iso(message['created_at'])}\n\n{said}\n")
    return found.getvalue().encode("utf-8", "surrogatepass")


def _told(parts: list[dict[str, Any]]) -> str:
    """What a message without text shows."""
    words = {
        "draft": "*The workflow {workflow}, version {version}: {summary}*",
        "run_started": "*Run {run_id} of {workflow}*",
        "run_ended": "*Run {run_id} ended: {status}*",
    }
    return "\n\n".join(words[p["kind"]].format(**p) for p in parts if p.get("kind") in words)
