"""Saying something, and what can be done with a conversation."""

from __future__ import annotations

from chat.browser.actions.area import Answer, Area, Given, identity


class Conversation(Area):
    """What is done in the chat and in the list at the left."""

    async def send(self, owner: str, given: Given) -> Answer:
        """Post a message; a new conversation is made for the first one."""
        conversation = given.get("conversation") or (await self.service.create(owner)).id
        message = await self.service.post(
            owner,
            conversation,
            str(given.get("text") or ""),
            external_id=given.get("external_id"),
            files=[str(each) for each in given.get("files") or ()],
        )
        return {"conversation": conversation, "message": message}

    async def stop(self, owner: str, given: Given) -> None:
        await self.service.stop(owner, identity(given, "conversation"))

    async def edit(self, owner: str, given: Given) -> None:
        await self.service.edit(
            owner, identity(given, "conversation"), identity(given, "message"), str(given.get("text") or "")
        )

    async def retry(self, owner: str, given: Given) -> None:
        await self.service.regenerate(owner, identity(given, "conversation"), identity(given, "message"))

    async def rename(self, owner: str, given: Given) -> None:
        await self.service.rename(owner, identity(given, "conversation"), str(given.get("title") or ""))

    async def delete(self, owner: str, given: Given) -> None:
        await self.service.delete(owner, identity(given, "conversation"))
