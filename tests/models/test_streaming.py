"""The OpenAI wire against a server: streaming, counts, cost, retries, fallbacks, what a server does not know."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import (
    ModelAuthError,
    ModelBadReply,
    ModelError,
    ModelMissing,
    ModelRateLimited,
    ModelRefused,
    ModelTimeout,
    ModelTooLong,
    ModelUnavailable,
)
from engine.models import complete
from engine.models.asking import ask, first_dialect
from engine.models.names import Target
from engine.ports import Message, ModelReply, ModelRequest, TextDelta, ToolCall, ToolSpec
from tests.fakes.openai_server import FakeOpenAI, Reply
from tests.models.conftest import Make, collect, request

ROOT = Path(__file__).resolve().parents[2]
LOOK_UP = ToolSpec(
    "look_up", "Look a word up", {"type": "object", "properties": {"word": {"type": "string"}}}
)


async def test_pieces_arrive_while_the_server_still_writes(make: Make) -> None:
    with FakeOpenAI(Reply(pieces=("Hel", "lo ", "you"), pause=True)) as fake:
        stream = make(fake).stream(request())
        first = await anext(stream)
        assert first == TextDelta("Hel")
        assert await asyncio.to_thread(fake.paused.wait, 10), "the server waits for the test to go on"
        fake.release()
        rest = [piece async for piece in stream]
    assert rest[:2] == [TextDelta("lo "), TextDelta("you")]
    reply = rest[-1]
    assert isinstance(reply, ModelReply)
    assert (reply.text, reply.model, reply.finish_reason) == ("Hello you", "openai/fake", "stop")


async def test_counts_come_from_the_server_and_an_unknown_price_is_none(make: Make) -> None:
    with FakeOpenAI([Reply(text="a", usage=(120, 30)), Reply(text="b", usage=False)]) as fake:
        models = make(fake)
        counted = await complete(models, request())
        uncounted = await complete(models, request())
    assert (counted.prompt_tokens, counted.completion_tokens, counted.cost_usd) == (120, 30, None)
    assert (uncounted.prompt_tokens, uncounted.completion_tokens, uncounted.cost_usd) == (None, None, None)


async def test_a_model_in_the_price_table_has_a_cost(make: Make) -> None:
    with FakeOpenAI(Reply(text="a", usage=(1_000_000, 1_000_000))) as fake:
        reply = await complete(make(fake, model="openai/gpt-4o-mini"), request())
    assert reply.cost_usd == pytest.approx(0.15 + 0.60)


async def test_ollama_is_known_to_be_free(make: Make) -> None:
    with FakeOpenAI(Reply(text="a", usage=(10, 10))) as fake:
        reply = await complete(make(ollama=fake.url, model="ollama/qwen3"), request())
    assert (reply.cost_usd, reply.model) == (0.0, "ollama/qwen3")
    assert fake.requests[0]["model"] == "qwen3"


async def test_the_request_in_the_protocols_terms(make: Make) -> None:
    call = ToolCall("call_7", "look_up", {"word": "ü"})
    messages = (
        Message("system", "Be brief."),
        Message("user", "What is ü?"),
        Message("assistant", "", (call,)),
        Message("tool", "a vowel", tool_call_id="call_7"),
    )
    asked = ModelRequest(messages, temperature=0.2, max_tokens=50, tools=(LOOK_UP,))
    with FakeOpenAI("A vowel.") as fake:
        await complete(make(fake), asked)
    body = fake.requests[0]
    assert (body["model"], body["temperature"], body["max_tokens"], body["stream"]) == ("fake", 0.2, 50, True)
    assert body["stream_options"] == {"include_usage": True}
    assert body["messages"][2]["tool_calls"] == [
        {"id": "call_7", "type": "function", "function": {"name": "look_up", "arguments": '{"word": "ü"}'}}
    ]
    assert body["messages"][3] == {"role": "tool", "content": "a vowel", "tool_call_id": "call_7"}
    assert body["tools"][0]["function"]["name"] == "look_up"


async def test_tool_calls_are_put_together_from_their_parts(make: Make) -> None:
    calls = (("look_up", {"word": "alpha"}), ("look_up", {"word": "beta"}))
    with FakeOpenAI(Reply(tool_calls=calls)) as fake:
        reply = await complete(make(fake), request(tools=(LOOK_UP,)))
    assert [(c.name, dict(c.arguments)) for c in reply.tool_calls] == [(n, a) for n, a in calls]
    assert len({c.id for c in reply.tool_calls}) == 2
    assert reply.finish_reason == "tool_calls"


async def test_tools_are_asked_for_as_json_where_the_server_can_not_call(make: Make) -> None:
    refusal = Reply(status=400, message="this model does not support tools")
    call = {"value": {"tool": "look_up", "args": {"word": "alpha"}}}
    answer = {"value": {"answer": "It is a letter."}}
    with FakeOpenAI([refusal, call, answer]) as fake:
        models = make(fake)
        _, first = await collect(models, request(tools=(LOOK_UP,)))
        told = ModelRequest(
            (Message("user", "Hi"), Message("assistant", "", first.tool_calls), Message("tool", "a letter")),
            tools=(LOOK_UP,),
        )
        pieces, second = await collect(models, told)
    assert [(c.name, dict(c.arguments)) for c in first.tool_calls] == [("look_up", {"word": "alpha"})]
    assert (pieces, second.text, second.tool_calls) == (["It is a letter."], "It is a letter.", ())
    assert "tools" in fake.requests[0]
    assert "tools" not in fake.requests[2], "what a server refused once is not sent again"
    assert "Result of the tool: a letter" in fake.prompts()[2]


async def test_a_complaint_about_one_tool_is_told(make: Make) -> None:
    complaint = Reply(status=400, message="tools.0.function.parameters: not a JSON Schema")
    with FakeOpenAI(complaint) as fake, pytest.raises(ModelError, match="not a JSON Schema"):
        await complete(make(fake), request(tools=(LOOK_UP,)))
    assert len(fake.requests) == 1


@pytest.mark.parametrize(
    ("refusal", "check"),
    [
        (
            Reply(status=400, message="Use 'max_completion_tokens' instead.", param="max_tokens"),
            lambda body: body["max_completion_tokens"] == 9 and "max_tokens" not in body,
        ),
        (
            Reply(status=400, message="Unsupported value", param="temperature"),
            lambda body: "temperature" not in body and body["max_tokens"] == 9,
        ),
        (
            Reply(status=422, message="stream_options: extra fields not permitted"),
            lambda body: "stream_options" not in body,
        ),
    ],
)
async def test_a_field_that_a_server_does_not_know_is_left_out(make: Make, refusal: Reply, check) -> None:  # type: ignore[no-untyped-def]
    with FakeOpenAI([refusal, "fine", "fine again"]) as fake:
        models = make(fake)
        for _ in range(2):
            await complete(models, request(temperature=0.5, max_tokens=9))
    assert [check(body) for body in fake.requests[1:]] == [True, True]
    assert len(fake.requests) == 3


async def test_a_refusal_that_nothing_helps_against_is_told_as_it_was_first(make: Make) -> None:
    replies = [Reply(status=400, message="the moon is full"), *[Reply(status=400, message="no")] * 9]
    with FakeOpenAI(replies) as fake, pytest.raises(ModelError, match="the moon is full"):
        await complete(make(fake), request(schema={"type": "string"}))
    assert len(fake.requests) == 3, "with a schema, without response_format's two forms"


async def test_what_may_pass_is_tried_again_twice(make: Make) -> None:
    with FakeOpenAI([Reply(status=503), Reply(status=429, headers={"Retry-After": "0"}), "third"]) as fake:
        reply = await complete(make(fake), request())
    assert (reply.text, len(fake.requests)) == ("third", 3)


async def test_after_two_retries_the_error_is_told(make: Make) -> None:
    with (
        FakeOpenAI(Reply(status=500, message="out of order")) as fake,
        pytest.raises(ModelUnavailable, match="out of order"),
    ):
        await complete(make(fake), request())
    assert len(fake.requests) == 3


async def test_a_long_retry_after_is_not_waited_for(make: Make) -> None:
    with (
        FakeOpenAI(Reply(status=429, headers={"Retry-After": "3600"})) as fake,
        pytest.raises(ModelRateLimited, match="too many requests"),
    ):
        await complete(make(fake), request())
    assert len(fake.requests) == 1


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        (Reply(status=401, message="bad key"), ModelAuthError, "PARLANCE_API_KEY"),
        (Reply(status=403), ModelAuthError, "refused the key"),
        (Reply(status=404, message="no such model"), ModelMissing, "knows no model 'fake'"),
        (Reply(status=400, message="The model `fake` does not exist"), ModelMissing, "Check the name"),
        (Reply(status=402), ModelRateLimited, "no credit left"),
        (Reply(status=429, code="insufficient_quota"), ModelRateLimited, "no credit left"),
        (Reply(status=400, code="context_length_exceeded"), ModelTooLong, "Shorten it"),
        (Reply(status=400, message="maximum context length is 8192 tokens"), ModelTooLong, "8192"),
        (Reply(status=413), ModelTooLong, "Shorten it"),
        (Reply(status=400, code="content_filter"), ModelRefused, "in other words"),
        (Reply(text="", refusal="I can't help with that."), ModelRefused, "I can't help with that"),
        (Reply(text="", finish_reason="content_filter"), ModelRefused, "filter"),
        (Reply(status=418, message="teapot"), ModelError, "teapot"),
        (Reply(status=502, body="<html>Bad gateway</html>"), ModelUnavailable, "Try again"),
    ],
)
async def test_vendors_errors_are_translated_with_the_fix(
    make: Make, reply: Reply, error: type[ModelError], words: str
) -> None:
    with FakeOpenAI(reply) as fake, pytest.raises(ModelError) as caught:
        await complete(make(fake), request())
    assert type(caught.value) is error
    assert words in str(caught.value)
    assert caught.value.fix


@pytest.mark.parametrize("after", [0, 2])
async def test_a_stream_that_breaks_off(make: Make, after: int) -> None:
    """Before the first piece the call is made again; later it can't be, since the text is out."""
    with FakeOpenAI([Reply(text="abcdefghijklmnop", break_after=after), "whole"]) as fake:
        models = make(fake)
        if after == 0:
            assert (await complete(models, request())).text == "whole"
            return
        stream = models.stream(request())
        pieces = [await anext(stream), await anext(stream)]
        with pytest.raises(ModelUnavailable, match="broke off"):
            await anext(stream)
    assert pieces == [TextDelta("ab"), TextDelta("cd")]
    assert len(fake.requests) == 1


