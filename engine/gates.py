"""Gates: bounds of a document on its whole run, looked at when the run ends, and where they can only get worse before.

What a run came to is told by its rows alone, so that whoever shows it later finds the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from engine.errors import Conflict, GateMissed, RunError
from engine.models.pricing import dollars
from engine.ports import NodeRow, RunStore
from engine.workflow import Gates

if TYPE_CHECKING:
    from engine.nodes.step import Usage
    from engine.plan import Plan

_LOOKED_AT = 200
"""Of how many of a workflow's newest runs it is looked up whether a gate stopped them."""


def gates_shape(gates: Gates) -> dict[str, Any] | None:
    """What it takes to show a run's gates without its document; None without gates."""
    if not gates.gates:
        return None
    bounds = [
        {"metric": g.metric, "max": g.max, "min": g.min, "description": g.description} for g in gates.gates
    ]
    return {"on_fail": gates.on_fail, "gates": bounds}


def judged(shape: Mapping[str, Any], rows: Sequence[NodeRow]) -> list[dict[str, Any]]:
    """Each gate of a run with these rows: {metric, max, min, description, value, ok}; None: not known."""
    found: Mapping[str, Any] | None = shape.get("gates")
    if found is None:
        return []
    values = {name: measure(rows) for name, measure in _MEASURES.items()}
    return [_judge(gate, values.get(gate["metric"])) for gate in found["gates"]]


def _judge(gate: Mapping[str, Any], value: float | None) -> dict[str, Any]:
    most, least = gate["max"], gate["min"]
    ok = None
    if value is not None:
        ok = not ((most is not None and value > most) or (least is not None and value < least))
    return {**gate, "value": value, "ok": ok}


def broken(shape: Mapping[str, Any], rows: Sequence[NodeRow]) -> RunError | None:
    """Why the run fails: the first gate that does not hold, where the document says that this matters."""
    if shape.get("gates", {}).get("on_fail", "warn") == "warn":
        return None
    bad = [gate for gate in judged(shape, rows) if gate["ok"] is False]
    return GateMissed(sentence(bad[0]), _FIX) if bad else None


def hopeless(shape: Mapping[str, Any], rows: Sequence[NodeRow], used: Usage) -> RunError | None:
    """As `broken`, for a run that goes on: only what further nodes can't make good, a cost or tokens over `max`.

    `used` is of the attempt that has just ended and has no row yet.
    """
    if shape.get("gates", {}).get("on_fail", "warn") == "warn":
        return None
    for gate in shape["gates"]["gates"]:
        value = _SO_FAR[gate["metric"]]([*rows, used]) if gate["metric"] in _SO_FAR else 0.0
        if gate["max"] is not None and value > gate["max"]:
            return GateMissed(sentence({**gate, "value": value, "ok": False}), _FIX)
    return None


_FIX = "Make the workflow do less, use a cheaper or faster model, or change `gates`."


def sentence(gate: Mapping[str, Any]) -> str:
    """Which gate does not hold, and by what."""
    title = f" ({gate['description']})" if gate["description"] else ""
    metric, value = gate["metric"], gate["value"]
    if value is None:
        return f"The gate on {metric}{title} can't be checked: what the run used is not known."
    over = gate["max"] is not None and value > gate["max"]
    bound = f"at most {_shown(metric, gate['max'])}" if over else f"at least {_shown(metric, gate['min'])}"
    return f"The gate on {metric}{title} does not hold: {_shown(metric, value)}, and it wants {bound}."


def warnings(gates: Iterable[Mapping[str, Any]]) -> list[str]:
    """A sentence for each gate of a view that does not hold or can't be checked."""
    return [sentence(gate) for gate in gates if gate["ok"] is not True]


def _shown(metric: str, value: float) -> str:
    if metric == "cost_usd":
        return dollars(value)
    return f"{value:,.0f} tokens" if metric == "tokens" else f"{value:.4g} {metric}"


# --- measuring ---


def _cost(rows: Iterable[NodeRow]) -> float | None:
    return _sum(row.cost_usd for row in rows if row.model is not None)


def _tokens(rows: Sequence[NodeRow]) -> float | None:
    used = [row for row in rows if row.model is not None]
    return _sum(count for row in used for count in (row.prompt_tokens, row.completion_tokens))


def _sum(values: Iterable[float | None]) -> float | None:
    """Nothing used is 0; unknown as soon as one is."""
    total = 0.0
    for value in values:
        if value is None:
            return None
        total += value
    return total


def _known_cost(rows: Iterable[NodeRow | Usage]) -> float:
    return sum(row.cost_usd or 0.0 for row in rows)


def _known_tokens(rows: Iterable[NodeRow | Usage]) -> float:
    return sum((row.prompt_tokens or 0) + (row.completion_tokens or 0) for row in rows)


def seconds_of(rows: Iterable[NodeRow]) -> float:
    """How long at least one node was running; the time in which the run waited for people is not in it."""
    total, end = 0.0, float("-inf")
    for began, ended in sorted((row.started_at, row.ended_at) for row in rows if row.status not in _WAITING):
        if ended > end:
            total += ended - max(began, end)
            end = ended
    return total


_WAITING = ("waiting", "unknown", "running")
_MEASURES = {"cost_usd": _cost, "seconds": seconds_of, "tokens": _tokens}
_SO_FAR = {"cost_usd": _known_cost, "tokens": _known_tokens}


# --- before a run ---


async def refuse_blocked(store: RunStore, plan: Plan, owner: str) -> None:
    """Conflict, with the reason, where a gate with `block_deploy` stopped a run of this very document."""
    if plan.workflow.gates.on_fail != "block_deploy" or not plan.workflow.gates.gates:
        return
    found = await store.find(owner=owner, workflow=plan.workflow.name, status="failed", limit=_LOOKED_AT)
    for run in found:
        if run.digest != plan.digest:
            continue
        reason = broken(plan.shape, await store.rows(run.id))
        if reason is not None:
            raise Conflict(
                f"Run {run.id} of this workflow was stopped by a gate, which blocks further ones. "
                f"{reason.message}",
                "Change the document, or run it with --ignore-gates (API: ignore_gates).",
            )
