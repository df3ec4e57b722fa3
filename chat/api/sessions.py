"""Who is signed in: a cookie signed with a key that lies in the data folder, readable by its owner alone.

The password is part of what signs, so that a new password ends every session.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import secrets
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KEY_FILE = "session.key"
ENDED_FILE = "session.ended"
KEY_BYTES = 32
LIFETIME = 30 * 24 * 3600.0  # seconds
TRIES, TRIES_OF_ALL = 8, 60  # wrong passwords in WINDOW, of one address and of all
WINDOW = 300.0  # seconds


def same(one: str, other: str) -> bool:
    """Compare in a time that tells neither length nor content."""
    return hmac.compare_digest(_digest(one), _digest(other))


class Sessions:
    """Makes and reads the cookie's value: `expiry.number.signature`."""

    def __init__(self, home: Path, password: str) -> None:
        self._file = home / ENDED_FILE
        ended = _read_ended(self._file)
        if ended is None:  # who has signed out is not known any more: then everybody has
            key = _make_key(home / KEY_FILE)
            self._file.unlink()
        else:
            key = _read_key(home / KEY_FILE)
        self._ended = ended or {}
        self._key = hmac.digest(key, _digest(password), "sha256")
        self._open: dict[str, set[asyncio.Event]] = {}

    def start(self) -> str:
        """The value of a new session's cookie."""
        body = f"{int(time.time() + LIFETIME)}.{secrets.token_hex(16)}"
        return f"{body}.{self._sign(body)}"

    def valid(self, value: str) -> bool:
        body, _, signature = value.rpartition(".")
        expiry = body.partition(".")[0]
        if not hmac.compare_digest(self._sign(body).encode(), signature.encode(errors="replace")):
            return False
        return float(expiry) > time.time() and _mark(value) not in self._ended

    def end(self, value: str) -> None:
        """Sign out: the value is refused from now on, by the next process too."""
        if self.valid(value):
            now = time.time()
            ended = {each: until for each, until in self._ended.items() if until > now}
            ended[_mark(value)] = float(value.partition(".")[0])
            _write_private(self._file, json.dumps(ended))
            self._ended = ended
            for event in self._open.pop(value, ()):
                event.set()

    @contextmanager
    def watched(self, value: str) -> Iterator[asyncio.Event]:
        """An event that is set when this session is signed out of."""
        event = asyncio.Event()
        self._open.setdefault(value, set()).add(event)
        try:
            yield event
        finally:
            if value in self._open:
                self._open[value].discard(event)
                if not self._open[value]:
                    del self._open[value]

    def _sign(self, body: str) -> str:
        return hmac.new(self._key, body.encode(errors="replace"), hashlib.sha256).hexdigest()


class Tries:
    """Counts wrong passwords, so that nobody can try many. Times are `time.monotonic()`."""

    def __init__(self) -> None:
        self._tries: deque[tuple[float, str]] = deque()

    def wait(self, address: str) -> float:
        """Seconds until this address may try again; 0 when it may now."""
        self._forget_old()
        mine = [at for at, whose in self._tries if whose == address]
        everyone = [at for at, _ in self._tries]
        crowded = [
            tries[-most] for tries, most in ((mine, TRIES), (everyone, TRIES_OF_ALL)) if len(tries) >= most
        ]
        return max((at + WINDOW - time.monotonic() for at in crowded), default=0.0)

    def failed(self, address: str) -> None:
        self._tries.append((time.monotonic(), address))

    def _forget_old(self) -> None:
        while self._tries and self._tries[0][0] < time.monotonic() - WINDOW:
            self._tries.popleft()


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()


def _read_key(path: Path) -> bytes:
    """The key; made when there is none, or when what is there is none."""
    try:
        key = bytes.fromhex(path.read_text("ascii"))
    except (FileNotFoundError, ValueError):
        key = b""
    return key if len(key) == KEY_BYTES else _make_key(path)


def _make_key(path: Path) -> bytes:
    key = secrets.token_bytes(KEY_BYTES)
    _write_private(path, key.hex())
    return key


def _mark(value: str) -> str:
    """What is kept of a session that was ended: nothing that could open a door."""
    return hashlib.sha256(value.encode(errors="replace")).hexdigest()


def _read_ended(path: Path) -> dict[str, float] | None:
    """Until when each ended session would have been valid; None when the file is not what was written."""
    try:
        read = json.loads(path.read_text("ascii"))
        return {str(mark): float(until) for mark, until in dict(read).items()}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError):
        return None


def _write_private(path: Path, text: str) -> None:
    """In one piece, on the disk before it is taken as written, readable by its owner alone."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_suffix(path.suffix + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
