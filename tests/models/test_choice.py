"""Which model answers, and why: what is set, what was chosen, what is there."""

from __future__ import annotations

import pytest

from engine.errors import ModelMissing
from engine.models import EMBEDDED, PROVIDERS, InMemory, complete, pricing
from engine.models.names import default_model, known_provider, split
from tests.fakes.openai_server import FakeOpenAI, Reply
from tests.models.conftest import Make, request
from tests.patience import within

KEYS = {"google": "g-key", "openai": "o-key", "anthropic": "a-key"}


async def test_nothing_is_set_so_the_embedded_model_answers(make: Make) -> None:
    info = await make().info()
    assert (info.name, info.demo, info.function_calling) == (EMBEDDED, True, False)
    assert info.note is not None
    assert info.note.startswith("Demo model: small and runs on this machine.")
    assert "ollama serve" in info.note


@pytest.mark.parametrize(
    ("missing", "expected", "source"),
    [
        ((), "openai", "OPENAI_API_KEY is set"),
        (("openai",), "anthropic", "ANTHROPIC_API_KEY is set"),
        (("openai", "anthropic"), "google", "GEMINI_API_KEY is set"),
    ],
)
async def test_the_first_provider_with_a_key(
    make: Make, missing: tuple[str, ...], expected: str, source: str
) -> None:
    info = await make(keys={k: v for k, v in KEYS.items() if k not in missing}).info()
    assert (info.name, info.source, info.demo, info.note) == (default_model(expected), source, False, None)
    assert info.function_calling


def test_the_default_models_are_in_the_price_table_and_can_do_what_is_needed() -> None:
    for provider in PROVIDERS.values():
        known = pricing.entry(provider.name, provider.default)
        assert known is not None, provider.default
        assert known["supports_function_calling"]
        assert known["supports_response_schema"]
        assert pricing.cost(known, pricing.Usage(1000, 1000)) is not None
        assert "deprecation_date" not in known


async def test_an_ollama_that_answers_with_its_newest_chat_model(make: Make) -> None:
    with FakeOpenAI("hi") as fake:
        fake.ollama_models = ("nomic-embed-text:latest", "qwen3:latest", "llama3.2:1b")
        fake.ollama_tools = ("qwen3",)
        models = make(ollama=fake.url)
        info = await models.info()
        assert (info.name, info.function_calling) == ("ollama/qwen3", True)
        assert info.source == f"Ollama answers on 127.0.0.1:{fake.port}"
        assert not (await models.info("ollama/llama3.2:1b")).function_calling
        reply = await complete(models, request())
    assert (reply.model, reply.cost_usd, fake.requests[0]["model"]) == ("ollama/qwen3", 0.0, "qwen3")


