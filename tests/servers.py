"""A PostgreSQL server of this test session: real, on a port of its own, with fsync on, stopped at the end.

Each test gets a database of its own in it. Nothing is skipped where PostgreSQL is missing: the tests say how to
get it.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

PASSWORD = "planted/Pa:ss@word"
PASSWORD_IN_URL = "planted%2FPa%3Ass%40word"
MISSING = (
    "PostgreSQL's server is not on this machine, and these tests run against a real one. "
    "Install it: apt-get install postgresql (Debian, Ubuntu), brew install postgresql (macOS)."
)


class PostgresServer:
    """A server that is running. `url(name)` is the address of one of its databases."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._programs = programs()
        self._user = unprivileged() if os.geteuid() == 0 else None
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="postgres-starter")

    def make(self) -> None:
        """Make the data folder; the server refuses to be root, so another user owns it then."""
        key = self._folder / "password"
        key.write_text(PASSWORD)
        if self._user is not None:
            for path in (self._folder, key):
                os.chown(path, self._user.pw_uid, self._user.pw_gid)
        command = ["initdb", "-D", self._data, "-U", "parlance", "-A", "scram-sha-256", "--pwfile", key]
        self._run([*command, "-E", "UTF8", "--locale", "C", "--no-sync"])

    def start(self) -> None:
        """Start, and wait until it answers."""
        options = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "fsync": "on",
            "max_connections": 200,
        }
        flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        self._process = self._starter.submit(self._spawn, flags).result()
        self._wait()

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop: SIGINT ends all connections, SIGQUIT is a crash. Does nothing where it does not run."""
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def url(self, name: str, password: str = PASSWORD_IN_URL) -> str:
        return f"postgresql://parlance:{password}@127.0.0.1:{self.port}/{name}"

    def create(self) -> str:
        """A new database; its address."""
        name = f"t_{secrets.token_hex(6)}"
        self.admin(f"CREATE DATABASE {name}")
        return self.url(name)

    def admin(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def _spawn(self, flags: list[str]) -> subprocess.Popen[bytes]:
        """On a thread that lives as long as this process: the server ends with the thread that started it."""
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                [self._programs / "postgres", "-D", self._data, *flags],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                preexec_fn=_die_with_parent,
                **self._as_user(),
            )

    def _wait(self) -> None:
        until = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                if self._process is None or self._process.poll() is not None or time.monotonic() > until:
                    raise AssertionError((self._folder / "log").read_text()) from None
                time.sleep(0.05)

    def _run(self, command: list[str | Path]) -> None:
        done = subprocess.run(
            [self._programs / command[0], *command[1:]],
            cwd=self._folder,
            capture_output=True,
            text=True,
            **self._as_user(),
        )
        assert done.returncode == 0, done.stderr

    def _as_user(self) -> dict[str, object]:
        if self._user is None:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}


def programs() -> Path:
    """The folder of PostgreSQL's own programs, which Debian keeps out of PATH; the newest version's."""
    found = [
        path
        for pattern in ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin")
        for path in Path("/").glob(pattern[1:])
        if (path / "initdb").exists() and (path / "postgres").exists()
    ]
    if found:
        return max(found, key=lambda path: [int(part) for part in path.parts if part.isdigit()])
    if (initdb := shutil.which("initdb")) and shutil.which("postgres"):
        return Path(initdb).resolve().parent
    raise AssertionError(MISSING)


def unprivileged() -> pwd.struct_passwd:
    """A user that is not root."""
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise AssertionError("PostgreSQL does not run as root: make a user named postgres, or test as yourself.")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _die_with_parent() -> None:
    """Also a session that is killed leaves no server behind (where the system can do that)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGINT)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """The session's server."""
    folder = Path(f"/tmp/parlance-pg-{secrets.token_hex(6)}")
    folder.mkdir(mode=0o700)
    server = PostgresServer(folder)
    try:
        server.make()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    """The address of a database of the test's own, empty."""
    return postgres_server.create()
