"""Bounds of a run (`gates`, `budget_usd`) and of code (`sandbox`): they can be kept, and can be broken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.build_kinds import METRICS
from engine.check.draft import Draft
from engine.check.patches import replace_name
from engine.check.reading import given, mapping, sequence
from engine.check.rules import Found, Path, rule

_GATES: Path = ("config", "gates", "gates")
_STRONGER = ("native", "docker")
_NETWORK = ("network", "network_enabled")


def _gates(draft: Draft) -> Iterator[tuple[Path, dict[str, Any]]]:
    gates = mapping(mapping(draft.data.get("config")).get("gates")).get("gates")
    for i, gate in enumerate(sequence(gates)):
        yield (*_GATES, i), dict(given(gate))


@rule("unknown-metric", "warning")
def unknown_metric(draft: Draft) -> Iterator[Found]:
    """A gate bounds something that is not measured here. The workflow runs without that gate.

    What is measured of a run: `cost_usd`, `seconds` and `tokens`.
    """
    for path, gate in _gates(draft):
        metric = gate.get("metric")
        if isinstance(metric, str) and metric not in METRICS:
            mend = draft.names.certain(metric, METRICS)
            near = mend or draft.names.near(metric, METRICS)
            hint = f"Did you mean {near}?" if near else f"What is measured: {', '.join(METRICS)}."
            patch = replace_name(draft.document, (*path, "metric"), mend) if mend else None
            yield Found(
                (*path, "metric"), f"'{metric}' is not measured, so this gate does nothing. {hint}", patch
            )


@rule("gate-bounds", "error")
def gate_bounds(draft: Draft) -> Iterator[Found]:
    """A gate can't be kept: its `min` is over its `max`, or its `max` is below zero; or it bounds nothing.

    Give it a `max`, a `min`, or both with the smaller one as `min`.
    """
    for path, gate in _gates(draft):
        low, high = gate.get("min"), gate.get("max")
        if low is None and high is None and "metric" in gate:
            yield Found(path, "This gate has neither max nor min, so it bounds nothing. Add one of them.")
        elif isinstance(high, int | float) and high < 0:
            yield Found((*path, "max"), f"No run can stay below {high}. Give a max of 0 or more.")
        elif isinstance(low, int | float) and isinstance(high, int | float) and low > high:
            yield Found(
                (*path, "min"), f"The min {low} is over the max {high}, so no run can keep to it. Swap them."
            )


@rule("gate-moot", "warning")
def gate_moot(draft: Draft) -> Iterator[Found]:
    """A gate can never be broken, because the run ends before that: at its budget, or at its timeout.

    Lower the gate, or leave it out.
    """
    execution = mapping(mapping(draft.data.get("config")).get("execution"))
    ends = {
        "cost_usd": (execution.get("budget_usd"), "budget_usd"),
        "seconds": (execution.get("timeout", execution.get("timeout_seconds")), "timeout"),
    }
    for path, gate in _gates(draft):
        end, name = ends.get(str(gate.get("metric")), (None, ""))
        high = gate.get("max")
        if isinstance(end, int | float) and isinstance(high, int | float) and high > end:
            message = f"A run ends at config.execution.{name} ({end}), so {high} is never reached. "
            yield Found((*path, "max"), f"{message}Lower the gate, or leave it out.")


def _sandboxes(draft: Draft) -> Iterator[tuple[Path, dict[str, Any], str | None]]:
    """The sandboxes of a document, each with the kind of its node, None for `config.sandbox`."""
    yield ("config", "sandbox"), dict(given(mapping(draft.data.get("config")).get("sandbox"))), None
    for node in draft.nodes:
        yield (*node.path, "sandbox"), dict(given(node.data.get("sandbox"))), node.kind


@rule("sandbox-network", "error")
def sandbox_network(draft: Draft) -> Iterator[Found]:
    """Code asks for the network, which the sandbox here does not have.

    Fetch what is needed with a tool: a node before it, or one of the node's `tools`.
    """
    for path in _networks(draft, code=True):
        message = "The sandbox has no network. Let a tool such as http_get fetch what the code needs."
        yield Found(path, message)


def _networks(draft: Draft, *, code: bool) -> Iterator[Path]:
    """Where the network is asked for: for code, which can't go on without it, or for all else."""
    coding = [node for node in draft.nodes if node.kind == "code"]
    inherits = any(not any(k in mapping(n.data.get("sandbox")) for k in _NETWORK) for n in coding)
    for path, sandbox, kind in _sandboxes(draft):
        for key in _NETWORK:
            wanted = sandbox.get(key) is True or mapping(sandbox.get(key)).get("enabled") is True
            if wanted and code == (inherits if kind is None else kind == "code"):
                yield (*path, key)


@rule("sandbox-tier", "warning")
def sandbox_tier(draft: Draft) -> Iterator[Found]:
    """A sandbox is asked for that is not there yet, or something that only another one has. The default sandbox
    serves: the standard library of Python, without network, files and packages.

    Nothing has to be done, unless the code needs more than that.
    """
    for path, sandbox, kind in _sandboxes(draft):
        for key in ("mode", "runtime"):
            if sandbox.get(key) in _STRONGER:
                message = f"'{sandbox[key]}' is not available yet. The default sandbox (wasm) serves."
                yield Found((*path, key), message)
        if sandbox.get("enabled") is False and kind == "code":
            message = "Code always runs in the sandbox. Remove enabled: false."
            yield Found((*path, "enabled"), message)
    for path in _networks(draft, code=False):
        yield Found(path, "The sandbox here has no network. Give the node a tool that fetches.")


RULES = (unknown_metric, gate_bounds, gate_moot, sandbox_network, sandbox_tier)
