"""The page's own addresses: its script, its style, its socket. Imported when the page is mounted."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from fastapi import APIRouter, WebSocket
from fastapi.responses import Response

from chat.browser.house import House
from chat.browser.socket import PageSocket

STATIC = Path(__file__).with_name("static")
SCRIPTS = (
    *("core", "dialogs", "theme", "kept", "socket", "chat", "side"),
    *("zoom", "graph", "editor", "asked", "timeline", "estimate", "run", "settings"),
    *("jump", "diff", "proof", "versions", "why", "proposals"),
    *("gallery", "library", "files", "commands", "palette", "exports", "notices", "preferences"),
    *("attach", "picker"),
    "start",
)
STYLES = ("page", "chat", "work", "changes", "dialogs")
FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}
SIGNED_OUT = 4401


def page_router(house: House) -> APIRouter:
    """What the page loads beside Gradio's own files."""
    router = APIRouter(include_in_schema=False)

    @router.get("/page/page.js")
    async def script() -> Response:
        return Response(_bundle("js"), media_type="text/javascript", headers=FOREVER)

    @router.get("/page/page.css")
    async def style() -> Response:
        return Response(_bundle("css"), media_type="text/css", headers=FOREVER)

    @router.websocket("/page/socket")
    async def page_socket(socket: WebSocket) -> None:
        owner = house.owner_of(socket)
        if owner is None:
            await socket.close(SIGNED_OUT)
            return
        await socket.accept()
        password = bool(socket.scope.get("parlance.password"))
        await PageSocket(socket, house, owner, password=password).serve()

    return router


def address(kind: str) -> str:
    """Where the script ("js") or the style ("css") is; another content has another address."""
    return f"/page/page.{kind}?{hashlib.sha256(_bundle(kind)).hexdigest()[:12]}"


@cache
def _bundle(kind: str) -> bytes:
    """All scripts or all styles as one file, in their order."""
    names = SCRIPTS if kind == "js" else STYLES
    return b"\n".join((STATIC / f"{name}.{kind}").read_bytes() for name in names)
