"""Puts the pieces together: API, docs, health, page, and the two gates in front of them all."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.types import ASGIApp

from chat.api import errors
from chat.api.docs import docs_page
from chat.api.files import UPLOADS
from chat.api.guard import BodyLimit, Guard
from chat.api.login import OWNER, Login
from chat.api.routes import METHODS, UNKNOWN, api_router, unknown_api_address
from chat.api.socket import socket_router
from chat.service import ChatService
from engine.errors import ParlanceError, StoreError
from sessions.files import LARGEST_FILE

logger = logging.getLogger(__name__)

LARGEST_BODY = 2 * 1024 * 1024  # bytes
RECOVER_SECONDS = 15.0
STORE_SECONDS = 3.0
DESCRIPTION = "Say what should happen; get a workflow that is checked, run durably and answered."


def build_app(
    service: ChatService,
    *,
    version: str,
    host: str,
    home: Path,
    password: str | None = None,
    page: Callable[[FastAPI], object] | None = None,
    close: Callable[[], Awaitable[None]] | None = None,
) -> ASGIApp:
    """The whole application. It recovers what was cut when it starts, and closes service and engine at
    the end.

    `page` mounts the page, last. `close` is awaited after everything else.
    """
    app = FastAPI(
        title="Parlance",
        version=version,
        description=DESCRIPTION,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan(service, close),
    )
    errors.install(app)
    _add_docs(app)
    _add_health(app, service, version)
    app.include_router(api_router(service))
    app.include_router(socket_router(service, OWNER))
    app.add_api_route(UNKNOWN, unknown_api_address, methods=METHODS, include_in_schema=False)
    if page is not None:
        page(app)
    return Guard(Login(BodyLimit(app, LARGEST_BODY, {UPLOADS: LARGEST_FILE + 1}), password, home), host)


def _lifespan(
    service: ChatService,
    close: Callable[[], Awaitable[None]] | None,
) -> Callable[[FastAPI], Any]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await service.engine.recover()
        await service.recover()
        service.timetable.start()
        recovering = asyncio.create_task(_keep_recovering(service))
        yield
        recovering.cancel()
        await asyncio.wait({recovering})
        await service.close()
        await service.engine.close()
        if close:
            await close()

    return lifespan


async def _keep_recovering(service: ChatService) -> None:
    """Runs are taken over by the engine in the same way; a store that fails now may answer the next time."""
    while True:
        await asyncio.sleep(RECOVER_SECONDS)
        try:
            await service.recover()
        except StoreError as error:
            logger.warning("the store does not answer: %s", error)


def _add_docs(app: FastAPI) -> None:
    @app.get("/api/docs", include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        described = await asyncio.to_thread(app.openapi)  # made once, and that takes a while
        return HTMLResponse(docs_page(described, str(request.base_url).rstrip("/")))


def _add_health(app: FastAPI, service: ChatService, version: str) -> None:
    @app.get("/healthz", tags=["Health"])
    async def healthz(request: Request) -> JSONResponse:
        """Whether it works: status, version, the model that answers, the store.

        Who has not signed in is told the status alone.
        """
        store = await _store_state(service)
        status = "ok" if store == "ok" else "failed"
        code = 200 if status == "ok" else 503
        if not request.scope["parlance.signed_in"]:
            return JSONResponse({"status": status}, code)
        model = await _model_state(service)
        return JSONResponse({"status": status, "version": version, "model": model, "store": store}, code)


async def _store_state(service: ChatService) -> str:
    """`ok`, or what is wrong with where conversations or runs are kept, which may be two databases."""
    try:
        await service.db.fetch("SELECT count(*) FROM migrations")
        async with asyncio.timeout(STORE_SECONDS):
            await service.engine.store.process("nobody")
    except StoreError as error:
        return error.message
    except TimeoutError:
        return f"The database of runs does not answer within {STORE_SECONDS:g} seconds."
    return "ok"


async def _model_state(service: ChatService) -> dict[str, Any]:
    """Which model answers; `name` None and the reason where there is none."""
    try:
        info = await service.models.info()
    except ParlanceError as error:
        return {"name": None, "demo": None, "note": str(error)}
    return {"name": info.name, "demo": info.demo, "note": info.note}
