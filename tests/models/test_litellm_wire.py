"""The other wire: LiteLLM, against servers that speak Anthropic's protocol and OpenAI's. It takes 3 s to import."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import (
    ModelAuthError,
    ModelError,
    ModelMissing,
    ModelRateLimited,
    ModelRefused,
    ModelTooLong,
    ModelUnavailable,
)
from engine.models import complete
from engine.models.names import Target
from engine.ports import ToolSpec
from tests.fakes.anthropic_server import FakeAnthropic
from tests.fakes.gemini_server import FakeGemini
from tests.fakes.openai_server import FakeOpenAI, Reply
from tests.models.conftest import PERSON, Make, collect, request

pytestmark = [
    pytest.mark.slow,
    # LiteLLM's own use of pydantic; as an error inside LiteLLM it would end the stream.
    pytest.mark.filterwarnings("ignore:Accessing the 'model_:DeprecationWarning"),
]
ROOT = Path(__file__).resolve().parents[2]
KEY = "sk-ant-planted-7f3a9c0d1e2b4f5a"
GROQ = "groq/some-model"
LOOK_UP = ToolSpec(
    "look_up", "Look a word up", {"type": "object", "properties": {"word": {"type": "string"}}}
)


def at(models: object, address: str, name: str = "anthropic/claude-haiku-4-5", key: str | None = KEY) -> None:
    """Let the installation's choice be a provider at a local address, with a key, as its own address would be."""
    provider, _, model = name.partition("/")
    target = Target(name, provider, model, "litellm", "a test", address, key)

    async def fixed(model: str | None = None, api_base: str | None = None) -> Target:
        return target

    models._chooser.target = fixed  # type: ignore[attr-defined]


async def test_a_streamed_reply_with_counts_and_cost(make: Make) -> None:
    models = make()
    with FakeAnthropic(["Hello from far away"]) as fake:
        at(models, fake.url)
        pieces, reply = await collect(models, request(temperature=0.1, max_tokens=77))
    assert len(pieces) > 3
    assert "".join(pieces) == reply.text == "Hello from far away"
    assert (reply.model, reply.prompt_tokens, reply.completion_tokens) == (
        "anthropic/claude-haiku-4-5",
        1000,
        200,
    )
    assert reply.cost_usd == pytest.approx(1000 * 1e-6 + 200 * 5e-6)
    assert (fake.requests[0]["max_tokens"], fake.requests[0]["temperature"]) == (77, 0.1)
    assert fake.headers[0]["x-api-key"] == KEY


async def test_gemini(make: Make) -> None:
    models = make()
    with FakeGemini(["Hallo", " Welt"]) as fake:
        at(models, fake.url, "google/gemini-flash-latest", "g-key")
        pieces, reply = await collect(models, request(schema={"type": "string"}))
    assert (pieces, reply.value) == (["Hallo", " Welt"], "Hallo Welt")
    assert (reply.model, reply.prompt_tokens, reply.completion_tokens) == (
        "google/gemini-flash-latest",
        50,
        7,
    )
    assert reply.cost_usd is not None
    path, headers, body = fake.requests[0]
    assert path.startswith("/models/gemini-flash-latest:streamGenerateContent")
    assert headers["x-goog-api-key"] == "g-key"
    assert "g-key" not in path, "an address is logged by every proxy on the way"
    assert "schema" in json.dumps(body).lower()


async def test_json_by_schema(make: Make) -> None:
    models = make()
    with FakeAnthropic(['{"name": "Ada", "age": "old"}', '{"name": "Ada", "age": 36}']) as fake:
        at(models, fake.url)
        reply = await complete(models, request(schema=PERSON))
    assert reply.value == {"name": "Ada", "age": 36}
    assert reply.prompt_tokens == 2000
    assert "age" in json.dumps(fake.requests[0])


