"""What the page is handed, and the little it keeps for all its tabs: which model answers."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chat.browser.words import duration
from engine.errors import InputError, ParlanceError

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from chat.assistant.nearest import Nearest
    from chat.gallery import Gallery
    from chat.service import ChatService
    from engine.models import Models
    from tools.registry import ToolRegistry

NO_MODEL: dict[str, Any] = {
    **dict.fromkeys(("name", "source", "note", "error", "fix", "fraction", "detail")),
    "demo": False,
    "loading": "ready",
}


@dataclass(slots=True)
class House:
    """`owner_of` says who is asking, from the request; None where he has not signed in.

    `nearest` finds templates by meaning; `script` is the address of the page's script, which changes with it; `server`
    is this process.
    """

    service: ChatService
    models: Models
    tools: ToolRegistry
    gallery: Gallery
    owner_of: Callable[[HTTPConnection], str | None]
    nearest: Nearest
    script: str = ""
    server: str = field(default_factory=lambda: uuid.uuid4().hex)
    _poked: asyncio.Event = field(default_factory=asyncio.Event)

    async def model_state(self) -> dict[str, Any]:
        """Which model answers, why, and how far it is loaded; `error` where there is none."""
        try:
            info = await self.models.info()
        except ParlanceError as error:
            return {**NO_MODEL, "error": error.message, "fix": error.fix}
        status = self.models.status if info.demo else {"state": "ready"}
        return {
            **NO_MODEL,
            "name": info.name,
            "source": info.source,
            "demo": info.demo,
            "note": info.note,
            "loading": status["state"],
            "fraction": status.get("fraction"),
            "detail": status.get("detail"),
        }

    async def model_choices(self) -> dict[str, Any]:
        """What can be picked, and for which providers a key is there; never a key itself."""
        from engine.models import PROVIDERS

        chosen = self.models.chosen()
        return {
            "chosen": chosen.model if chosen else None,
            "available": [
                {"name": info.name, "source": info.source, "demo": info.demo}
                for info in await self.models.available()
            ],
            "providers": [
                {
                    "name": provider.name,
                    "title": provider.title,
                    "source": self.models.key_source(provider.name),
                    "removable": self.models.keeps_key(provider.name),
                }
                for provider in PROVIDERS.values()
            ],
        }

    def choose_model(self, model: str | None, address: str | None, key: str | None) -> None:
        """Pick what answers from now on, None for what is found. InputError says what is wrong with it."""
        try:
            self.models.choose(model, address, key)
        except ValueError as error:
            raise InputError(str(error), "Correct the address.", "address") from None
        self.poke()

    def set_key(self, provider: str, key: str | None) -> None:
        """Keep a provider's key, or forget it."""
        try:
            self.models.set_key(provider, key)
        except ValueError as error:
            raise InputError(str(error), "Paste it once more.", "key") from None
        self.poke()

    async def try_model(self, model: str | None) -> dict[str, Any]:
        """Let a model say hello; who answered, what, and how long it took."""
        started = time.monotonic()
        reply = await self.models.test(model)
        return {
            "model": reply.model,
            "text": reply.text.strip()[:400],
            "seconds": duration(time.monotonic() - started),
        }

    async def model_changed(self) -> None:
        """Returns when somebody picked another model."""
        await self._poked.wait()

    def poke(self) -> None:
        """Tell all pages to look which model answers."""
        self._poked.set()
        self._poked = asyncio.Event()
