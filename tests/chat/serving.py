"""The test house behind the real HTTP server: in this loop, or as a process that can be killed:

python -m tests.chat.serving HOME PORT
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from chat.api.app import build_app
from chat.server import bind, serve
from tests.chat.house import TestHouse


def app_of(house: TestHouse, **options: Any) -> ASGIApp:
    options = {"version": "0.1.0", "host": "127.0.0.1", "home": house.home, **options}
    return build_app(house.service, **options)


@asynccontextmanager
async def served(house: TestHouse, **options: Any) -> AsyncIterator[str]:
    """The address of a server in this loop; the house is closed at the end."""
    listener = bind("127.0.0.1", 0)
    config = uvicorn.Config(
        app_of(house, **options), lifespan="on", log_config=None, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve([listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        await house.service.close()
        server.should_exit = True
        await task
        house.db.close()


def sse(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    """Events of a text/event-stream: dicts with id, event, data."""
    event: dict[str, str] = {}
    for line in lines:
        if not line and event:
            yield event
            event = {}
        elif line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            event[name] = value


def main(home: str, port: str) -> None:
    house = TestHouse(Path(home))

    async def started(address: str) -> None:
        print(address, flush=True)

    serve(
        lambda: app_of(house),
        home=Path(home),
        host="127.0.0.1",
        port=int(port),
        password=None,
        started=started,
        stopping=house.service.close,
    )
    house.db.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