async def test_an_ollama_that_hangs_is_not_waited_for(make: Make) -> None:
    import asyncio
    import time

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        models = make(ollama=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        await models.info("embedded/smollm2-135m-instruct")
        started = time.perf_counter()
        assert (await models.info()).name == EMBEDDED
        assert time.perf_counter() - started < within(1.0)


async def test_the_order_of_all_that_can_be_set(make: Make) -> None:
    with FakeOpenAI("hi") as fake:
        fake.ollama_models = ("qwen3",)
        store = InMemory()
        everything = {
            "model": "ollama/m",
            "force_model": "ollama/f",
            "keys": KEYS,
            "ollama": fake.url,
            "store": store,
        }
        models = make(**everything)
        models.choose("ollama/c")
        assert (await models.info()).name == "ollama/f"
        assert "PARLANCE_FORCE_MODEL" in (await models.info()).source
        unforced = make(**{**everything, "force_model": None})
        assert ((await unforced.info()).name, (await unforced.info()).source) == (
            "ollama/c",
            "chosen on the page",
        )
        unforced.choose(None)
        assert ((await unforced.info()).name, (await unforced.info()).source) == (
            "ollama/m",
            "PARLANCE_MODEL",
        )
        unset = make(keys=KEYS, ollama=fake.url)
        assert (await unset.info()).name == default_model("openai")


async def test_a_forced_model_drops_what_the_document_says(make: Make) -> None:
    with FakeOpenAI(Reply(status=401)) as fake:
        models = make(force_model="openai/forced", api_base=fake.base_url, api_key="the-key", keys=KEYS)
        asked = request(
            model="anthropic/claude-sonnet-5", api_base="http://127.0.0.1:9/v1", fallbacks=("ollama/x",)
        )
        with pytest.raises(Exception, match="refused the key"):
            await complete(models, asked)
        assert (await models.info("anthropic/claude-sonnet-5")).name == "openai/forced"
    assert [
        (body["model"], head["authorization"]) for body, head in zip(fake.requests, fake.headers, strict=True)
    ] == [("forced", "Bearer the-key")]


async def test_the_base_goes_with_the_configured_model_only(make: Make) -> None:
    with FakeOpenAI("from base") as base, FakeOpenAI("from ollama") as ollama:
        models = make(base, api_key="base-key", ollama=ollama.url, keys={"openai": "o-key"})
        assert (await complete(models, request())).text == "from base"
        assert (await complete(models, request(model="openai/fake"))).text == "from base"
        assert (await complete(models, request(model="ollama/x"))).text == "from ollama"
        named = models._chooser.named("openai/gpt-5")
        assert (named.address, named.key) == (None, "o-key")
        same = models._chooser.named("openai/other", api_base=base.base_url + "/")
        assert (same.address, same.key) == (base.base_url, "base-key")
    assert {head["authorization"] for head in base.headers} == {"Bearer base-key"}
    assert {head["authorization"] for head in ollama.headers} == {"Bearer none"}


@pytest.mark.parametrize(
    ("name", "served"),
    [
        ("openai/qwen3", "qwen3"),
        ("openai/meta-llama/Llama-3", "meta-llama/Llama-3"),
        ("meta-llama/Llama-3", "meta-llama/Llama-3"),
        ("groq/llama", "llama"),
        ("plain", "plain"),
    ],
)
async def test_the_name_that_a_server_of_ones_own_is_told(make: Make, name: str, served: str) -> None:
    with FakeOpenAI("hi") as fake:
        reply = await complete(make(fake, model=name), request())
    assert (fake.requests[0]["model"], reply.model) == (served, name)


async def test_choosing_on_the_page_takes_effect_at_once(make: Make) -> None:
    with FakeOpenAI("one") as one, FakeOpenAI("two") as two:
        models = make(one)
        assert (await complete(models, request())).text == "one"
        models.choose("openai/mine", api_base=two.base_url, api_key="page-key")
        assert (await complete(models, request())).text == "two"
        assert (await models.info()).source == "chosen on the page"
        assert (await models.test()).text == "two"
        models.choose(None)
        assert (await complete(models, request())).text == "one"
    assert two.headers[0]["authorization"] == "Bearer page-key"


async def test_a_pasted_key_takes_effect_at_once(make: Make) -> None:
    models = make()
    assert (await models.info()).name == EMBEDDED
    assert "OPENAI_API_KEY" in str((await models.info("openai/gpt-5")).note)
    models.set_key("openai", "  sk-pasted\n")
    assert models.has_key("openai")
    assert ((await models.info()).name, (await models.info()).source) == (
        default_model("openai"),
        "its key was set on the page",
    )
    assert models.redact("see sk-pasted here") == "see [key] here"
    models.set_key("openai", None)
    assert (await models.info()).name == EMBEDDED


async def test_what_can_be_picked(make: Make) -> None:
    with FakeOpenAI("hi") as fake:
        fake.ollama_models = ("qwen3", "gemma3")
        found = await make(
            model="openai/mine", api_base=fake.base_url, keys=KEYS, ollama=fake.url
        ).available()
    names = [info.name for info in found]
    assert names == [
        "openai/mine",
        *(default_model(p) for p in PROVIDERS),
        "ollama/qwen3",
        "ollama/gemma3",
        EMBEDDED,
    ]
    assert [info.name for info in found if info.demo] == [EMBEDDED]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("opnai/gpt-5", "Did you mean openai/gpt-5"),
        ("nothing-like-it", "provider/model"),
        ("openai/", "no model"),
        ("embedded/llama", "embedded/smollm2"),
    ],
)
async def test_a_name_that_leads_nowhere(make: Make, name: str, words: str) -> None:
    models = make()
    with pytest.raises(ModelMissing, match=words):
        await models.info(name)
    with pytest.raises(ModelMissing, match=words):
        await complete(models, request(model=name))
    with pytest.raises(ModelMissing, match=words):
        models.choose(name)