@pytest.mark.parametrize(
    ("status", "kind", "message", "error"),
    [
        (401, "authentication_error", f"invalid x-api-key {KEY}", ModelAuthError),
        (403, "permission_error", "no", ModelAuthError),
        (404, "not_found_error", "model: claude-x", ModelMissing),
        (429, "rate_limit_error", "slow down", ModelRateLimited),
        (400, "invalid_request_error", "prompt is too long: 300000 tokens > 200000 maximum", ModelTooLong),
        (400, "invalid_request_error", "Your credit balance is too low", ModelRateLimited),
        (529, "overloaded_error", "Overloaded", ModelUnavailable),
        (500, "api_error", "Internal server error", ModelUnavailable),
    ],
)
async def test_errors_are_translated_without_the_key(
    make: Make,
    caplog: pytest.LogCaptureFixture,
    status: int,
    kind: str,
    message: str,
    error: type[ModelError],
) -> None:
    caplog.set_level(logging.DEBUG)
    models = make(keys={"anthropic": KEY})
    with FakeAnthropic([{"status": status, "error": kind, "message": message}]) as fake:
        at(models, fake.url)
        with pytest.raises(ModelError) as caught:
            await complete(models, request())
    assert type(caught.value) is error, caught.value
    assert KEY not in f"{caught.value} {caplog.text}"
    assert len(fake.requests) == (3 if caught.value.retryable and "credit" not in message else 1)


async def test_a_long_retry_after_is_not_waited_for(make: Make) -> None:
    models = make()
    reply = {
        "status": 429,
        "error": "rate_limit_error",
        "message": "slow",
        "headers": {"Retry-After": "3600"},
    }
    with FakeAnthropic([reply]) as fake:
        at(models, fake.url)
        with pytest.raises(ModelRateLimited):
            await complete(models, request())
    assert len(fake.requests) == 1


async def test_a_stream_that_breaks_off(make: Make) -> None:
    models = make()
    with FakeAnthropic(["Hello from far away"], break_after=2) as fake:
        at(models, fake.url)
        with pytest.raises(ModelUnavailable, match="broke off"):
            await collect(models, request())
    assert len(fake.requests) == 1


async def test_tools_and_refusals_over_a_provider_that_speaks_openais_protocol(make: Make) -> None:
    models = make()
    replies = [
        Reply(tool_calls=(("look_up", {"word": "a"}),)),
        Reply(text="", finish_reason="content_filter"),
    ]
    with FakeOpenAI(replies) as fake:
        at(models, fake.base_url, GROQ)
        reply = await complete(models, request(tools=(LOOK_UP,)))
        assert [(c.name, dict(c.arguments)) for c in reply.tool_calls] == [("look_up", {"word": "a"})]
        with pytest.raises(ModelRefused):
            await complete(models, request())


async def test_no_key_of_the_environment_goes_to_an_address_of_a_document(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROQ_API_KEY", KEY)
    models = make(keys={"groq": KEY})
    with FakeOpenAI("hi") as fake:
        await complete(models, request(model=GROQ, api_base=fake.base_url))
    assert KEY not in fake.headers[0]["authorization"]


def test_it_is_imported_late_reads_no_env_file_asks_nobody_and_ends_cleanly(tmp_path: Path) -> None:
    """In a process of its own, with warnings as errors and a `.env` that must not leak into the environment."""
    code = """
import asyncio, os, socket, sys
from engine.models import ModelChoice, Models, complete
from engine.ports import Message, ModelRequest
real = socket.getaddrinfo
def watched(host, *rest, **kw):
    if host not in ("127.0.0.1", None):
        print("asked for", host)
    return real(host, *rest, **kw)
socket.getaddrinfo = watched
async def main():
    models = Models(ModelChoice())
    asked = ModelRequest((Message("user", "hi"),), model="groq/llama-3-8b", api_base=sys.argv[1])
    assert "litellm" not in sys.modules
    print((await complete(models, asked)).text)
    await models.close()
asyncio.run(main())
print(os.environ.get("FROM_A_FILE"), sorted(m for m in ("pandas", "mlflow") if m in sys.modules))
"""
    (tmp_path / ".env").write_text("FROM_A_FILE=yes\n")
    with FakeOpenAI("hello") as fake:
        done = subprocess.run(
            [sys.executable, "-W", "error::ResourceWarning", "-X", "dev", "-c", code, fake.base_url],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        )
    assert done.stdout.splitlines() == ["hello", "None []"], done.stdout + done.stderr
    noise = [line for line in done.stderr.splitlines() if "Warning" in line or "huggingface" in line]
    assert noise == []