async def test_no_server_there(make: Make) -> None:
    models = make(model="openai/x", api_base="http://127.0.0.1:9/v1")
    with pytest.raises(ModelUnavailable, match="does not answer"):
        await complete(models, request())
    with pytest.raises(ModelUnavailable, match="ollama serve"):
        await complete(models, request(model="ollama/qwen3"))


async def test_a_time_out(make: Make) -> None:
    with FakeOpenAI([Reply(text="slow", delay=5), Reply(pieces=("a", "b"), pause=True)]) as fake:
        models = make(fake)
        with pytest.raises(ModelTimeout, match="in time"):
            await complete(models, request(timeout=0.2))
        with pytest.raises(ModelTimeout):
            await complete(models, request(timeout=0.3))


async def test_a_stream_that_is_left_early_closes_its_connection(make: Make) -> None:
    with FakeOpenAI(Reply(text="x" * 400, pieces=("x",) * 400, piece_delay=0.01)) as fake:
        stream = make(fake).stream(request())
        await anext(stream)
        await stream.aclose()
        async with asyncio.timeout(3):
            while fake.hung_up == 0:
                await asyncio.sleep(0.02)


async def test_fallbacks_in_order_while_nothing_was_said(make: Make) -> None:
    def script(body: dict[str, object]) -> Reply:
        return Reply(text="from c") if body["model"] == "c" else Reply(status=401)

    with FakeOpenAI(script) as fake:
        models = make(ollama=fake.url)
        reply = await complete(
            models, request(model="ollama/a", fallbacks=("ollama/b", "ollama/c", "ollama/d"))
        )
        asked = [body["model"] for body in fake.requests]
        assert (reply.text, reply.model, asked) == ("from c", "ollama/c", ["a", "b", "c"])
        with pytest.raises(ModelAuthError):
            await complete(models, request(model="ollama/a", fallbacks=("nonsense/b",)))


