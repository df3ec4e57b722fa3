"""The wire to every other provider: LiteLLM, imported by the first request that needs it, kept quiet."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import AsyncGenerator
from typing import Any

from engine.models.imports import load
from engine.models.names import litellm_name
from engine.models.wire import SILENCE_SECONDS, Call

# To an address that stands in a document no real key goes; LiteLLM would take one from the environment.
_NO_KEY = "none"
# LiteLLM reads these when it is imported. Without them it asks the network for prices, reads any `.env` it
# finds into the environment, and opens sessions that nobody closes.
_ENVIRONMENT = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_LOG": "ERROR",
    "DISABLE_AIOHTTP_TRANSPORT": "True",
}
_LOGGERS = ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy", "httpx", "httpcore", "openai")


class LiteLLMWire:
    """LiteLLM's `acompletion`, streaming, with its own retries, telemetry and downloads off."""

    def __init__(self) -> None:
        self._used = False

    async def load(self) -> None:
        """Import LiteLLM."""
        await _quiet_litellm()

    async def chunks(self, call: Call) -> AsyncGenerator[Any, None]:
        litellm = await _quiet_litellm()
        self._used = True
        target = call.target
        stream = await litellm.acompletion(
            model=litellm_name(target),
            api_key=target.key or (_NO_KEY if target.address else None),
            api_base=target.address,
            stream=True,
            timeout=SILENCE_SECONDS,
            num_retries=0,
            max_retries=0,
            drop_params=True,
            # Else a call with tools imports LiteLLM's proxy, and fails where its package mcp is missing.
            _skip_mcp_handler=True,
            **call.body,
        )
        try:
            async for chunk in stream:
                yield _truthful(chunk, stream)
        finally:
            await stream.aclose()

    async def close(self) -> None:
        """Close LiteLLM's connections and let its last log tasks end."""
        if self._used:
            import litellm

            await litellm.close_litellm_async_clients()
            # It keeps what it closed, and would use it again.
            litellm.in_memory_llm_clients_cache.flush_cache()
            await asyncio.sleep(0)


def _truthful(chunk: Any, stream: Any) -> Any:
    """LiteLLM ends each stream with a finish reason, also one that broke off: take out what no vendor said.

    Gemini's is always taken for ended: there LiteLLM notes a reason with every piece.
    """
    reasons = (
        getattr(stream, "received_finish_reason", ""),
        getattr(stream, "intermittent_finish_reason", ""),
    )
    if reasons == (None, None):
        for choice in chunk.choices:
            choice.finish_reason = None
    return chunk


async def _quiet_litellm() -> Any:
    if "litellm" not in sys.modules:
        os.environ.update(_ENVIRONMENT)
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    litellm: Any = await load("litellm")
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    litellm.disable_hf_tokenizer_download = True
    litellm.disable_aiohttp_transport = True
    litellm.turn_off_message_logging = True
    return litellm
