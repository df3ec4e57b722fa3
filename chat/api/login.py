"""The password in front of everything: page, API, WebSockets, files; one gate, so that none is forgotten."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from chat.api.errors import error_response
from chat.api.leaving import SIGNED_OUT, serve_until
from chat.api.sessions import LIFETIME, Sessions, Tries, same

OWNER = "local"
COOKIE = "parlance_session"
FORM = Path(__file__).with_name("login.html")
LARGEST_FORM = 8192
SIGN_IN = "Sign in at /login, or send the password as a bearer token."
WRONG = "That is not the password."


class Login:
    """ASGI middleware. Lets through who has the cookie or the bearer token; `/healthz` answers anybody.

    In the scope of what is let through `parlance.signed_in` is True; where no password is set, it always is.
    `parlance.password` says whether one is set. Who signs out loses his open WebSockets, with code 4401.
    """

    def __init__(self, app: ASGIApp, password: str | None, home: Path) -> None:
        self._app = app
        self._password = password
        self._sessions = Sessions(home, password) if password else None
        self._tries = Tries()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or not self._sessions or not self._password:
            scope["parlance.signed_in"] = True
            return await self._app(scope, receive, send)
        scope["parlance.password"] = True
        answer = await self._answer(scope, receive, self._sessions, self._password)
        if answer is None:
            cookie = _cookie(Headers(scope=scope))
            if scope["type"] == "websocket" and self._sessions.valid(cookie):
                with self._sessions.watched(cookie) as ended:
                    return await serve_until(self._app, ended, scope, receive, send)
            return await self._app(scope, receive, send)
        if scope["type"] == "websocket":
            return await send({"type": "websocket.close", "code": SIGNED_OUT, "reason": "login required"})
        return await answer(scope, receive, send)

    async def _answer(
        self, scope: Scope, receive: Receive, sessions: Sessions, password: str
    ) -> Response | None:
        """What is answered instead of going on, or None."""
        path, headers = scope["path"], Headers(scope=scope)
        cookie = _cookie(headers)
        scope["parlance.signed_in"] = bool(cookie) and sessions.valid(cookie)
        if scope["type"] == "http" and path in ("/login", "/logout"):
            return await self._form(Request(scope, receive), sessions, password, cookie)
        if not scope["parlance.signed_in"]:
            refusal = self._bearer(scope, headers, password)
            if refusal and path != "/healthz":
                return refusal
        return None

    def _bearer(self, scope: Scope, headers: Headers, password: str) -> Response | None:
        """Checks the bearer token, sets `parlance.signed_in`."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return _ask(scope, headers)
        late = self._too_many(scope)
        if late:
            return late
        # A header's bytes come as Latin-1; what people send is UTF-8.
        given = token.strip().encode("latin-1").decode("utf-8", "replace")
        if not same(given, password):
            self._tries.failed(_address(scope))
            return error_response(401, "login_failed", WRONG, SIGN_IN, {"WWW-Authenticate": "Bearer"})
        scope["parlance.signed_in"] = True
        return None

    async def _form(self, request: Request, sessions: Sessions, password: str, cookie: str) -> Response:
        if request.url.path == "/logout":
            return self._sign_out(request, sessions, cookie)
        if request.method in ("GET", "HEAD"):
            return _page(_local(request.query_params.get("next", "/")))
        if request.method != "POST":
            return error_response(405, "method_not_allowed", "Only GET and POST are known here.", SIGN_IN)
        given = await _read_form(request)
        target = _local(given.get("next", "/"))
        late = self._too_many(request.scope)
        if late:
            return _page(target, "Too many tries. Wait a few minutes.", 429, late.headers)
        if not same(given.get("password", ""), password):
            self._tries.failed(_address(request.scope))
            return _page(target, WRONG, 401)
        response = RedirectResponse(target, 303)
        _set_cookie(request, response, sessions.start(), LIFETIME)
        return response

    def _sign_out(self, request: Request, sessions: Sessions, cookie: str) -> Response:
        if request.method != "POST":
            return error_response(405, "method_not_allowed", "Sign out with POST.", "POST /logout")
        sessions.end(cookie)
        response = RedirectResponse("/login", 303)
        _set_cookie(request, response, "", 0)
        return response

    def _too_many(self, scope: Scope) -> Response | None:
        seconds = math.ceil(self._tries.wait(_address(scope)))
        if seconds <= 0:
            return None
        headers = {"Retry-After": str(seconds)}
        return error_response(
            429, "too_many_tries", "Too many wrong passwords.", f"Wait {seconds} seconds.", headers
        )


def owner_of(connection: HTTPConnection) -> str | None:
    """Who is asking; None where nobody has signed in. Until there are users, all who may come in are one."""
    return OWNER if connection.scope.get("parlance.signed_in") else None


def _ask(scope: Scope, headers: Headers) -> Response:
    """A browser is sent to the form, a program is told."""
    if scope.get("method") in ("GET", "HEAD") and "text/html" in headers.get("accept", ""):
        target = scope["path"] + (
            "?" + scope["query_string"].decode("latin-1") if scope["query_string"] else ""
        )
        return RedirectResponse("/login?next=" + quote(target, safe=""), 303)
    return error_response(
        401, "login_required", "A password is needed.", SIGN_IN, {"WWW-Authenticate": "Bearer"}
    )


def _page(
    target: str, message: str = "", status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    alert = f'<p role="alert">{html.escape(message)}</p>' if message else ""
    text = FORM.read_text("utf-8").replace("<!--message-->", alert)
    kept = {name: value for name, value in (headers or {}).items() if name.lower() == "retry-after"}
    return HTMLResponse(
        text.replace("<!--next-->", html.escape(target)), status, {**kept, "Cache-Control": "no-store"}
    )


async def _read_form(request: Request) -> dict[str, str]:
    """The fields of a url-encoded form, the first of each name; an oversized body has none."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST_FORM:
            return {}
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=10)
    return {name: values[0] for name, values in fields.items()}


def _local(target: str) -> str:
    """A path of this server, whatever was asked for: the form must not lead elsewhere."""
    parts = urlsplit(target)
    safe = target.startswith("/") and not target.startswith(("//", "/\\")) and not parts.netloc
    return target if safe and target.isprintable() and "\\" not in target else "/"


def _cookie(headers: Headers) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def _set_cookie(request: Request, response: Response, value: str, seconds: float) -> None:
    response.set_cookie(
        COOKIE,
        value,
        max_age=int(seconds),
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )


def _address(scope: Scope) -> str:
    return str(scope["client"][0]) if scope.get("client") else "unknown"
