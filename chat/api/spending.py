"""What the assistant's own calls cost, over HTTP."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body

from chat.api.login import OWNER
from chat.service import ChatService


def spending_routes(router: APIRouter, service: ChatService) -> None:
    @router.get("/spending", tags=["Spending"])
    async def spending() -> dict[str, Any]:
        """What the assistant's own calls have used today, and the day's cap. Unknown is null; runs are counted with
        the runs."""
        return await service.spending.today(OWNER)

    @router.post("/conversations/{conversation_id}/estimate", tags=["Spending"])
    async def estimate_turn(
        conversation_id: str, text: Annotated[str, Body(embed=True)] = ""
    ) -> dict[str, Any] | None:
        """What the first call would be that answers this message: its tokens and dollars; nothing is sent."""
        return await service.spending.estimate(OWNER, conversation_id, text)
