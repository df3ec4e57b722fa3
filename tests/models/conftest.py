"""Models over a fake server, and requests to them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from engine.models import ModelChoice, Models
from engine.ports import Message, ModelReply, ModelRequest, TextDelta
from tests.fakes.openai_server import FakeOpenAI

NOWHERE = "http://127.0.0.1:9"
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 40}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}

Make = Callable[..., Models]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """Makes Models that find no Ollama, and closes them. `make(fake)` sends everything to the fake server."""
    made: list[Models] = []

    def build(fake: FakeOpenAI | None = None, *, store: Any = None, **choice: Any) -> Models:
        if fake is not None:
            choice = {"model": "openai/fake", "api_base": fake.base_url, **choice}
        models = Models(ModelChoice(**{"ollama": NOWHERE, **choice}), store, backoff=0.01, cache_prompt=False)
        made.append(models)
        return models

    yield build
    for models in made:
        await models.close()


def request(text: str = "Hi", **fields: Any) -> ModelRequest:
    return ModelRequest((Message("user", text),), **fields)


async def collect(models: Models, asked: ModelRequest) -> tuple[list[str], ModelReply]:
    """The pieces of text, and the reply."""
    pieces: list[str] = []
    reply: ModelReply | None = None
    async for piece in models.stream(asked):
        assert reply is None, "the reply is the last thing a stream yields"
        if isinstance(piece, TextDelta):
            pieces.append(piece.text)
        else:
            reply = piece
    assert reply is not None
    return pieces, reply
