"""Our answers as a model gives them: functions or one JSON object, over the wire.

In a task an answer is short: `edit`, `write`, `run`, `ask`, … with what they need, and `say` for the words. Only
here is it known how the assistant's actions are called.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.fakes.replies import Reply

ACT = "write_workflow"
"""An action that the assistant offers in every turn: by it its own requests are told from those of a run."""


def reply_of(answer: Mapping[str, Any], way: str) -> Reply:
    """The reply of a model that answers like this. ValueError for an answer of no known shape."""
    if "raw" in answer:
        return Reply(text=str(answer["raw"]))
    say = str(answer.get("say", ""))
    calls = [_action(answer)] if set(answer) - {"say", "also"} else []
    calls += [_action(each) for each in answer.get("also", ())]
    if way == "functions":
        return Reply(text=say, tool_calls=tuple(calls))
    if len(calls) > 1:
        raise ValueError("an answer as one JSON object has one action")
    name, args = calls[0] if calls else ("none", {})
    return Reply(value={"say": say, "action": {"name": name, "args": args}})


def _action(answer: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """(name, arguments) of the action that an answer is short for."""
    more = {key: answer[key] for key in ("summary", "assumed", "then") if key in answer}
    if "edit" in answer:
        return "edit_workflow", {"edits": [dict(each) for each in answer["edit"]], **more}
    if "write" in answer:
        return ACT, {"yaml": answer["write"], **more}
    if "ask" in answer:
        return "ask_person", {"questions": [dict(each) for each in answer["ask"]]}
    if "run" in answer:
        return "run_workflow", {"inputs": dict(answer["run"] or {})}
    if "call" in answer:
        return str(answer["call"]), dict(answer.get("args") or {})
    raise ValueError(
        f"an answer is one of edit, write, ask, run, call, raw or only say, not {sorted(answer)}"
    )


def model_reply(entry: Mapping[str, Any]) -> Reply:
    """What a step of a run is answered: `text`, or `value` as JSON."""
    return Reply(value=entry["value"]) if "value" in entry else Reply(text=str(entry["text"]))


def is_assistant(body: Mapping[str, Any]) -> bool:
    """Whether a request is the assistant's own: it offers what the assistant can do."""
    return ACT in json.dumps([body.get("tools"), body.get("response_format"), _system(body)])


def prompt_of(body: Mapping[str, Any]) -> str:
    """All that the model is told, in one text."""
    return "\n".join(str(message.get("content") or "") for message in body.get("messages", ()))


def _system(body: Mapping[str, Any]) -> str:
    messages = body.get("messages") or [{}]
    return str(messages[0].get("content") or "") if messages[0].get("role") == "system" else ""
