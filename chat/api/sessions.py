"""Who is signed in: a cookie signed with a key that lies in the data folder, readable by its owner alone.

The password is part of what signs, so that a new password ends every session.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from collections import deque
from pathlib import Path

KEY_FILE = "session.key"
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
        self._key = hmac.digest(_read_key(home / KEY_FILE), _digest(password), "sha256")
        self._ended: dict[str, float] = {}

    def start(self) -> str:
        """The value of a new session's cookie."""
        body = f"{int(time.time() + LIFETIME)}.{secrets.token_hex(16)}"
        return f"{body}.{self._sign(body)}"

    def valid(self, value: str) -> bool:
        body, _, signature = value.rpartition(".")
        expiry = body.partition(".")[0]
        if not hmac.compare_digest(self._sign(body).encode(), signature.encode(errors="replace")):
            return False
        return float(expiry) > time.time() and value not in self._ended

    def end(self, value: str) -> None:
        """Sign out: the value is refused from now on, by this process."""
        if self.valid(value):
            now = time.time()
            self._ended = {each: until for each, until in self._ended.items() if until > now}
            self._ended[value] = float(value.partition(".")[0])

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
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = secrets.token_bytes(KEY_BYTES)
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(key.hex())
    new.replace(path)
    return key
