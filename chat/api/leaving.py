"""Ends an open WebSocket when the session that opened it is signed out of."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

SIGNED_OUT = 4401


async def serve_until(app: ASGIApp, ended: asyncio.Event, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve a WebSocket until it is over or `ended` is set: then it is closed with 4401, and the application
    hears that its client is gone. What it still wants to say is dropped.
    """
    left = asyncio.create_task(ended.wait())
    arriving: asyncio.Task[Message] | None = None

    async def receiving() -> Message:
        nonlocal arriving
        arriving = arriving or asyncio.create_task(_awaited(receive))
        await asyncio.wait({arriving, left}, return_when=asyncio.FIRST_COMPLETED)
        if left.done():
            return {"type": "websocket.disconnect", "code": SIGNED_OUT, "reason": "signed out"}
        message, arriving = arriving.result(), None
        return message

    async def sending(message: Message) -> None:
        if not left.done():
            await send(message)

    async def closing() -> None:
        await left
        with suppress(RuntimeError):  # it was closed in the same moment
            await send({"type": "websocket.close", "code": SIGNED_OUT, "reason": "signed out"})

    closer = asyncio.create_task(closing())
    try:
        await app(scope, receiving, sending)
    finally:
        if not left.done():
            closer.cancel()
        left.cancel()
        if arriving:
            arriving.cancel()
        await asyncio.gather(closer, return_exceptions=True)


async def _awaited(receive: Receive) -> Message:
    return await receive()
