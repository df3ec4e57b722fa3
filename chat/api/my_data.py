"""The addresses of what an owner prefers, takes along and erases."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body
from fastapi.responses import StreamingResponse

from chat.api.login import OWNER
from chat.api.shapes import Erase
from chat.service import ChatService

ZIP: dict[int | str, dict[str, Any]] = {200: {"content": {"application/zip": {}}}}


def my_data_routes(router: APIRouter, service: ChatService) -> None:
    """`/api/preferences` and `/api/data`."""

    @router.get("/preferences", tags=["My data"])
    async def get_preferences() -> dict[str, Any]:
        """Time zone, language, what the assistant may cost in a day, notices; null where nothing is set."""
        return await service.preferences.get(OWNER)

    @router.patch("/preferences", tags=["My data"])
    async def set_preferences(body: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
        """Change some; null takes one back. All of them as they are then."""
        return await service.preferences.set(OWNER, **body)

    @router.get("/data/export", tags=["My data"], responses=ZIP)
    async def export_data() -> StreamingResponse:
        """Everything that is kept of you, as a zip that is made while it is sent."""
        headers = {"Content-Disposition": 'attachment; filename="parlance-data.zip"'}
        return StreamingResponse(service.my_data.export(OWNER), media_type="application/zip", headers=headers)

    @router.post("/data/erase", tags=["My data"])
    async def erase_data(body: Erase) -> dict[str, int]:
        """Delete everything, for good: conversations, workflows, runs, schedules, preferences, keys. How much there
        was.
        """
        return await service.my_data.erase(OWNER, body.confirm)
