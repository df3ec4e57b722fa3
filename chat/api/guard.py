"""Who may talk to the server, and what its pages may do: Host and Origin, and the headers for browsers.

Host and Origin are checked on loopback too: otherwise any site could point a name of its own at 127.0.0.1 and
drive the page from the visitor's own browser (DNS rebinding).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chat.api.errors import REFUSALS, error_response

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
EVERY_ADDRESS = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - what people write to bind to all addresses
HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::\d{1,5})?")
FOREIGN_HOST = "This server does not answer to that name."
FOREIGN_ORIGIN = "Another site may not use this server."


class Guard:
    """ASGI middleware, the outermost. `host` is what the server is bound to.

    Bound to every address it can't know its names and takes any; then there is a password, which a page
    that came in under a foreign name does not have.
    """

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app = app
        self._names = None if host in EVERY_ADDRESS else LOCAL_NAMES | {host.lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        problem = self._problem(headers)
        if problem is None:
            return await self._app(scope, receive, _with_headers(send, scope["path"], headers["host"]))
        if scope["type"] == "websocket":
            return await send({"type": "websocket.close", "code": 4403, "reason": problem})
        fix = "Open the address that the server printed when it started."
        return await error_response(403, "forbidden", problem, fix)(scope, receive, send)

    def _problem(self, headers: Headers) -> str | None:
        host = headers.get("host", "")
        name = _name(host)
        if name is None or (self._names is not None and name not in self._names):
            return FOREIGN_HOST
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return FOREIGN_ORIGIN
        return None


class BodyLimit:
    """ASGI middleware: a request to the API with a larger body than `limit` bytes is answered with 413.

    `larger` are addresses whose bodies are whole files, with limits of their own. The page's own uploads through Gradio
    are not the API's.
    """

    def __init__(self, app: ASGIApp, limit: int, larger: Mapping[str, int] | None = None) -> None:
        self._app = app
        self._limit = limit
        self._larger = larger or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/api/"):
            return await self._app(scope, receive, send)
        limit = self._larger.get(scope["path"], self._limit)
        told = Headers(scope=scope).get("content-length", "")
        if told.isdigit() and int(told) > limit:
            return await error_response(413, *REFUSALS[413])(scope, receive, send)
        return await self._app(scope, self._counting(receive, limit), send)

    def _counting(self, receive: Receive, limit: int) -> Receive:
        """For bodies that don't tell their size: the route's reading ends in an HTTPException."""
        read = 0

        async def receiving() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > limit:
                raise HTTPException(413)
            return message

        return receiving


def _name(host: str) -> str | None:
    """The name in a Host header, without port and brackets; None when it is none."""
    found = HOST.fullmatch(host.lower())
    return (found[1] or found[2]) if found else None


def _with_headers(send: Send, path: str, host: str) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.setdefault("Content-Security-Policy", _policy(host))
            if path.startswith("/api/"):
                headers.setdefault("Cache-Control", "no-store")
            headers.setdefault("X-Content-Type-Options", "nosniff")
            headers.setdefault("Referrer-Policy", "same-origin")
            headers.setdefault("X-Frame-Options", "DENY")
            headers.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
        await send(message)

    return sending


def _policy(host: str) -> str:
    """Nothing from, and nothing to, any other host: an image in a model's answer must not carry text away.

    'unsafe-eval' is for gr.HTML, 'unsafe-inline' for Gradio's own page.
    """
    return "; ".join(
        (
            "default-src 'self'",
            "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "media-src 'self' data: blob:",
            "font-src 'self' data:",
            f"connect-src 'self' ws://{host} wss://{host}",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-src 'none'",
            "frame-ancestors 'none'",
        )
    )
