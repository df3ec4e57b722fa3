"""What a failure is about: the world outside, the workflow itself, or nobody knows.

Judged by the code that is kept with a run and its rows, never by the words of a message; what has no code, as runs of
older versions, is unknown.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from engine.ports import NodeRow, RunRecord
from engine.templates import Ref, Template, TemplateError, walk
from engine.view import state_of
from engine.workflow import Node, Workflow

Cause = Literal["world", "workflow", "unknown"]

WORLD: Mapping[str, str] = {
    "model_missing": "Choose a model that can be reached here.",
    "model_auth": "Give the provider a key that it accepts.",
    "model_rate_limited": "Wait until the provider takes requests again, or raise its limit.",
    "model_unavailable": "Look whether the network and the provider are up.",
    "model_timeout": "Look whether the network and the provider are up.",
    "daily_cap": "Raise the daily cap, or wait until tomorrow.",
    "budget_spent": "Raise the budget of the run.",
    "quota": "The account there has no means left.",
    "run_timeout": "It had used up the time that it may take.",
    "node_timeout": "What it called took longer than it may.",
    "run_stopped": "It was stopped by a person.",
    "run_cancelled": "It was stopped by a person.",
    "unanswered": "Nobody answered in time.",
    "broke_off": "It was interrupted.",
    "store_error": "Look whether the database can be reached.",
    "sandbox_missing": "Code needs the sandbox, which does not work here; `app.py doctor` says why.",
    "sandbox_died": "The machine ended the code, most likely for want of memory.",
    "secret_missing": "Set the secret, then start the program again.",
    "no_connection": "Look whether the network and that server are up.",
    "no_answer": "Look whether that server is up.",
    "unknown_host": "Look whether the network is up, and whether the address is spelled right.",
    "server_busy": "That server is overloaded or limits requests: wait a moment.",
    "server_failed": "That server has a fault of its own.",
    "key_refused": "That server wants another key or refuses this program.",
}
"""Failures that no change of a workflow puts right, each with what a person can do."""

WORKFLOW = frozenset(
    {
        *("template", "condition", "no_route", "endless", "misfit", "no_list", "bad_default"),
        *("tool_missing", "tool_argument", "code_error", "code_no_result", "code_memory", "code_timeout"),
        *("child_missing", "child_input", "child_output", "model_bad_reply", "model_too_long"),
        *("bad_address", "not_found", "request_refused", "workflow_invalid", "input_invalid", "gate"),
    }
)
LONGEST_VALUE, MOST_VALUES, LONGEST_MESSAGE = 80, 3, 600


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a run failed. `node` is empty where it was no node's doing, `fault` what is kept of the error; `what` says
    in words what happened, `given` what the node had as (name, value in short), `advice` what to do, empty where
    `what` says that.
    """

    node: str
    cause: Cause
    fault: Mapping[str, Any]
    what: str
    given: tuple[tuple[str, str], ...] = ()
    advice: str = ""

    @property
    def code(self) -> str:
        return str(self.fault.get("code", "unknown"))


def cause_of(fault: Mapping[str, Any] | None) -> Cause:
    """What a failure is about, by what is kept of it."""
    code = (fault or {}).get("code")
    return "world" if code in WORLD else "workflow" if code in WORKFLOW else "unknown"


def failure_of(run: RunRecord, rows: Sequence[NodeRow], workflow: Workflow | None = None) -> Failure | None:
    """Why this run failed; None where it did not. `workflow` is its document, None where that can't be read."""
    if run.status != "failed":
        return None
    failed = [row for row in rows if row.status == "failed" and row.ends_visit and not row.counts]
    fault = run.fault or (failed[-1].fault if failed else None) or {}
    node = str(fault.get("node") or (failed[-1].node if failed else ""))
    own = [row for row in failed if row.node == node]
    what = (own[-1].error if own else run.error) or "No reason was recorded."
    given: tuple[tuple[str, str], ...] = ()
    if workflow is not None and node in workflow.nodes:
        given = tuple(_given(workflow.nodes[node], state_of(run, rows)))
    cause = cause_of(fault)
    advice = WORLD[str(fault["code"])] if cause == "world" else ""
    return Failure(node, cause, fault, _short(what, LONGEST_MESSAGE), given, advice)


def refs_of(node: Node) -> Iterator[Ref]:
    """Every reference of a node, but to secrets."""
    each = node.each.items if node.each else None
    templates: list[Template | None] = [
        *node.inputs.values(),
        each,
        node.prompt,
        node.system,
        node.args,
        node.ask,
    ]
    for template in templates:
        for ref in template.refs if template is not None else ():
            if ref.root != "secret":
                yield ref


def _given(node: Node, state: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What the node looked up in the state, each once. What can't be found there is left out: that is told anyway."""
    seen: set[str] = set()
    for ref in refs_of(node):
        if ref.root in node.inputs or ref.text in seen or len(seen) == MOST_VALUES:
            continue
        try:
            value = walk(state, ref.path if ref.root == "state" else (ref.root, *ref.path))
        except TemplateError:
            continue
        seen.add(ref.text)
        yield ref.text, _short(json.dumps(value, ensure_ascii=False, default=str), LONGEST_VALUE)


def _short(text: str, limit: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else f"{flat[: limit - 1]}…"
