"""`/api/events?conversation=ID`: a WebSocket that tells a page what changed; `chat.hub` has the messages.

A WebSocket and not server-sent events, because a browser opens six connections to a host in all, and every
tab of the page holds one already. Host, Origin and password have been checked before one comes here.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from fastapi import APIRouter, WebSocket

from chat.service import ChatService
from engine.errors import NotFound

NOT_FOUND, GOING_AWAY = 4404, 1001


def socket_router(service: ChatService, owner: str) -> APIRouter:
    """One address. Without `conversation` only the list's changes are told; a foreign one: close 4404."""
    router = APIRouter()

    @router.websocket("/api/events")
    async def events(socket: WebSocket, conversation: str | None = None) -> None:
        await socket.accept()  # first: a page can't read the reason of a refused connection
        try:
            if conversation is not None:
                await service.conversations.head(owner, conversation)
        except NotFound:
            await socket.close(NOT_FOUND)
            return
        telling = asyncio.create_task(_tell(socket, service, owner, conversation))
        leaving = asyncio.create_task(_until_it_leaves(socket))
        try:
            await asyncio.wait({telling, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (telling, leaving):
                task.cancel()
            await asyncio.gather(telling, leaving, return_exceptions=True)

    return router


async def _tell(socket: WebSocket, service: ChatService, owner: str, conversation: str | None) -> None:
    async with aclosing(service.subscribe(owner, conversation)) as nudges:
        async for nudge in nudges:
            await socket.send_json(nudge)
    await socket.close(GOING_AWAY)


async def _until_it_leaves(socket: WebSocket) -> None:
    """What the page says is not listened to; only that it goes."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass
