"""The page: Gradio, our script and style, and one WebSocket. `mount_page` puts it into the application."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import HTTPConnection

    from chat.assistant.nearest import Nearest
    from chat.gallery import Gallery
    from chat.service import ChatService
    from engine.models import Models
    from tools.registry import ToolRegistry

EXAMPLES = ("triage_ticket", "meeting_notes_to_tasks", "research_in_parallel")


def mount_page(
    app: FastAPI, service: ChatService, models: Models, tools: ToolRegistry, nearest: Nearest
) -> FastAPI:
    """Add the page at "/", its files and its socket; every other route has to be there already. `nearest` finds the
    templates of its gallery by meaning.

    Who asks is taken from the gate in front (`chat.api.login`), which puts `parlance.signed_in` into the scope.
    """
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # before its import, which asks
    from chat.browser.gradio_start import import_gradio

    import_gradio()
    from chat.browser.files import STATIC, address, page_router
    from chat.browser.house import House
    from chat.browser.layout import build
    from chat.browser.theme import theme

    house = House(service, models, tools, nearest.gallery, owner_of, nearest, address("js"))
    app.include_router(page_router(house))
    from gradio.routes import mount_gradio_app

    return mount_gradio_app(
        app,
        build(house),
        path="/",
        theme=theme(),
        head=_head(house.gallery),
        footer_links=[],
        run_history=False,
        show_error=False,
        ssr_mode=False,
        enable_monitoring=False,
        mcp_server=False,
        pwa=False,
        favicon_path=str(STATIC / "favicon.png"),
        max_file_size=1,
    )


def owner_of(connection: HTTPConnection | Any) -> str | None:
    """Whose page it is, None for somebody who has not signed in. Takes Starlette's requests and Gradio's."""
    from chat.api.login import OWNER

    inner = getattr(connection, "request", connection)
    scope = getattr(inner, "scope", None) or {}
    return OWNER if scope.get("parlance.signed_in") else None


def _head(gallery: Gallery) -> str:
    """Our style and script, and what the first screen offers."""
    from chat.browser.files import address

    found = [gallery.get(name) for name in EXAMPLES]
    examples = [{"title": e.title, "text": e.asks[0]} for e in found if e]
    data = json.dumps(examples, ensure_ascii=False).replace("<", "\\u003c")
    return (
        f'<link rel="stylesheet" href="{address("css")}">'
        f"<script>window.parlanceExamples = {data}; window.parlanceTemplates = {len(gallery)};</script>"
        f'<script src="{address("js")}"></script>'
    )