async def test_no_fallback_once_something_was_said(make: Make) -> None:
    with FakeOpenAI(Reply(text="abcdefgh", break_after=2)) as fake, pytest.raises(ModelUnavailable):
        await complete(make(ollama=fake.url), request(model="ollama/a", fallbacks=("ollama/b",)))
    assert [body["model"] for body in fake.requests] == ["a"]


async def test_arguments_that_are_no_json_object(make: Make) -> None:
    with (
        FakeOpenAI(Reply(tool_calls=(("look_up", "[1]"),))) as fake,
        pytest.raises(ModelBadReply, match="not a JSON object"),
    ):
        await complete(make(fake), request(tools=(LOOK_UP,)))


def test_the_openai_path_imports_nothing_heavy() -> None:
    """In a process of its own: no LiteLLM, pandas, numpy, and not the SDK's typed resources."""
    code = """
import asyncio, sys
from engine.models import ModelChoice, Models, complete
from engine.ports import Message, ModelRequest
async def main():
    models = Models(ModelChoice(model="openai/gpt-4o-mini", api_base=sys.argv[1]))
    print((await complete(models, ModelRequest((Message("user", "hi"),)))).text)
    await models.close()
before = sorted({m.partition(".")[0] for m in sys.modules} & {"openai", "httpx", "pydantic", "jsonschema", "yaml"})
asyncio.run(main())
heavy = sorted(m for m in ("litellm", "pandas", "numpy", "openai.resources.chat", "aiohttp") if m in sys.modules)
print(before, heavy)
"""
    with FakeOpenAI("hello") as fake:
        done = subprocess.run(
            [sys.executable, "-c", code, fake.base_url], capture_output=True, text=True, timeout=60, cwd=ROOT
        )
    assert done.stdout.splitlines() == ["hello", "[] []"], done.stderr


