"""Counting tokens: by the vendor's own tokenizer where it is known, else by a rule of thumb that is near enough."""

from __future__ import annotations

import gc
import socket
import time
from typing import Any

import pytest

from engine.models import EMBEDDED, tokens
from engine.models.client import complete
from engine.ports import Message, ModelRequest
from tests.models.conftest import Make
from tests.patience import within

PROSE = (
    "A customer writes that the parcel arrived late, that one cup was broken, and that nobody answered the phone. "
    "She asks whether she can have her money back or a new cup. Please read the letter with care, and say in one "
    "short paragraph what she wants, how upset she is, and what the shop should do about it first."
)
TEXTS = {
    "prose": PROSE,
    "german": "Die Lieferung kam verspätet an, und eine Tasse war zerbrochen; niemand ging ans Telefon. " * 4,
    "code": "def add(first: int, second: int) -> int:\n    return first + second  # the sum\n" * 6,
    "json": '{"name": "Ada", "age": 36, "tags": ["first", "second"], "open": true}\n' * 6,
    "numbers": " ".join(str(number * 7919) for number in range(60)),
    "chinese": "人工智能正在改变我们的生活方式，越来越多的公司开始使用大型语言模型。" * 4,
    "base64": "QWxsIHRoZSBzZWNyZXRzIG9mIHRoZSB3b3JsZCBhcmUgaW4gaGVyZSwgc29tZXdoZXJl" * 4,
}


def test_openais_models_are_counted_exactly_and_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the vendor's tokenizer has it; the figures are its own, taken once."""

    def refuse(*_: Any) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert tokens.count("tiktoken is great!", "openai", "gpt-4") == 6
    assert tokens.count("antidisestablishmentarianism", "openai", "gpt-4") == 6
    assert tokens.count("antidisestablishmentarianism", "openai", "gpt-4o-mini") == 6
    assert tokens.encoding_name("openai", "gpt-5.4-mini") == "o200k_base"
    assert tokens.encoding_name("openai", "gpt-3.5-turbo") == "cl100k_base"
    assert tokens.encoding_name("anthropic", "gpt-4") is None
    assert tokens.count(PROSE, "anthropic", "claude-sonnet-5") == tokens.rule_of_thumb(PROSE)


@pytest.mark.parametrize("name", TEXTS)
def test_the_rule_of_thumb_is_near_and_its_worst_is_enough(name: str) -> None:
    exact = [tokens.count(TEXTS[name], "openai", model) for model in ("gpt-4", "gpt-4o")]
    about = tokens.rule_of_thumb(TEXTS[name])
    assert 0.65 * max(exact) < about < 2 * min(exact)
    if name == "prose":
        assert about == pytest.approx(exact[1], rel=0.25)
    assert tokens.at_worst(TEXTS[name], "anthropic", "claude-sonnet-5") >= max(exact)


def test_long_texts_are_counted_in_no_time() -> None:
    """Without spaces the tokenizer's own time would grow with the square of the length."""
    tokens.count("warm", "openai", "gpt-4o")
    began = time.perf_counter()
    assert tokens.count("a" * 500_000, "openai", "gpt-4o") > 50_000
    tokens.rule_of_thumb("a b" * 100_000)
    assert time.perf_counter() - began < within(2)


async def test_a_tokenizer_is_loaded_by_another_thread() -> None:
    tokens._encoding.cache_clear()
    gc.collect()
    mine = time.thread_time()
    await tokens.load("openai", "gpt-4")
    assert time.thread_time() - mine < 0.05
    assert tokens._encoding.cache_info().currsize == 1


@pytest.mark.slow
async def test_the_rule_of_thumb_against_the_embedded_model(make: Make) -> None:
    """What the embedded model says that its prompts had, less what its template adds."""
    models = make()
    empty = await counted(models, "")
    for name in ("prose", "code", "json", "german"):
        truth = await counted(models, TEXTS[name]) - empty
        about = tokens.rule_of_thumb(TEXTS[name])
        print(f"{name}: {truth} tokens, about {about}")
        assert 0.5 * truth < about < 1.5 * truth
        assert tokens.at_worst(TEXTS[name], "embedded", EMBEDDED) >= 0.95 * truth
    prose = await counted(models, PROSE) - empty
    assert tokens.rule_of_thumb(PROSE) == pytest.approx(prose, rel=0.25)


async def counted(models: Any, text: str) -> int:
    request = ModelRequest((Message("user", f"Hi {text}"),), model=EMBEDDED, max_tokens=1)
    found = (await complete(models, request)).prompt_tokens
    assert found is not None
    return found
