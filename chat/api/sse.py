"""Server-sent events: `id`, `event`, `data` (JSON), with a comment now and then so that nobody hangs up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from fastapi import Request
from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

PING_SECONDS = 15.0

Item = tuple[int, str, Mapping[str, Any]]
"""id, event, data"""


def event_stream(items: AsyncGenerator[Item], headers: Mapping[str, str] | None = None) -> StreamingResponse:
    """A response that ends with `items`. When the client goes, `items` is closed and nothing else happens."""
    return StreamingResponse(
        _encoded(items),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no", **(headers or {})},
    )


def last_event_id(request: Request) -> int:
    """The number in Last-Event-ID; 0 where there is none."""
    given = request.headers.get("last-event-id", "").strip()
    return int(given) if given.isascii() and given.isdigit() and len(given) < 18 else 0


def wants_json(request: Request) -> bool:
    """Whether the collected answer is asked for; the stream is the default."""
    accepted = [part.partition(";")[0].strip() for part in request.headers.get("accept", "").split(",")]
    return "application/json" in accepted and "text/event-stream" not in accepted


async def _encoded(items: AsyncGenerator[Item]) -> AsyncGenerator[bytes]:
    async with aclosing(_pinged(items)) as pinged:
        async for item in pinged:
            if item is None:
                yield KEEPALIVE_COMMENT
                continue
            number, event, data = item
            text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
            yield format_sse_event(data_str=text, event=event, id=str(number))


async def _pinged(items: AsyncGenerator[Item]) -> AsyncGenerator[Item | None]:
    """The items, and None whenever PING_SECONDS have passed without one."""
    coming: asyncio.Future[Item] | None = None
    try:
        while True:
            coming = coming or asyncio.ensure_future(anext(items))
            done, _ = await asyncio.wait({coming}, timeout=PING_SECONDS)
            if not done:
                yield None
                continue
            try:
                item = coming.result()
            except StopAsyncIteration:
                return
            coming = None
            yield item
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.wait({coming})
        await items.aclose()
