"""`app.py chat`: one turn with the assistant, the same one that answers on the page."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping
from typing import Any

from chat.assistant.render import run_result
from chat.events import (
    DraftChanged,
    Event,
    Failed,
    Fix,
    Problems,
    Question,
    RunEnded,
    RunStarted,
    RunWaiting,
    Step,
    Text,
    TurnEnded,
)
from chat.parts import Parts
from chat.terminal.house import OWNER, House
from chat.terminal.progress import print_model

EXIT_CODES = {"ok": 0, "failed": 1, "stopped": 1, "interrupted": 1}


def talk(house: House, arguments: argparse.Namespace) -> int:
    """Say `text` and print the answer. Exit 1 when the turn failed."""
    if not arguments.text.strip():
        print("There is nothing to say. Write what you want in quotes.", file=sys.stderr)
        return 2
    return asyncio.run(_talk(house, arguments.text, arguments.conversation, arguments.json))


async def _talk(house: House, text: str, conversation_id: str | None, as_json: bool) -> int:
    try:
        service = house.service
        if conversation_id is None:
            conversation_id = (await service.create(OWNER)).id
        elif not as_json:
            await _print_news(house, conversation_id)
        if not as_json:
            print_model(await house.models.info())
        message_id = await service.post(OWNER, conversation_id, text, channel="terminal")
        status = "failed"
        shown: set[tuple[str, int]] = set()
        async for _, event in service.follow(OWNER, conversation_id, message_id=message_id):
            if isinstance(event, TurnEnded):
                status = event.status
            elif not as_json:
                _show(event, shown)
        if as_json:
            print(json.dumps(await _answer(house, conversation_id, message_id)))
        else:
            print()
            print(f'Go on with: app.py chat --conversation {conversation_id} "…"', file=sys.stderr)
    finally:
        await house.close()
    return EXIT_CODES[status]


async def _print_news(house: House, conversation_id: str) -> None:
    """What has come since the person last wrote, as results of schedules do; it goes to stderr, the answer does not."""
    messages = (await house.service.get(OWNER, conversation_id)).messages
    written = max((number for number, m in enumerate(messages) if m.role == "user"), default=-1)
    for message in messages[written + 1 :]:
        if message.reply_to is None and message.status != "live":
            lines = [line for event in Parts(message.parts).events() if (line := _news(event))]
            print("\n".join(lines), file=sys.stderr)


def _news(event: Event) -> str | None:
    if isinstance(event, RunEnded):
        return (
            f"{_aside(event, set())}\n{run_result(event.run)}".strip()
            if event.status == "ok"
            else _aside(event, set())
        )
    if isinstance(event, Text | Fix):
        return event.text
    if isinstance(event, Question):
        return "\n".join([event.text, *(f"  · {option['label']}" for option in event.options)])
    return None


async def _answer(house: House, conversation_id: str, message_id: str) -> dict[str, Any]:
    conversation = await house.service.get(OWNER, conversation_id)
    message = next(m for m in conversation.messages if m.id == message_id)
    return {
        "conversation_id": conversation_id,
        "message_id": message_id,
        "status": message.status,
        "text": message.text,
        "parts": list(message.parts),
    }


def _show(event: Event, shown: set[tuple[str, int]]) -> None:
    """Text streams to stdout as it comes; what happens beside it goes to stderr, except what is asked."""
    if isinstance(event, Text):
        print(event.text, end="", flush=True)
    elif isinstance(event, Question):
        print(f"\n\n{event.text}")
        for option in event.options:
            print(f"  · {option['label']}")
    elif isinstance(event, Fix):
        print("\n\n" + "\n".join([event.text, *(f"  - {change}" for change in event.changes)]))
    elif isinstance(event, RunWaiting):
        print("\n\n" + "\n".join(_asked(event.run_id, each) for each in event.questions))
    else:
        line = _aside(event, shown)
        if line:
            print(line, file=sys.stderr)


def _aside(event: Event, shown: set[tuple[str, int]]) -> str | None:
    if isinstance(event, Step) and event.status != "running":
        return f"[{event.status}] {event.title}"
    if isinstance(event, DraftChanged):
        return _drafted(event, shown)
    if isinstance(event, Problems):
        lines = [f"  line {p['line']}: {p['message']}" for p in event.problems]
        return "\n".join(["[problems]", *lines])
    if isinstance(event, RunStarted):
        return f"[run] {event.run_id} of {event.workflow}"
    if isinstance(event, RunEnded):
        return f"[run] {event.run_id} {event.status}"
    if isinstance(event, Failed):
        return f"{event.message} {event.fix or ''}".strip()
    return None


def _drafted(event: DraftChanged, shown: set[tuple[str, int]]) -> str:
    """A version once, and what was proved of it once that is known."""
    which = (event.workflow, event.version)
    lines = (
        [] if which in shown else [f"[workflow] {event.workflow} version {event.version}: {event.summary}"]
    )
    shown.add(which)
    if event.proof is not None:
        lines.append(f"[proof] {event.proof['line']}")
    return "\n".join(lines)


def _asked(run_id: str, question: Mapping[str, Any]) -> str:
    """A question of a run with the way to answer it, or what it was answered."""
    if question["answered_at"] is not None:
        return f"[answered] {question['path']}: {question['answer']}"
    options = "".join(f"\n  · {option}" for option in question["options"])
    return (
        f"[question] {question['question']}{options}\n"
        f'Answer with: app.py answer {run_id} {question["path"]} "…"'
    )
