"""Ollama on this machine: does it answer, which models has it, can one call functions."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from engine.models.imports import load

PROBE_SECONDS = 0.3
# What a probe found holds for so long; a person who starts Ollama does not wait longer than that.
FRESH_SECONDS = 5.0


class Ollama:
    """A small client of Ollama's own API. Every answer is remembered for FRESH_SECONDS; no answer is None."""

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/").removesuffix("/v1")
        self._models: tuple[float, list[str]] | None = None
        self._abilities: dict[str, tuple[float, frozenset[str]]] = {}
        self._lock = asyncio.Lock()

    async def models(self) -> list[str]:
        """The chat models it has, the newest first; empty when it does not answer within 0.3 s."""
        async with self._lock:
            if self._models is None or time.monotonic() - self._models[0] > FRESH_SECONDS:
                found = await self._ask("GET", "/api/tags")
                self._models = (time.monotonic(), _names(found))
            return list(self._models[1])

    async def newest(self) -> str | None:
        found = await self.models()
        return found[0] if found else None

    async def abilities(self, model: str) -> frozenset[str]:
        """What the model can do ("tools", "vision" …); empty when that is not known."""
        known = self._abilities.get(model)
        if known is None or time.monotonic() - known[0] > FRESH_SECONDS:
            found = await self._ask("POST", "/api/show", {"model": model})
            listed = found.get("capabilities") if isinstance(found, dict) else None
            known = (time.monotonic(), frozenset(str(a) for a in listed or ()))
            self._abilities[model] = known
        return known[1]

    def forget(self) -> None:
        """Ask again next time."""
        self._models = None
        self._abilities.clear()

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        await load("httpx")
        import httpx

        try:
            # Without TLS no certificates are loaded, which takes longer than the whole probe.
            tls = self.address.startswith("https://")
            async with (
                asyncio.timeout(PROBE_SECONDS),
                httpx.AsyncClient(trust_env=False, verify=tls) as client,
            ):
                response = await client.request(method, self.address + path, json=body)
                return response.json() if response.status_code == 200 else None
        except (TimeoutError, httpx.HTTPError, ValueError):
            return None


def _names(found: Any) -> list[str]:
    """The names in an answer of /api/tags, newest first, without those that only embed."""
    entries = found.get("models") if isinstance(found, dict) else None
    listed = [e for e in entries or () if isinstance(e, dict) and isinstance(e.get("name"), str)]
    chats = [e for e in listed if not _only_embeds(e)]
    chats.sort(key=lambda e: str(e.get("modified_at", "")), reverse=True)
    return [str(e["name"]).removesuffix(":latest") for e in chats]


def _only_embeds(entry: dict[str, Any]) -> bool:
    families = (entry.get("details") or {}).get("families") or []
    return "embed" in entry["name"] or any("bert" in str(family) for family in families)
