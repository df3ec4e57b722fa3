"""A node that asks a model once: the prompt rendered, the reply checked against what the outputs may hold.

The re-ask is the model client's: it is told what fits by a schema and by `accept`, so a reply that does not
become writes is asked for again with the reason, whichever way it fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from engine.errors import (
    BudgetSpent,
    ModelAuthError,
    ModelBadReply,
    ModelMissing,
    ModelRateLimited,
    ModelTooLong,
    NodeError,
)
from engine.nodes.outputs import Misfit, writes_of
from engine.nodes.step import Step
from engine.ports import Asked, Image, Message, ModelInfo, ModelReply, ModelRequest, ToolSpec
from engine.templates import as_text
from engine.workflow import LLM, Node, Workflow

_NOT_CHARGED = (ModelAuthError, ModelMissing, ModelRateLimited, ModelTooLong)


async def run(step: Step) -> Mapping[str, Any]:
    """Ask, with tools in turns where the node has some; the writes. ModelError, TemplateError, ToolError."""
    asker = await make_asker(step)
    messages = first_messages(step)
    if messages[-1].images and asker.info.sees_images is False:
        raise NodeError(
            step.node.id,
            f"{asker.info.name} can't see images, and the prompt has one.",
            "Name a model that can in `llm.model`, or give it a text.",
            fault={"code": "model_blind"},
        )
    if step.node.tools or step.node.sandbox.enabled:
        from engine.nodes.tool_turns import ask_with_tools

        reply = await ask_with_tools(asker, messages)
    else:
        reply = await asker.ask(messages)
    return asker.writes(reply)


def first_messages(step: Step) -> list[Message]:
    """The system text, where there is one, and the prompt."""
    node = step.node
    system = node.system.render(step.lookup) if node.system else None
    prompt = node.prompt.render(step.lookup) if node.prompt else ""
    first = [Message("system", as_text(system))] if system else []
    images: tuple[Image, ...] = ()
    if step.workflow.holds_files:
        from engine.nodes.files import images_of

        images = images_of(step)
    return [*first, Message("user", as_text(prompt), images=images)]


async def make_asker(step: Step) -> Asker:
    """Settle which model is asked. ModelMissing where there is none."""
    own = step.node.llm
    if step.force_model is not None:
        own = LLM(temperature=own.temperature, max_tokens=own.max_tokens)
    model = step.force_model or model_name(own)
    if own.api_base is None or model is None:
        info = await step.services.models.info(model)
    else:
        info = ModelInfo(model, "the document's api_base", function_calling=True)
    return Asker(step, own, model, info)


def asked_by(workflow: Workflow, force_model: str | None) -> set[Asked]:
    """The models that a run's nodes ask first. One whose name leads nowhere is left to the node."""
    if force_model is not None:
        return {(force_model, None)}
    found: set[Asked] = set()
    for node in workflow.nodes.values():
        if node.kind == "llm":
            with suppress(ModelMissing):
                found.add((model_name(node.llm), node.llm.api_base))
    return found


def model_name(llm: LLM) -> str | None:
    """LiteLLM's `provider/model`; None where the installation chooses. ModelMissing for a provider alone."""
    if llm.model is None and llm.provider is not None:
        from engine.models.names import PROVIDERS, default_model

        if llm.provider not in PROVIDERS:
            raise ModelMissing(f"The provider {llm.provider} needs a model.", "Set llm.model as well.")
        return default_model(llm.provider)
    if llm.provider is None or llm.model is None or llm.model.startswith(f"{llm.provider}/"):
        return llm.model
    return f"{llm.provider}/{llm.model}"


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks the model of one attempt, and counts what that used."""

    step: Step
    llm: LLM
    model: str | None
    info: ModelInfo

    @property
    def schema(self) -> dict[str, Any] | None:
        """What the reply must fit; None where it is taken as text."""
        return reply_schema(self.step.node, self.step.workflow)

    def writes(self, reply: ModelReply) -> Mapping[str, Any]:
        """The outputs in a reply. ModelBadReply when it does not fit."""
        try:
            return writes_of(self.step.node, self.step.workflow, self._value(reply), lenient=True)
        except Misfit as error:
            raise ModelBadReply(f"The reply of {reply.model} does not fit. {error}", _LARGER) from None

    async def ask(self, messages: Sequence[Message], tools: tuple[ToolSpec, ...] = ()) -> ModelReply:
        """One call. A reply without calls of tools fits the outputs. ModelError for whatever goes wrong."""
        budgets = self.step.services.budgets
        purse = budgets.purse(self.step) if budgets is not None else None
        request = ModelRequest(
            tuple(messages),
            model=self.model,
            temperature=self.llm.temperature,
            max_tokens=self.llm.max_tokens,
            schema=self.schema,
            tools=tools,
            api_base=self.llm.api_base,
            fallbacks=tuple(name for each in self.llm.fallbacks if (name := model_name(each)) is not None),
            timeout=self.step.node.timeout,
            accept=self._objection,
            retries=0 if self.step.node.retry.said else None,
            purse=purse,
        )
        reply: ModelReply | None = None
        known = False
        try:
            async for item in self.step.services.models.stream(request):
                reply = item if isinstance(item, ModelReply) else reply
            known = reply is not None
        except _NOT_CHARGED:
            known = True
            raise
        except BudgetSpent:
            known = (
                purse is not None and not purse.calls
            )  # else the first call's cost is lost with its re-ask
            raise
        except ModelBadReply as error:
            if error.reply is not None:
                self.step.usage.add(error.reply)
                known = True
            raise
        except asyncio.CancelledError:
            known = purse is not None and not purse.calls  # it still waited for money: nothing was sent
            raise
        finally:
            if not known:
                self.step.usage.lose(self.info.name)
        if reply is None:
            raise ModelBadReply(f"{self.info.name} broke off without a reply.", "Try again.")
        self.step.usage.add(reply)
        return reply

    def _objection(self, reply: ModelReply) -> str | None:
        """Why a reply can't be taken, in a sentence for the model."""
        if reply.tool_calls:
            return None
        if reply.value is None and not reply.text.strip() and self.step.node.outputs:
            return "The reply is empty."
        try:
            writes_of(self.step.node, self.step.workflow, self._value(reply), lenient=True)
        except Misfit as error:
            return str(error)
        return None

    def _value(self, reply: ModelReply) -> Any:
        return reply.text if self.schema is None else reply.value


_LARGER = "Try again, say in the prompt what is wanted, or use a larger model."


def reply_schema(node: Node, workflow: Workflow) -> dict[str, Any] | None:
    """The JSON Schema of the reply; None where one text is wanted, which is taken as it is."""
    schema = node.output_schema
    if not node.outputs:
        return None
    if schema is not None and not schema.fields:
        if schema.type.name == "str" and not schema.enum:
            return None
        return schema.type.json_schema(schema.enum, schema.description)
    if schema is not None:
        fields = {f.name: f.type.json_schema(f.enum, f.description) for f in schema.fields}
    else:
        own = [workflow.fields[name] for name in node.outputs]
        if len(own) == 1 and own[0].type.name == "str" and not own[0].enum:
            return None
        fields = {f.name: f.type.json_schema(f.enum, f.description) for f in own}
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}