async def test_what_the_checker_is_told_of_this_machine(make: Make) -> None:
    machine = await make(model="ollama/x", keys={"groq": "k", "openai": ""}).machine()
    assert machine.model is not None
    assert (machine.model.name, machine.providers, machine.forced) == ("ollama/x", frozenset({"groq"}), False)
    assert (await make(force_model="ollama/y").machine()).forced


def test_names() -> None:
    assert split("gpt-4o") == ("openai", "gpt-4o")
    assert split("gemini/gemini-2.5-pro") == ("google", "gemini-2.5-pro")
    assert split("gemini-2.5-pro") == ("google", "gemini-2.5-pro")
    assert split("openrouter/meta-llama/llama-3") == ("openrouter", "meta-llama/llama-3")
    assert known_provider("mistral")
    assert not known_provider("meta-llama")


def test_wrong_keys_and_addresses_from_the_page(make: Make) -> None:
    models = make()
    with pytest.raises(ModelMissing, match="There is no provider 'nobody'"):
        models.set_key("nobody", "k")
    with pytest.raises(ValueError, match="copy it again"):
        models.set_key("openai", "sk-a\x00b")
    with pytest.raises(ValueError, match="whole address"):
        models.choose("openai/x", api_base="localhost:8000")


def test_prices() -> None:
    table = {"input_cost_per_token": 2e-6, "output_cost_per_token": 8e-6, "cache_read_input_token_cost": 1e-6}
    assert pricing.cost(table, pricing.Usage(1000, 100)) == pytest.approx(2800e-6)
    assert pricing.cost(table, pricing.Usage(1000, 100, cached=400)) == pytest.approx(2400e-6)
    long = {**table, "input_cost_per_token_above_200k_tokens": 4e-6}
    assert pricing.cost(long, pricing.Usage(300_000, 0)) == pytest.approx(1.2)
    assert pricing.cost(table, pricing.Usage(None, 5)) is None
    assert pricing.cost({}, pricing.Usage(1, 1)) is None
    assert pricing.cost(None, pricing.Usage(1, 1)) is None
    assert pricing.entry("openai", "no-such-model") is None
    assert pricing.entry("groq", "gpt-4o") is None, "a name without provider counts for its own provider only"


async def test_ollama_is_asked_for_its_models_only_where_one_is_named(make: Make) -> None:
    with FakeOpenAI("hi") as fake:
        fake.ollama_models = ("qwen3:latest", "llama3.2:1b")
        keyed = make(ollama=fake.url, keys={"openai": "k"})
        assert (await keyed.machine({None, "openai/gpt-5.4-mini"})).known_models is None
        machine = await keyed.machine({"ollama/qwen3"})
        assert machine.known_models == {"ollama/qwen3", "ollama/llama3.2:1b"}
        alone = await make(ollama=fake.url).machine()
        assert alone.model is not None
        assert alone.model.name == "ollama/qwen3"
    assert (await make().machine({"ollama/qwen3"})).known_models is None
