"""The store of files: what a file is by its content, bounds, names, owners, and what goes when."""

from __future__ import annotations

import asyncio
import stat
import struct
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import Conflict, InputError, NotFound
from sessions.conversations import Conversations
from sessions.db import Database, open_db
from sessions.file_kinds import decode
from sessions.files import LARGEST_FILE, UNATTACHED_SECONDS, FileStore, clean_name
from sessions.inbox import Inbox
from sessions.pdf_text import pdf_text
from tests.files import bomb, image, pdf, stream

ME = "local"


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    found = open_db(tmp_path / "parlance.db", synchronous="NORMAL")
    yield found
    found.close()


@pytest.fixture
def store(db: Database, tmp_path: Path) -> FileStore:
    return FileStore(db, tmp_path / "files")


def left(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "files"
    return sorted(folder.iterdir()) if folder.exists() else []


async def test_a_pdf_is_read(store: FileStore, tmp_path: Path) -> None:
    made = await store.add(ME, "report.bin", stream(pdf("Hello from page one", "And page two")))
    assert (made.media_type, made.details["pages"]) == ("application/pdf", 2)
    content = await store.read(ME, made.id)
    assert "Hello from page one" in content.text
    assert "And page two" in content.text
    assert content.image is None
    for path in left(tmp_path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "files").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("name", "content", "media_type"),
    [
        ("a.csv", b"a,b\n1,2\n", "text/csv"),
        ("a.pdf", b"a,b\n1,2\n", "text/plain"),
        ("a.png", b"<html><script>alert(1)</script>", "text/plain"),
        ("page.html", b"<!doctype html><p>x", "text/plain"),
        ("a.json", b'{"a": 1}', "application/json"),
        ("a.json", b"{not json", "text/plain"),
        ("notes.md", "# Über".encode(), "text/markdown"),
        ("flow.yaml", b"a: 1", "application/yaml"),
        ("a.txt", image(), "image/png"),
        ("a", image(format="JPEG"), "image/jpeg"),
        ("a", image(format="WEBP"), "image/webp"),
        ("a", image(format="GIF"), "image/gif"),
    ],
)
async def test_the_content_says_what_it_is(
    store: FileStore, name: str, content: bytes, media_type: str
) -> None:
    assert (await store.add(ME, name, stream(content))).media_type == media_type


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("Grüße".encode(), "utf-8"),
        ("Grüße".encode("utf-8-sig"), "utf-8"),
        ("Grüße".encode("utf-16"), "utf-16"),
        ("Grüße".encode("latin-1"), "latin-1"),
    ],
)
async def test_encodings(store: FileStore, content: bytes, encoding: str) -> None:
    made = await store.add(ME, "a.txt", stream(content))
    assert made.details["encoding"] == encoding
    assert ("note" in made.details) == (encoding == "latin-1")
    assert (await store.read(ME, made.id)).text == "Grüße"


@given(st.text(st.characters(blacklist_categories=("Cs", "Cc", "Cn"))))
def test_text_is_read_as_it_is(text: str) -> None:
    if text and not text.startswith("\ufeff"):
        assert decode(text.encode(), "a.txt")[0] == text


