"""What was said earlier in long conversations, in short. Each is of all messages up to one of them and is made once."""

from __future__ import annotations

import time

from sessions.db import Database


class ConversationSummaries:
    """The store of summaries. They go with their conversation."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def of(self, conversation_id: str) -> dict[str, str]:
        """Message id to the summary of everything up to it. Some may be of messages that are out of view now."""
        rows = await self._db.fetch(
            "SELECT message_id, text FROM conversation_summaries WHERE conversation_id = ?",
            (conversation_id,),
        )
        return {row["message_id"]: row["text"] for row in rows}

    async def keep(self, conversation_id: str, message_id: str, text: str) -> None:
        await self._db.execute(
            "INSERT OR REPLACE INTO conversation_summaries (conversation_id, message_id, text, created_at)"
            " VALUES (?,?,?,?)",
            (conversation_id, message_id, text, time.time()),
        )
