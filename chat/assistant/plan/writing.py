"""One step of a plan, written by a model: it is shown this step, what it may read, its kind of node and a few examples
of that kind, and answers under a schema that leaves no name to invent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from chat.assistant.prompts import data, prompt, shorten
from chat.assistant.turn import Turn
from chat.assistant.wiring import TYPES, Known, Plan, PlanStep
from chat.assistant.wiring_names import slug
from chat.assistant.wiring_text import named_in
from engine.errors import ModelBadReply
from engine.ports import Message, ModelReply, ModelRequest

if TYPE_CHECKING:
    from chat.gallery import Gallery
    from tools.tool import Tool

LONGEST_PROMPT = 1900
"""Characters. A grammar of a local server takes no more than 2,000 repetitions."""
LONGEST_ARGUMENT = 600
EXAMPLES = 2


async def write_step(
    turn: Turn, plan: Plan, number: int, known: Sequence[Known], request: str, problems: Sequence[str] = ()
) -> PlanStep:
    """The step with its body. `problems` say what was wrong with it the last time. ParlanceError when no usable answer
    comes: the adapter has asked once more by then.
    """
    step = plan.steps[number]
    known = [*known, *([Known("item", "any", f"one element of {step.each}")] if step.each else [])]
    text = prompt(
        "plan_step",
        goal=plan.description or plan.name,
        request=data("request", shorten(request, 2000)),
        outline="\n".join(f"{n}. {other.sentence}" for n, other in enumerate(plan.steps, 1)),
        number=str(number + 1),
        sentence=step.sentence,
        format=_format(step),
        known="\n".join(f"- {one.name} ({one.type}): {one.description}" for one in known) or "- nothing",
        examples=await _examples(turn, step),
        rules=_rules(turn, step, known),
        problems=_problems(step, problems),
    )
    asked = ModelRequest(
        (Message("user", text),),
        temperature=0,
        schema=schema_of(turn, step, [one.name for one in known]),
        accept=lambda reply: _objection(turn, step, reply),
    )
    reply = await turn.complete(asked)
    if not isinstance(reply.value, Mapping):
        raise ModelBadReply("The model gave no object for a step.", reply=reply)
    return _filled(step, reply.value, {one.name for one in known})


def schema_of(turn: Turn, step: PlanStep, names: Sequence[str]) -> dict[str, Any]:
    """The JSON Schema of a step's answer."""
    if step.kind == "tool":
        return _object({"args": _arguments(turn.house.tools.get(step.tool))})
    uses = {"type": "array", "maxItems": 12, "items": {"type": "string", "enum": list(names)}}
    parts: dict[str, Any] = {"uses": uses if names else {"type": "array", "maxItems": 0}}
    if step.kind == "code":
        return _object({**parts, "code": _text(LONGEST_PROMPT)})
    if step.kind == "ask":
        return _object({**parts, "question": _text(LONGEST_ARGUMENT)})
    kind = {} if len(step.cases) > 1 else {"type": {"type": "string", "enum": list(TYPES)}}
    return _object({**parts, "prompt": _text(LONGEST_PROMPT), **kind})


def _text(longest: int) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": longest}


def _object(properties: Mapping[str, Any], required: Sequence[str] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties) if required is None else list(required),
        "additionalProperties": False,
    }


def _arguments(tool: Tool) -> dict[str, Any]:
    """A tool's own schema, each text bounded, each other value also a `{name}`."""
    properties = {}
    for name, own in tool.parameters.get("properties", {}).items():
        if own.get("type") == "string":
            properties[name] = {
                **own,
                "maxLength": min(own.get("maxLength", LONGEST_ARGUMENT), LONGEST_ARGUMENT),
            }
        elif own.get("type") in ("integer", "number", "boolean"):
            properties[name] = {"anyOf": [{"type": own["type"]}, _text(60)]}
        else:
            values = {"type": "object", "additionalProperties": _text(LONGEST_ARGUMENT)}
            properties[name] = {"anyOf": [_text(LONGEST_ARGUMENT), values]}
    return _object(properties, tool.parameters.get("required", ()))


