"""Serves page and API: one process per data folder, told apart by a lock, stopped within two seconds.

What can be refused is refused before anything heavy is imported, at once and in words.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import json
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import IO, TYPE_CHECKING, Any

from engine.errors import Conflict, InputError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

LOCK_FILE = "serve.lock"
GRACE_SECONDS = 2
EVERY_ADDRESS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - what people write to bind to all addresses


def serve(
    make_app: Callable[[], ASGIApp],
    *,
    home: Path,
    host: str,
    port: int,
    password: str | None,
    started: Callable[[str], Awaitable[None]],
    stopping: Callable[[], Awaitable[None]],
) -> None:
    """Serve until SIGINT or SIGTERM. `make_app` is called once nothing stands in the way.

    `started` gets the address when the page can be opened; `stopping` is awaited before connections are
    closed, to end what they wait for. InputError for an address that may not be used, Conflict for a port
    or a data folder that is in use.
    """
    refuse_open_door(host, password)
    with serve_lock(home) as lock, contextlib.closing(bind(host, port)) as listener:
        address = address_of(host, listener.getsockname()[1])
        _write_address(lock, address)
        _run(make_app(), listener, lambda: started(address), stopping)


def refuse_open_door(host: str, password: str | None) -> None:
    """InputError when others than this machine could reach a server that asks for no password."""
    if not password and not _is_loopback(host):
        raise InputError(
            f"Without a password Parlance is served to this machine only, not on {host}.",
            "Set PARLANCE_PASSWORD, or use --host 127.0.0.1.",
            "host",
        )


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to the address; port 0 takes a free one."""
    try:
        # The name may stand for ::1 as well; people and browsers go to 127.0.0.1.
        name = "127.0.0.1" if host == "localhost" else host
        family, kind, protocol, _, place = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise InputError(f"There is no address {host}: {error}.", "Use --host 127.0.0.1.", "host") from error
    exclusive = getattr(socket, "SO_EXCLUSIVEADDRUSE", None)  # Windows gives a port away twice without it
    listener.setsockopt(socket.SOL_SOCKET, exclusive or socket.SO_REUSEADDR, 1)
    try:
        listener.bind(place)
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise _unbound(error, host, port) from error
    return listener


def address_of(host: str, port: int) -> str:
    """What to type into a browser on this machine."""
    name = "localhost" if host in EVERY_ADDRESS else host
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


@contextlib.contextmanager
def serve_lock(home: Path) -> Iterator[IO[str]]:
    """Hold the data folder for this process. Conflict, with the holder's address, when another one has it."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (home / LOCK_FILE).open("a+", encoding="utf-8") as file:
        if not _lock(file):
            raise Conflict(
                f"Parlance already serves this data{_holder(home)}.",
                "Open that address, stop the other one, or set PARLANCE_HOME to another folder.",
            )
        yield file
        file.truncate(0)


def _unbound(error: OSError, host: str, port: int) -> Exception:
    if error.errno == errno.EADDRINUSE:
        return Conflict(
            f"Port {port} on {host} is used by another program.",
            "Choose another one with --port or PARLANCE_PORT.",
        )
    if error.errno == errno.EACCES:
        return InputError(
            f"Port {port} may not be used.", "Choose one above 1024, for example --port 7860.", "port"
        )
    return InputError(f"{host}:{port} can't be used: {error.strerror}.", "Use --host 127.0.0.1.", "host")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _lock(file: IO[str]) -> bool:
    """Whether this process has the lock now; the system takes it back when the process ends, in any way."""
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(1 << 20)  # beyond the text, which others may go on reading
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _write_address(file: IO[str], address: str) -> None:
    file.truncate(0)
    file.write(json.dumps({"address": address, "pid": os.getpid()}))
    file.flush()


def _holder(home: Path) -> str:
    """Where the holder is reached; empty in the moment in which it starts."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        known: dict[str, Any] = json.loads((home / LOCK_FILE).read_text(encoding="utf-8"))
        return f" at {known['address']} (process {known['pid']})"
    return ""


def _run(
    app: ASGIApp,
    listener: socket.socket,
    started: Callable[[], Awaitable[None]],
    stopping: Callable[[], Awaitable[None]],
) -> None:
    import uvicorn

    class Server(uvicorn.Server):
        """Ends our own streams first: nobody waits for them, and what is left to wait for is short."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            self.telling = asyncio.ensure_future(started())

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            self.telling.cancel()
            await stopping()
            await super().shutdown(sockets)

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            """An orderly stop is no death by signal; a second Ctrl-C does not wait."""
            self.force_exit = self.should_exit and sig == signal.SIGINT
            self.should_exit = True

    config = uvicorn.Config(
        app,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    Server(config).run(sockets=[listener])
