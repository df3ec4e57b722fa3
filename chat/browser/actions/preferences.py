"""What a person prefers, what the assistant has cost him today, and the end of all that is kept of him."""

from __future__ import annotations

from chat.browser.actions.area import Answer, Area, Given
from chat.browser.words import count, money


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

    async def spent_today(self, owner: str, given: Given) -> Answer:
        """What the assistant's own calls have used, in words; how much of the caps that is, 0 to 1, None without."""
        today = await self.service.spending.today(owner)
        tokens = (today["prompt_tokens"] or 0) + (today["completion_tokens"] or 0)
        unpriced = today["unpriced"]
        return {
            "calls": count(today["calls"], "call"),
            "tokens": f"{tokens:,} tokens" if today["prompt_tokens"] is not None else "",
            "cost": money(today["cost_usd"]) if today["cost_usd"] is not None else "",
            "note": f"{count(unpriced, 'call')} without a known price" if unpriced else "",
            "of_usd": _share(today["cost_usd"], today["cap_usd"] or None),
            "of_tokens": _share(tokens, today["cap_tokens"]),
            "reached": today["reached"],
        }

    async def erase_data(self, owner: str, given: Given) -> Answer:
        """Everything that is kept of a person; `confirm` is what he typed. How much of what is gone."""
        return {"gone": await self.service.my_data.erase(owner, str(given.get("confirm") or ""))}


def _share(used: float | None, cap: float | None) -> float | None:
    """How much of a cap is used; None without a cap."""
    if cap is None:
        return None
    return min(1.0, (used or 0) / cap) if cap else 1.0


def is_time_zone(name: str) -> bool:
    from zoneinfo import available_timezones

    return name in available_timezones()
