"""What a person prefers, and what the assistant has cost him today."""

from __future__ import annotations

from chat.browser.actions.area import Answer, Area, Given


class MyPreferences(Area):
    """What is done about oneself in the settings."""

    async def arrive(self, owner: str, given: Given) -> Answer:
        """What is preferred. The browser's time zone is taken where none is set; one that is not known is left out."""
        found = await self.service.preferences.get(owner)
        zone = given.get("timezone")
        if found["timezone"] is None and isinstance(zone, str) and is_time_zone(zone):
            found = await self.service.preferences.set(owner, timezone=zone)
        return {"preferences": found}

    async def prefer(self, owner: str, given: Given) -> Answer:
        """Change some of it, each by its name; None takes one back."""
        return {"preferences": await self.service.preferences.set(owner, **dict(given.get("changes") or {}))}


def is_time_zone(name: str) -> bool:
    from zoneinfo import available_timezones

    return name in available_timezones()