def _objection(turn: Turn, step: PlanStep, reply: ModelReply) -> str | None:
    """What is wrong with an answer, for a model that was not held by a grammar."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    loose = schema_of(turn, step, ["x"])
    if "uses" in loose["properties"]:
        loose["properties"]["uses"] = {"type": "array"}  # what does not exist is left out
    error = best_match(Draft202012Validator(loose).iter_errors(reply.value))
    if error is not None:
        return str(error.message)[:300]
    return None


def _filled(step: PlanStep, value: Mapping[str, Any], known: set[str]) -> PlanStep:
    """The step with what the model wrote; what it waits for stays, read or not."""
    if step.kind == "tool":
        args = {str(name): below for name, below in value["args"].items() if below not in ("", {}, None)}
        used = [name for name in named_in(args) if name in known]
        body = ""
    else:
        args = {}
        body = str(value.get("prompt") or value.get("question") or value.get("code") or "")
        named = named_in(body) if step.kind != "code" else []
        used = [str(name) for name in [*value.get("uses", ()), *named] if name in known]
    needs = tuple(dict.fromkeys(name for name in used if name != "item"))
    after = tuple(dict.fromkeys(name for name in (*step.needs, *step.after) if name not in needs))
    return replace(
        step, body=body.strip(), args=args, needs=needs, after=after, type=str(value.get("type") or step.type)
    )


def _format(step: PlanStep) -> str:
    from engine.describe import describe_kind

    kinds = {"llm": "llm", "ask": "ask", "tool": "tool", "code": "code"}
    return describe_kind(kinds[step.kind])  # type: ignore[arg-type]


def _rules(turn: Turn, step: PlanStep, known: Sequence[Known]) -> str:
    if step.kind == "tool":
        return prompt("plan_step_tool", tool=tool_lines(turn, [step.tool]))
    if step.kind == "code":
        names = ", ".join(f"inputs['{slug(one.name, 9) or one.name}']" for one in known) or "nothing"
        return prompt("plan_step_code", names=names)
    cases = ", ".join(f"“{case}”" for case in step.cases)
    if step.kind == "ask":
        return prompt("plan_step_ask", choice=f"The person chooses one of {cases}." if cases else "")
    choice = (
        f"This step decides how things go on: it answers with one of {cases}. Say when which one."
        if cases
        else ""
    )
    return prompt("plan_step_llm", choice=choice)


def tool_lines(turn: Turn, names: Sequence[str]) -> str:
    """Tools in words: arguments, purpose, what comes back."""
    lines = []
    for name in names:
        tool = turn.house.tools.get(name)
        lines.append(f"- {name}: {tool.description} Gives back: {tool.returns}")
        for own, schema in tool.parameters.get("properties", {}).items():
            needed = " (required)" if own in tool.parameters.get("required", ()) else ""
            lines.append(f"  - {own}{needed}: {schema.get('description', '')}")
    return "\n".join(lines)


def _problems(step: PlanStep, problems: Sequence[str]) -> str:
    if not problems:
        return ""
    lines = "\n".join(f"- {problem}" for problem in problems)
    written = data("written", step.body or str(dict(step.args)))
    return f"It was written before like this:\n{written}\nThat has problems; mend exactly these:\n{lines}"


async def _examples(turn: Turn, step: PlanStep) -> str:
    """Steps of the same kind from the examples that are nearest to what this one does."""
    found = await turn.house.nearest.find(step.sentence)
    lines: list[str] = []
    for match in found.examples:
        lines += example_bodies(turn.house.gallery, match.example.name, step)
        if len(lines) >= EXAMPLES:
            break
    return "\nExamples of such steps:\n" + "\n".join(lines[:EXAMPLES]) + "\n" if lines else ""


def example_bodies(gallery: Gallery, name: str, step: PlanStep) -> list[str]:
    """What nodes of the same kind (and tool) say in an example, with references as a step of a plan writes them."""
    from engine.document import read_document

    example = gallery.get(name)
    nodes = read_document(example.yaml).data["nodes"] if example else []
    key = {"llm": "prompt", "ask": "ask", "tool": "tool", "code": "code"}[step.kind]
    bodies = []
    for node in nodes:
        if (
            key in node
            and (key != "tool" or node["tool"] == step.tool)
            and (key != "prompt" or "code" not in node)
        ):
            body = str(node.get("args", {}) if key == "tool" else node[key])
            bodies.append(
                data(str(node["id"]), re.sub(r"\{state\.(\w+)\}", r"{\1}", shorten(body.strip(), 500)))
            )
    return bodies
