"""What the right-hand side of the page shows, as plain JSON: the workflow, a run, an estimate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from chat.browser.asking import question_shown
from chat.browser.cards import RUN_WORDS, outputs_shown
from chat.browser.words import (
    asks_models,
    count,
    duration,
    money,
    seconds_between,
    span,
    time_taken,
    tokens_of,
)
from chat.graph_svg import graph_svg
from engine.gates import warnings

if TYPE_CHECKING:
    from engine.check import Checked
    from engine.document import Document
    from sessions.workflows import Version

MOST_OF_OUTPUT = 8000  # characters


def node_lines(document: Document) -> dict[str, int]:
    """The 1-based line of each node's id, as far as the document has nodes."""
    data = document.data
    nodes = data.get("nodes") if isinstance(data, Mapping) else None
    if not isinstance(nodes, list):
        return {}
    return {
        node["id"]: document.position(("nodes", index))[0]
        for index, node in enumerate(nodes)
        if isinstance(node, Mapping) and isinstance(node.get("id"), str)
    }


def workflow_view(name: str, yaml: str, checked: Checked, versions: Sequence[Version] = ()) -> dict[str, Any]:
    """The workflow with its picture, its problems and its versions, the newest first."""
    newest = versions[0].version if versions else 0
    data = checked.document.data
    flow = data.get("flow") if isinstance(data, Mapping) else None
    return {
        "name": name,
        "flow": flow.get("name") if isinstance(flow, Mapping) else None,
        "version": newest,
        "yaml": yaml,
        "svg": graph_svg(checked.document.data or {}, lines=node_lines(checked.document)),
        "versions": [_version(version) for version in versions],
        **problems_view(checked),
    }


def problems_view(checked: Checked) -> dict[str, Any]:
    """The problems by line, and whether a patch is at hand for some."""
    problems = sorted(checked.problems, key=lambda p: (p.line, p.column))
    errors = sum(problem.severity == "error" for problem in problems)
    warnings = len(problems) - errors
    return {
        "problems": [problem.to_dict() for problem in problems],
        "patches": sum(problem.patch is not None for problem in problems),
        "verdict": ", ".join(
            filter(
                None,
                [count(errors, "error") if errors else "", count(warnings, "warning") if warnings else ""],
            )
        ),
        "ok": not errors,
    }


def _version(version: Version) -> dict[str, Any]:
    shown = version.to_dict()
    author = version.author or ("assistant" if version.message_id else "editor")
    keys = ("version", "summary", "created_at", "request", "request_id", "conversation_id")
    return {key: shown[key] for key in keys} | {"author": author}


# --- runs -------------------------------------------------------------------------------------------------


def run_view(run: Mapping[str, Any], questions: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """A run in words. `run` is the object that `run --json` prints, perhaps with nodes that still run; `questions`
    are what it has asked so far, answered or not.
    """
    ended = bool(run.get("ended_at"))
    asked = questions or [{**wait, "asked_at": None} for wait in run.get("waiting", ())]
    return {
        "run_id": run["run_id"],
        "workflow": run.get("workflow") or "",
        "status": run.get("status") or "running",
        "word": RUN_WORDS.get(str(run.get("status")), str(run.get("status") or "running")),
        "created_at": run.get("created_at"),
        "ended": ended,
        "seconds": time_taken(run, questions),
        "tokens": tokens_of(run) if ended and asks_models(run) else "",
        "cost": money(run.get("cost_usd")) if ended and asks_models(run) else "",
        "models": ", ".join(dict.fromkeys(str(n["model"]) for n in run.get("nodes", ()) if n.get("model"))),
        "error": run.get("error"),
        "nodes": [_node(node) for node in run.get("nodes", ())],
        "ended_at": run.get("ended_at"),
        "questions": [question_shown(question, ended=ended) for question in asked],
        "warnings": list(warnings(run.get("gates") or ())) if run.get("status") == "ok" else [],
        "inputs": run.get("inputs") or {},
        "raw_outputs": run.get("outputs") or {},
        "outputs": _outputs(run) if ended and run.get("status") == "ok" else [],
    }


def _outputs(run: Mapping[str, Any]) -> list[dict[str, Any]]:
    return outputs_shown(run.get("outputs") or {}, MOST_OF_OUTPUT)


def _node(node: Mapping[str, Any]) -> dict[str, Any]:
    used = node.get("prompt_tokens") is not None or node.get("completion_tokens") is not None
    return {
        "id": node["id"],
        "status": node["status"],
        "visit": node.get("iteration") or 1,
        "attempt": node.get("attempt") or 1,
        "kind": node.get("kind") or "",
        "started_at": node.get("started_at"),
        "ended_at": node.get("ended_at"),
        "seconds": duration(seconds_between(node.get("started_at"), node.get("ended_at"))),
        "model": node.get("model") or "",
        "tokens": tokens_of(node) if used else "",
        "cost": money(node.get("cost_usd")) if used else "",
        "error": node.get("error"),
    }


def runs_view(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Summaries of runs in words, for a list."""
    return [
        {
            "run_id": run["run_id"],
            "workflow": run["workflow"],
            "status": run["status"],
            "word": RUN_WORDS.get(str(run["status"]), str(run["status"])),
            "created_at": run["created_at"],
            "seconds": duration(seconds_between(run["created_at"], run["ended_at"])),
            "cost": money(run["cost_usd"]) if run["cost_usd"] is not None else "",
        }
        for run in runs
    ]


# --- estimates --------------------------------------------------------------------------------------------


def estimate_view(found: Mapping[str, Any]) -> dict[str, Any]:
    """An estimate in words: each range as one text, "unknown" where it can't be reckoned."""
    over = (
        found["budget_usd"] is not None and found["cost_usd"] and found["cost_usd"][1] > found["budget_usd"]
    )
    return {
        **_ranges(found),
        "budget": money(found["budget_usd"]) if found["budget_usd"] is not None else "",
        "over": bool(over),
        "most_usd": found["cost_usd"][1] if found["cost_usd"] else None,
        "unknown": list(found["unknown"]),
        "nodes": [
            {"id": node["id"], "model": node["model"] or "", "note": node["note"] or "", **_ranges(node)}
            for node in found["nodes"]
        ],
    }


def _ranges(found: Mapping[str, Any]) -> dict[str, str]:
    tokens = None
    if found["prompt_tokens"] and found["completion_tokens"]:
        tokens = [sum(pair) for pair in zip(found["prompt_tokens"], found["completion_tokens"], strict=True)]
    return {
        "cost": span(found["cost_usd"], money),
        "tokens": span(tokens, lambda number: f"{round(number):,}"),
        "seconds": span(found["seconds"], duration),
        "calls": span(found["calls"], str),
    }


def with_node(run: Mapping[str, Any], node: Mapping[str, Any]) -> dict[str, Any]:
    """The run's object with a node started or ended: it takes the place of the same visit and attempt."""
    key = ("id", "iteration", "attempt")
    nodes = [dict(n) for n in run.get("nodes", ())]
    for index, other in enumerate(nodes):
        if all(other.get(name) == node.get(name) for name in key):
            nodes[index] = dict(node)
            break
    else:
        nodes.append(dict(node))
    return {**run, "nodes": nodes}