def huge_png() -> bytes:
    """A PNG that says it has 60,000 × 60,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b"MZ\x90\x00\x03\x00\x00\x00", "can't be attached"),
        (b"PK\x03\x04\x00\x00", "can't be attached"),
        (b"\x89PNG\r\n\x1a\nnot really", "no image that can be read"),
        (image()[:-30], "no image that can be read"),
        (huge_png(), "more than 40 million pixels"),
        (b"%PDF-1.7\nnothing of the kind", "no PDF that can be read"),
    ],
)
async def test_what_cannot_be_attached_leaves_nothing(
    store: FileStore, tmp_path: Path, content: bytes, why: str
) -> None:
    with pytest.raises(InputError, match=why):
        await store.add(ME, "x.pdf", stream(content))
    assert left(tmp_path) == []


async def test_a_large_file_is_refused_while_it_comes(store: FileStore, tmp_path: Path) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b"x" * 1024 * 1024

    with pytest.raises(InputError, match="larger than 20 MB"):
        await store.add(ME, "x.txt", endless())
    assert sent == LARGEST_FILE // 1024**2 + 1
    assert left(tmp_path) == []


async def test_an_upload_that_breaks_off_leaves_nothing(store: FileStore, tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def broken() -> AsyncIterator[bytes]:
        yield b"a"
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(store.add(ME, "x.txt", broken()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert left(tmp_path) == []


@pytest.fixture(scope="module")
def hostile() -> bytes:
    return bomb()


async def test_a_pdf_that_unpacks_without_end_takes_only_itself_down(
    store: FileStore, tmp_path: Path, hostile: bytes
) -> None:
    assert len(hostile) < 400_000
    with pytest.raises(InputError, match=r"takes more memory|no PDF|takes too long"):
        await store.add(ME, "bomb.pdf", stream(hostile))
    assert left(tmp_path) == []


async def test_a_pdf_that_is_slow_is_given_up(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf("x"))
    with pytest.raises(InputError, match="takes too long"):
        await pdf_text(tmp_path / "a.pdf", "a.pdf", 1000, seconds=0.0)


async def test_the_text_of_a_pdf_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf("first page", "second page"))
    found = await pdf_text(tmp_path / "a.pdf", "a.pdf", 5)
    assert (found.text, found.cut, found.pages) == ("first", True, 2)


async def test_a_large_image_is_sent_smaller(store: FileStore) -> None:
    made = await store.add(ME, "photo.png", stream(image(4000, 2000)))
    content = await store.read(ME, made.id)
    assert content.image is not None
    assert content.image_type == "image/jpeg"
    assert len(content.image) < 100_000


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\secret\\a.txt", "a.txt"),
        ("..", "file"),
        ("a\x00b\u202e.txt", "ab.txt"),
        ("", "file"),
        ("x" * 300 + ".pdf", "x" * 115 + "….pdf"),
    ],
)
async def test_names_are_labels(store: FileStore, tmp_path: Path, name: str, label: str) -> None:
    made = await store.add(ME, name, stream(b"text"))
    assert made.name == label
    assert [path.name for path in left(tmp_path)] == [made.id]
    assert clean_name(label) == label


async def test_files_of_others_are_not_found(store: FileStore) -> None:
    made = await store.add("else", "a.txt", stream(b"text"))
    for call in (store.get, store.read, store.path, store.remove):
        with pytest.raises(NotFound):
            await call(ME, made.id)
    with pytest.raises(NotFound):
        await store.take(ME, [made.id])


async def test_what_nobody_attached_goes_after_a_day(db: Database, store: FileStore, tmp_path: Path) -> None:
    conversation = await Conversations(db).create(ME)
    attached, given, left_over = [await store.add(ME, "a.txt", stream(b"text")) for _ in range(3)]
    await Inbox(db).receive(
        conversation.id, "", channel="api", external_id=None, process="p", files=[attached.id]
    )
    await store.take(ME, [given.id])
    await store.sweep(time.time())
    assert len(left(tmp_path)) == 3
    await store.sweep(time.time() + UNATTACHED_SECONDS + 60)
    assert {path.name for path in left(tmp_path)} == {attached.id, given.id}
    with pytest.raises(NotFound):
        await store.get(ME, left_over.id)


async def test_a_file_belongs_to_one_conversation(db: Database, store: FileStore) -> None:
    one, two = [(await Conversations(db).create(ME)).id for _ in range(2)]
    file = await store.add(ME, "a.txt", stream(b"text"))
    inbox = Inbox(db)
    answer, _ = await inbox.receive(one, "x", channel="api", external_id="1", process="p", files=[file.id])
    again, new = await inbox.receive(one, "x", channel="api", external_id="1", process="p", files=[file.id])
    assert (again.id, new) == (answer.id, False)
    for owner_file, error in ((file.id, Conflict), ("nothing", NotFound)):
        with pytest.raises(error):
            await inbox.receive(two, "x", channel="api", external_id=None, process="p", files=[owner_file])
    assert await db.fetch("SELECT 1 FROM messages WHERE conversation_id = ?", (two,)) == []
    with pytest.raises(Conflict):
        await store.remove(ME, file.id)
