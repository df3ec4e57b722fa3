"""What the assistant's own calls cost: today, against the owner's cap, and the next one before it is made."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from chat.turns import CurrentWorkflow, PastMessage, TurnContext
from sessions.conversations import Conversations
from sessions.db import Database
from sessions.preferences import Preferences
from sessions.spending import Spending
from sessions.workflows import Workflows

if TYPE_CHECKING:
    from chat.turns import Assistant


class AssistantSpending:
    """Owned by the service as `spending`."""

    def __init__(
        self, db: Database, assistant: Assistant, conversations: Conversations, workflows: Workflows
    ) -> None:
        self._spending = Spending(db)
        self._preferences = Preferences(db)
        self._assistant = assistant
        self._conversations = conversations
        self._workflows = workflows

    async def today(self, owner: str) -> dict[str, Any]:
        """{day, calls, prompt_tokens, completion_tokens, cost_usd, uncounted, unpriced, cap_usd, cap_tokens, reached}.
        What is not known is None, and so is a cap that is not set.
        """
        preferences = await self._preferences.get(owner)
        zone = preferences["timezone"]
        day = datetime.now(ZoneInfo(zone) if zone else None).date().isoformat()
        spent = await self._spending.of(owner, day)
        dollars, tokens = preferences["daily_cap_usd"], preferences["daily_cap_tokens"]
        reached = dollars is not None and 0 < dollars <= (spent.cost_usd or 0.0)
        reached = reached or (tokens is not None and tokens <= spent.tokens)
        return {**spent.to_dict(), "cap_usd": dollars, "cap_tokens": tokens, "reached": reached}

    async def estimate(self, owner: str, conversation_id: str, text: str) -> dict[str, Any] | None:
        """What the first call would be that answers this message: see `Assistant.estimate`. None where the assistant
        can't tell.
        """
        estimate = getattr(self._assistant, "estimate", None)
        if estimate is None:
            return None
        found: dict[str, Any] = await estimate(await self._context(owner, conversation_id, text))
        return found

    async def _context(self, owner: str, conversation_id: str, text: str) -> TurnContext:
        conversation = await self._conversations.get(owner, conversation_id)
        workflow = None
        if conversation.workflow:
            newest = await self._workflows.get(owner, conversation.workflow)
            workflow = CurrentWorkflow(newest.name, newest.version, newest.yaml)
        history = tuple(
            PastMessage(m.id, m.role, m.text, m.parts, m.status)
            for m in conversation.messages
            if m.status != "live"
        )
        return TurnContext(owner, conversation_id, "", text, history, workflow)
