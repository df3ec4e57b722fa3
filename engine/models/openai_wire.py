"""The wire to servers that speak the OpenAI protocol: OpenAI's SDK, without its typed resources.

`AsyncOpenAI.post` is the SDK's own door for any path; going through it instead of `chat.completions`
leaves out the import of every resource, 0.2 s and 14 MB.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any

from engine.models.choice import base_of
from engine.models.imports import load
from engine.models.names import Target
from engine.models.wire import CONNECT_SECONDS, SILENCE_SECONDS, Call

if TYPE_CHECKING:
    from openai import AsyncOpenAI

# The SDK wants some key; a server that needs none gets this word.
NO_KEY = "none"


class OpenAIWire:
    """Clients by address and key, each with its own pool of connections."""

    def __init__(self) -> None:
        self._clients: dict[tuple[str, str], AsyncOpenAI] = {}

    async def load(self) -> None:
        """Import the SDK, with the parts that a call needs."""
        await load("openai")
        await load("openai.types.chat")

    async def chunks(self, call: Call) -> AsyncGenerator[Any, None]:
        await self.load()
        from openai import AsyncStream
        from openai.types.chat import ChatCompletionChunk

        stream = await self._client(call.target).post(
            "/chat/completions",
            body={"model": call.target.model, "stream": True, **call.body},
            cast_to=ChatCompletionChunk,
            stream=True,
            stream_cls=AsyncStream[ChatCompletionChunk],
        )
        try:
            async for chunk in stream:
                yield chunk
        finally:
            await stream.close()

    def _client(self, target: Target) -> AsyncOpenAI:
        place = (base_of(target), target.key or NO_KEY)
        if place not in self._clients:
            self._clients[place] = _make_client(*place, trust_env=not target.loopback)
        return self._clients[place]

    async def close(self) -> None:
        clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            await client.close()


def _make_client(base_url: str, key: str, *, trust_env: bool) -> AsyncOpenAI:
    import httpx
    from openai import AsyncOpenAI

    # They tell addresses at INFO and whole prompts at DEBUG.
    for name in ("openai", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    timeout = httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS)
    plain = base_url.startswith("http://")
    http = httpx.AsyncClient(
        timeout=timeout, trust_env=trust_env, follow_redirects=not plain, verify=not plain
    )
    return AsyncOpenAI(api_key=key, base_url=base_url, max_retries=0, timeout=timeout, http_client=http)