async def test_who_counts_every_call_is_told_of_the_first_that_failed(make: Make) -> None:
    with FakeOpenAI([Reply(status=503, message="busy"), "second"]) as fake:
        with pytest.raises(ModelUnavailable, match="busy"):
            await complete(make(fake), request(retries=0))
        assert len(fake.requests) == 1


async def test_a_fallback_is_asked_before_the_same_model_again(make: Make) -> None:
    """The last of them has nobody after it, and is asked again."""

    def script(body: dict[str, object]) -> Reply:
        if body["model"] == "b" and len(fake.requests) > 2:
            return Reply(text="from b")
        return Reply(status=503)

    with FakeOpenAI(script) as fake:
        models = make(ollama=fake.url)
        reply = await complete(models, request(model="ollama/a", fallbacks=("ollama/b",)))
        assert reply.text == "from b"
        assert [body["model"] for body in fake.requests] == ["a", "b", "b"]


async def test_the_embedded_model_is_kept_from_repeating_itself_in_text_alone() -> None:
    target = Target("embedded/x", "embedded", "x", "embedded", "a test", None, None)
    plain = ask(request(), request().messages, target, first_dialect(target)).body
    assert (plain["repeat_penalty"], plain["repeat_last_n"]) == (1.1, 128)
    for asked in (request(schema={"type": "string"}), request(tools=(LOOK_UP,))):
        assert "repeat_penalty" not in ask(asked, asked.messages, target, first_dialect(target)).body
    other = Target("openai/x", "openai", "x", "openai", "a test", None, None)
    assert "repeat_penalty" not in ask(request(), request().messages, other, first_dialect(other)).body
