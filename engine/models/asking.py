"""From a request to what goes over the wire, and from what came back to a reply that has been looked at."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.models import embedded, pricing, schema_reply, tool_reply
from engine.models.dialect import Dialect
from engine.models.names import Target
from engine.models.schema_form import WireSchema, for_grammar, for_vendor
from engine.models.wire import Assembly, message_body, tool_body
from engine.ports import Message, ModelReply, ModelRequest, ToolCall


@dataclass(frozen=True, slots=True)
class Question:
    """One call. `schema` is what the reply must fit, `sent` the form in which the server was told of it.

    `tools_as_json` means that the reply is a call or an answer in one JSON value.
    """

    request: ModelRequest
    target: Target
    body: Mapping[str, Any]
    dialect: Dialect
    schema: Mapping[str, Any] | None = None
    sent: WireSchema | None = None
    tools_as_json: bool = False


def first_dialect(target: Target) -> Dialect:
    """What is known before the first call: of LiteLLM's providers what its table says."""
    if target.wire == "embedded":
        return Dialect(native_tools=False)
    if target.wire == "litellm":
        known = pricing.entry(target.provider, target.model) or {}
        return Dialect(schema="json_schema" if known.get("supports_response_schema") else "words")
    return Dialect()


def ask(request: ModelRequest, messages: Sequence[Message], target: Target, dialect: Dialect) -> Question:
    """Put a request, with these messages in place of its own, into the terms of a server."""
    as_json = bool(request.tools) and not dialect.native_tools
    schema = tool_reply.schema_of(request.tools, request.schema) if as_json else request.schema
    if as_json:
        messages = tool_reply.messages_of(messages, request.tools)
    if schema is not None and request.tools and not as_json and target.wire == "litellm":
        # Several providers take a response format or tools, not both.
        dialect = replace(dialect, schema="words")
    sent = None if schema is None else _form(schema, target, dialect)
    body = dialect.body(
        [message_body(message) for message in messages],
        temperature=_temperature(request, target),
        max_tokens=_max_tokens(request, target, schema is not None),
        schema=sent.schema if sent else None,
        strict=sent.strict if sent else False,
        tools=[] if as_json else [tool_body(tool) for tool in request.tools],
    )
    if target.wire == "embedded" and schema is None:
        body.update(embedded.AGAINST_LOOPS)
    return Question(request, target, body, dialect, schema, sent, as_json)


def _form(schema: Mapping[str, Any], target: Target, dialect: Dialect) -> WireSchema:
    if target.wire == "embedded":
        return for_grammar(schema, embedded.MAX_TEXT, embedded.MAX_ITEMS)
    if target.provider == "ollama" or dialect.schema == "words":
        return WireSchema(schema, strict=False)
    return for_vendor(schema)


def _temperature(request: ModelRequest, target: Target) -> float | None:
    if request.temperature is None and target.wire == "embedded":
        return 0.0
    return request.temperature


def _max_tokens(request: ModelRequest, target: Target, as_json: bool) -> int | None:
    if request.max_tokens is None and target.wire == "embedded":
        return embedded.MAX_TOKENS_JSON if as_json else embedded.MAX_TOKENS
    return request.max_tokens


def judge(question: Question, assembly: Assembly, turn: int) -> tuple[ModelReply, str | None]:
    """The reply, and what is wrong with it as a sentence for the model. `turn` numbers calls made of JSON."""
    assembly.check_refusal(question.target.title)
    calls, accept = assembly.tool_calls(), question.request.accept
    if question.schema is None or calls:
        reply = _reply(question.target, assembly, assembly.text, calls, None)
        return reply, None if calls or accept is None else accept(reply)
    wrapped = bool(question.sent and question.sent.wrapped)
    value, problem = schema_reply.read(assembly.text, question.schema, wrapped)
    if problem is None:
        reply = _valued(question, assembly, value, turn)
        return reply, None if reply.tool_calls or accept is None else accept(reply)
    if accept is not None:
        others = schema_reply.values(assembly.text, question.schema, wrapped)
        return _taken(question, assembly, others, accept, problem)
    return _reply(question.target, assembly, assembly.text, (), None), problem


def _taken(
    question: Question,
    assembly: Assembly,
    values: Sequence[Any],
    accept: Callable[[ModelReply], str | None],
    problem: str,
) -> tuple[ModelReply, str | None]:
    """The first of the values off the schema that is accepted all the same, say a number in quotes."""
    first: str | None = None
    for value in values:
        if question.tools_as_json and not tool_reply.is_answer(value):
            continue
        reply = _valued(question, assembly, value, turn=0)
        objection = accept(reply)
        if objection is None:
            return reply, None
        first = first or objection
    return _reply(question.target, assembly, assembly.text, (), None), first or problem


def _valued(question: Question, assembly: Assembly, value: Any, turn: int) -> ModelReply:
    """The reply with the value that was found in it, or the call where that was one."""
    if not question.tools_as_json:
        return _reply(question.target, assembly, assembly.text, (), value)
    calls, answer = tool_reply.split(value, turn)
    text = "" if calls else answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
    return _reply(
        question.target, assembly, text, calls, answer if question.request.schema is not None else None
    )


def _reply(
    target: Target, assembly: Assembly, text: str, calls: tuple[ToolCall, ...], value: Any
) -> ModelReply:
    usage = assembly.usage
    known = 0.0 if target.free else pricing.cost(pricing.entry(target.provider, target.model), usage)
    return ModelReply(
        text=text,
        model=target.name,
        tool_calls=calls,
        value=value,
        prompt_tokens=usage.prompt,
        completion_tokens=usage.completion,
        cost_usd=known,
        finish_reason=assembly.finish_reason,
    )
