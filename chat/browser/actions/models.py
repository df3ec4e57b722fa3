"""Which model answers, and the keys of providers."""

from __future__ import annotations

from chat.browser.actions.area import Answer, Area, Given, typed


class ModelSettings(Area):
    """What is done about models in the settings."""

    async def models(self, owner: str, given: Given) -> Answer:
        """What can be picked, and what answers now."""
        return await self.house.model_choices()

    async def choose(self, owner: str, given: Given) -> None:
        self.house.choose_model(typed(given, "model"), typed(given, "address"), typed(given, "key"))

    async def set_key(self, owner: str, given: Given) -> None:
        self.house.set_key(str(given.get("provider") or ""), typed(given, "key"))

    async def try_model(self, owner: str, given: Given) -> Answer:
        return await self.house.try_model(typed(given, "model"))
