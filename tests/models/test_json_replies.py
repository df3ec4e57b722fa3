"""JSON by schema: what is sent, what is read out of a reply, and the one re-ask."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from engine.errors import ModelBadReply
from engine.models import complete
from engine.models.schema_form import for_grammar, for_vendor
from engine.models.schema_reply import read
from engine.ports import ModelReply, ToolSpec
from tests.fakes.fitting import fitting
from tests.fakes.openai_rules import strict_problem
from tests.fakes.openai_server import FakeOpenAI, Reply
from tests.models.conftest import PERSON, Make, request

ADA = {"name": "Ada", "age": 36}


async def test_a_fitting_value_at_once(make: Make) -> None:
    with FakeOpenAI(ADA) as fake:
        reply = await complete(make(fake), request(schema=PERSON))
    assert reply.value == ADA
    sent = fake.requests[0]["response_format"]["json_schema"]
    assert sent["strict"] is True
    assert strict_problem(sent["schema"]) is None
    assert len(fake.requests) == 1


async def test_one_re_ask_that_carries_the_problem(make: Make) -> None:
    wrong = {"name": "Ada", "age": "old"}
    with FakeOpenAI([Reply(value=wrong, usage=(10, 5)), Reply(value=ADA, usage=(20, 6))]) as fake:
        reply = await complete(make(fake, model="openai/gpt-4o-mini"), request(schema=PERSON))
    assert reply.value == ADA
    assert (reply.prompt_tokens, reply.completion_tokens) == (30, 11)
    assert reply.cost_usd == pytest.approx(30 * 0.15e-6 + 11 * 0.60e-6)
    again = fake.requests[1]["messages"]
    assert again[-2] == {"role": "assistant", "content": json.dumps(wrong)}
    assert "age: 'old' is not of type 'integer'" in again[-1]["content"]


async def test_the_second_misfit_is_an_error_that_says_what_was_spent(make: Make) -> None:
    half = Reply(value={"name": "Ada"}, usage=(10, 5))
    with FakeOpenAI(half) as fake, pytest.raises(ModelBadReply, match="'age' is a required") as caught:
        await complete(make(fake), request(schema=PERSON))
    assert len(fake.requests) == 2
    assert caught.value.reply is not None
    assert (caught.value.reply.prompt_tokens, caught.value.reply.completion_tokens) == (20, 10)


async def test_a_reply_that_was_cut_off_says_so(make: Make) -> None:
    cut = Reply(text='{"name": "Ad', finish_reason="length")
    with FakeOpenAI(cut) as fake, pytest.raises(ModelBadReply, match="max_tokens"):
        await complete(make(fake), request(schema=PERSON, max_tokens=5))


async def test_accept_triggers_the_same_one_re_ask(make: Make) -> None:
    def accept(reply: ModelReply) -> str | None:
        return None if reply.value["age"] > 40 else "The age must be over 40."

    with FakeOpenAI([ADA, {"name": "Ada", "age": 41}]) as fake:
        reply = await complete(make(fake), request(schema=PERSON, accept=accept))
    assert reply.value["age"] == 41
    assert "The age must be over 40." in fake.requests[1]["messages"][-1]["content"]
    with FakeOpenAI(["one", "two"]) as fake, pytest.raises(ModelBadReply, match="Say three"):
        await complete(make(fake), request(accept=lambda reply: "Say three."))


async def test_a_server_without_response_format_is_told_in_words(make: Make) -> None:
    refused = Reply(status=400, message="Unknown parameter: response_format")
    with FakeOpenAI([refused, refused, f"Sure! {json.dumps(ADA)} Anything else?", ADA]) as fake:
        models = make(fake)
        for _ in range(2):
            assert (await complete(models, request(schema=PERSON))).value == ADA
    kinds = [(body.get("response_format") or {}).get("type") for body in fake.requests]
    assert kinds == ["json_schema", "json_object", None, None]
    assert '"required": ["name", "age"]' in fake.prompts()[2]


async def test_one_schema_that_is_too_much_says_nothing_of_others(make: Make) -> None:
    refused = Reply(status=400, message="Invalid schema for response_format 'answer': too many levels")
    with FakeOpenAI([refused, ADA, ADA]) as fake:
        models = make(fake)
        for _ in range(2):
            await complete(models, request("Give json", schema=PERSON))
    assert [body["response_format"]["type"] for body in fake.requests] == [
        "json_schema",
        "json_object",
        "json_schema",
    ]


async def test_a_value_that_is_no_object_is_wrapped_for_the_vendor(make: Make) -> None:
    names = {"type": "array", "items": {"$ref": "#/$defs/name"}, "$defs": {"name": {"type": "string"}}}
    with FakeOpenAI({"value": ["Ada", "Bob"]}) as fake:
        reply = await complete(make(fake), request(schema=names))
    assert reply.value == ["Ada", "Bob"]
    sent = fake.requests[0]["response_format"]["json_schema"]
    assert sent["schema"]["type"] == "object"
    assert strict_problem(sent["schema"]) is None


async def test_ollama_gets_the_schema_as_it_is(make: Make) -> None:
    with FakeOpenAI(ADA) as fake:
        await complete(make(ollama=fake.url, model="ollama/qwen3"), request(schema=PERSON))
    assert fake.requests[0]["response_format"]["json_schema"]["schema"] == PERSON


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "Ada", "age": 36}',
        '```json\n{"name": "Ada", "age": 36}\n```',
        'Here it is:\n```\n{"name": "Ada", "age": 36}\n```\nDone.',
        'The {curly} answer is {"name": "Ada", "age": 36}, I think.',
        '<think>{"name": "no", "age": 1}</think>{"name": "Ada", "age": 36}',
        'Not {"a": 1} but {"name": "Ada", "age": 36}.',
    ],
)
def test_json_is_found_among_other_words(text: str) -> None:
    assert read(text, PERSON, wrapped=False) == (ADA, None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no JSON"),
        ("I can't.", "no JSON"),
        ('{"name": "Ada"}', "age"),
        ('{"name": "Ada", "age": 3.5}', "age: 3.5"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(text: str, words: str) -> None:
    value, problem = read(text, PERSON, wrapped=False)
    assert value is None
    assert problem is not None
    assert words in problem


def test_a_text_needs_no_quotes() -> None:
    assert read("Paris", {"type": "string"}, wrapped=True) == ("Paris", None)
    assert read('"Paris"', {"type": "string"}, wrapped=True) == ("Paris", None)
    assert read('{"value": "Paris"}', {"type": "string"}, wrapped=True) == ("Paris", None)


LEAVES = st.sampled_from(
    [
        {"type": "string"},
        {"type": "string", "maxLength": 20},
        {"type": "string", "enum": ["a", "b"]},
        {"type": "integer", "minimum": 2},
        {"type": "number"},
        {"type": "boolean"},
        {"const": "x"},
        {"type": "object", "additionalProperties": {"type": "integer"}},
        {"type": ["string", "null"]},
    ]
)


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.dictionaries(st.sampled_from(["a", "b", "type", "items"]), inner, min_size=1, max_size=3).map(
            _object
        ),
        inner.map(lambda items: {"type": "array", "items": items}),
        st.lists(inner, min_size=1, max_size=3).map(lambda options: {"anyOf": options}),
    ),
    max_leaves=8,
)


@given(SCHEMAS)
def test_what_is_sent_obeys_the_vendors_rules_and_forbids_nothing_that_fits(schema: dict[str, Any]) -> None:
    untouched = copy.deepcopy(schema)
    sent = for_vendor(schema)
    assert schema == untouched
    Draft202012Validator.check_schema(sent.schema)
    if sent.strict:
        assert strict_problem(sent.schema) is None
    value = fitting(schema)
    assert Draft202012Validator(schema).is_valid(value)
    on_the_wire = {"value": value} if sent.wrapped else value
    assert Draft202012Validator(sent.schema).is_valid(on_the_wire)
    assert read(json.dumps(on_the_wire), schema, sent.wrapped) == (value, None)


@given(SCHEMAS)
def test_for_a_grammar_every_text_and_list_ends(schema: dict[str, Any]) -> None:
    bounded = for_grammar(schema, longest=30, most=2).schema

    def walk(part: Any) -> None:
        if isinstance(part, list):
            for item in part:
                walk(item)
        elif isinstance(part, dict):
            kinds = part.get("type") if isinstance(part.get("type"), list) else [part.get("type")]
            if "string" in kinds and "enum" not in part:
                assert part["maxLength"] <= 30
            if "array" in kinds:
                assert part["maxItems"] <= 2
            for key, value in part.items():
                walk(
                    list(value.values())
                    if key == "properties"
                    else value
                    if key in ("items", "anyOf")
                    else None
                )

    walk(bounded)
    assert Draft202012Validator(bounded).is_valid(fitting(bounded))


@given(st.text(max_size=200))
def test_any_text_is_read_without_an_accident(text: str) -> None:
    value, problem = read(text, PERSON, wrapped=False)
    assert (value is None) == (problem is not None)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"name": "Ada", "age": "36"}', {"name": "Ada", "age": "36"}),
        ('{"name": "Ada", "age": 36, "why": "born 1815"}', {"name": "Ada", "age": 36, "why": "born 1815"}),
    ],
)
async def test_accept_alone_decides_what_fits(make: Make, text: str, value: Any) -> None:
    """The schema is what is asked for; a reply off it counts when it is accepted, as what it is."""
    with FakeOpenAI(Reply(text)) as fake:
        reply = await complete(make(fake), request(schema=PERSON, accept=lambda reply: None))
    assert (reply.value, len(fake.requests)) == (value, 1)


async def test_an_answer_in_json_beside_tools_is_accepted_too_and_a_wrong_call_is_not(make: Make) -> None:
    refusal = Reply(status=400, message="this model does not support tools")
    spec = ToolSpec("look_up", "Look up", {"type": "object", "properties": {}, "additionalProperties": False})
    wrong = {"tool": "look_up", "args": {"word": "x"}}
    with FakeOpenAI([refusal, {"value": wrong}, {"value": {"answer": "7", "why": "so"}}]) as fake:
        reply = await complete(
            make(fake), request(schema={"type": "integer"}, tools=(spec,), accept=lambda reply: None)
        )
    assert (reply.value, reply.tool_calls, len(fake.requests)) == ("7", (), 3)
