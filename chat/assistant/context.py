"""What a model that writes workflows is shown in a turn: a prompt of parts, each within a budget, and the conversation.

The same conversation gives the same messages, byte for byte: there are no ids in them, and the time stands in one
place, from the house's clock.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from chat.assistant.actions import action_list, offered
from chat.assistant.attached import IMAGE_TOKENS, with_files
from chat.assistant.budget import Fitted, Part, fit, tokens, window
from chat.assistant.edits import numbered
from chat.assistant.prompts import data, prompt
from chat.assistant.remembering import recall
from chat.assistant.turn import Turn
from chat.gallery import Example
from engine.ports import Message

if TYPE_CHECKING:
    from tools.registry import ToolRegistry

HISTORY_TOKENS = 6_000
NEAREST_SHOWN = 8
NEAR = 0.55
"""From this likeness on an example is shown whole, where there is no workflow yet."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The messages of the first call, and what did not fit, in words."""

    messages: tuple[Message, ...]
    left_out: tuple[str, ...] = ()


async def shown(turn: Turn, *, ask: bool = True) -> Shown:
    """What the model is told first. Without `ask` no model is asked for a summary."""
    room = window(await turn.house.models.target())
    recalled = await recall(turn, min(HISTORY_TOKENS, room // 4), ask=ask)
    said = await with_files(turn, turn.text)
    used = sum(tokens(message.content) for message in recalled.recent) + tokens(said.content)
    used += len(said.images) * IMAGE_TOKENS
    fitted = fit([*_fixed(turn), *await _of_this_turn(turn, recalled.earlier)], room - used)
    system = Message("system", system_prompt(fitted))
    return Shown((system, *recalled.recent, said), fitted.left_out)


def system_prompt(fitted: Fitted) -> str:
    """The prompt file with its parts in their places."""
    said = f"Left out here for want of room: {'; '.join(fitted.left_out)}." if fitted.left_out else ""
    text = prompt("assistant", **fitted.texts, left_out=said)
    return re.sub(r"\n{3,}", "\n\n", text)


def _fixed(turn: Turn) -> list[Part]:
    """The parts that are the same in every turn of a model."""
    choices = offered(turn)
    functions = turn.info.function_calling
    act = prompt("act_by_function") if functions else prompt("act_by_json", list=action_list(choices))
    tools = Part("tools", tool_list(turn.house.tools), 2_500, 2)
    return [Part("actions", act.strip()), Part("format", _format()), tools]


@cache
def _format() -> str:
    from engine.describe import describe_format

    return describe_format(detail="short")


def tool_list(tools: ToolRegistry) -> str:
    """One line per registered tool: arguments, purpose, what comes back."""
    lines = []
    for name in tools.names():
        tool = tools.get(name)
        required = tool.parameters.get("required", ())
        names = [n if n in required else f"{n}?" for n in tool.parameters.get("properties", {})]
        lines.append(f"- {name}({', '.join(names)}): {tool.description} Gives back: {tool.returns}")
    return "\n".join(lines)


async def _of_this_turn(turn: Turn, earlier: str) -> list[Part]:
    about = f"What was said before the messages that follow:\n{data('earlier', earlier)}" if earlier else ""
    return [
        Part("examples", await _examples(turn), 2_000, 4),
        Part("saved", _saved(turn)),
        Part("tests", await _tests(turn), 1_500, 3),
        Part("earlier", about, 2_500, 1),
        Part("preferences", _preferences(turn)),
        Part("now", _now(turn)),
    ]


async def _examples(turn: Turn) -> str:
    """The examples nearest to the request, with the nearest whole where nothing is built yet; the others by name."""
    found = (await turn.house.nearest.find(turn.context.request[:1_000])).examples
    # To two places: so that the last digits of another machine do not make another prompt.
    ranked = sorted(found, key=lambda match: (-round(match.score, 2), match.example.name))
    near = [match.example for match in ranked[:NEAREST_SHOWN]]
    lines = [f"- {example.name}: {example.description}" for example in near]
    rest = sorted(match.example.name for match in ranked[NEAREST_SHOWN:])
    if rest:
        lines.append(f"There are also: {', '.join(rest)}.")
    if turn.workflow is None and ranked and round(ranked[0].score, 2) >= NEAR:
        lines.append(_whole(near[0]))
    return "\n".join(lines)


def _whole(example: Example) -> str:
    return f"The nearest in full:\n{data(example.name, example.yaml)}"


def _saved(turn: Turn) -> str:
    if turn.workflow is None:
        return "There is none yet."
    name, version = turn.workflow.name, turn.workflow.version
    document = data(name, numbered(turn.workflow.yaml))
    return f"{name}, version {version}. The line numbers are not part of it.\n{document}"


async def _tests(turn: Turn) -> str:
    """The wishes that are kept as tests of the current workflow."""
    if turn.house.tests is None or turn.workflow is None:
        return ""
    found = await turn.house.tests.list(turn.owner, turn.workflow.name)
    lines = "\n".join(f"- {test.title}" + (f" (“{test.quote}”)" if test.quote else "") for test in found)
    return f"Its tests, which must go on holding:\n{data('tests', lines)}" if lines else ""


def _preferences(turn: Turn) -> str:
    language = turn.preferences.get("language")
    return f"Answer in the language {language}." if language else "Answer in the language of the message."


def _now(turn: Turn) -> str:
    now = turn.now
    zone = turn.preferences.get("timezone") or now.tzname() or "the machine's time zone"
    return f"It is {now:%A}, {now.day} {now:%B %Y}, {now:%H:%M} ({zone})."
