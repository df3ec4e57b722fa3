"""Parts of nodes that only some kinds have, and of `config`: answers of an ask, `for_each`, sandboxes, gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.templates import compile_template
from engine.types import Type
from engine.workflow import MISSING, Each, Field, Gate, Gates, Kind, SandboxOptions

APPROVE, REJECT = "approve", "reject"
METRICS = ("cost_usd", "seconds", "tokens")
"""What a gate can bound."""

_SPELLINGS = {
    "mode": ("mode", "runtime"),
    "preset": ("preset", "resource_preset"),
    "timeout": ("timeout", "timeout_seconds"),
    "network": ("network", "network_enabled"),
}
"""What each of a sandbox's values is called, the usual name first."""


def answer_options(data: Mapping[str, Any], output: Field | None) -> Any:
    """The answers that an ask offers: a list of texts, empty for free text, or a template of such a list.

    Left out, they are the values of the output's enum; free text where only that can fit the output's type; and
    else approve and reject.
    """
    said = data.get("options")
    if isinstance(said, str):
        return said
    if said is not None:
        return [as_answer(option) for option in said]
    if output is None:
        return [APPROVE, REJECT]
    each = data.get("for_each") is not None
    return usual_options(output.type, output.enum, each=each)


def usual_options(kind: Type, enum: Sequence[Any] | None, *, each: bool) -> list[str]:
    """The answers of an ask that names none, by the type of its output; `each` says that it is a list of answers."""
    if each and kind.name == "list":
        kind, enum = kind.item, None
    if enum:
        return [as_answer(value) for value in enum]
    return [APPROVE, REJECT] if kind.name in ("bool", "str", "any") else []


def as_answer(value: Any) -> str:
    """An option as the text that a person chooses: true is `true`, 3 is `3`."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def answer_default(data: Mapping[str, Any], options: Any) -> Any:
    """What an ask takes when its time is over, as one of the options where there are any; MISSING for none."""
    said = data.get("default")
    if said is None:
        return MISSING
    if isinstance(said, bool) and options == [APPROVE, REJECT]:
        return APPROVE if said else REJECT
    return said if isinstance(said, str) or not options else as_answer(said)


def build_each(data: Mapping[str, Any]) -> Each | None:
    """`for_each` with what goes with it; None where the node runs once."""
    items = data.get("for_each")
    if items is None:
        return None
    parallel = data.get("max_parallel")
    return Each(
        items=compile_template(items, bare=True),
        name=data.get("as") or "item",
        max_parallel=None if parallel is None else int(parallel),
    )


def build_sandbox(base: Mapping[str, Any], own: Mapping[str, Any] | None, kind: Kind) -> SandboxOptions:
    """How a node's code runs: what the node says, then what `config.sandbox` says.

    A code node always has a sandbox; a model has one where its node says `sandbox`, unless `enabled` is false.
    """
    if own is None and not base:
        return SandboxOptions(enabled=kind == "code")
    said = _spelt(own or {})
    merged = {**_spelt(base), **said}
    asked = own is not None and kind == "llm" and said.get("enabled", True) is not False
    modules, resources = merged.get("allowed_modules"), merged.get("resources") or {}
    return SandboxOptions(
        enabled=kind == "code" or asked,
        mode=merged.get("mode"),
        preset=merged.get("preset"),
        timeout=_first(merged.get("timeout"), resources.get("timeout")),
        network=_network(merged.get("network")),
        max_memory_mb=_megabytes(_first(merged.get("max_memory_mb"), resources.get("memory"))),
        allowed_modules=None if modules is None else tuple(modules),
    )


def _spelt(data: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a sandbox by their usual names; those that are null are left out."""
    found = {key: value for key, value in data.items() if value is not None}
    for name, spellings in _SPELLINGS.items():
        value = _first(*(data.get(spelling) for spelling in spellings))
        if value is not None:
            found[name] = value
    return found


def _network(value: Any) -> bool:
    """Whether the network is asked for: off unless it is said in so many words."""
    return value is True or (isinstance(value, Mapping) and value.get("enabled") is True)


def _megabytes(value: Any) -> int | None:
    """Memory as megabytes, from a number of them or from `256m`, `1g`; None where it can't be read."""
    if isinstance(value, str):
        text = value.strip().lower().removesuffix("b").removesuffix("i")
        factor = {"g": 1024, "m": 1}.get(text[-1:], 0)
        digits = text[:-1].strip() if factor else text
        return int(float(digits) * (factor or 1)) if digits.replace(".", "", 1).isdecimal() else None
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def build_gates(data: Mapping[str, Any]) -> Gates:
    """The bounds on a run. `block` is short for `block_deploy`."""
    gates = tuple(
        Gate(gate["metric"], gate.get("max"), gate.get("min"), gate.get("description") or "")
        for gate in data.get("gates") or ()
        if gate["metric"] in METRICS
    )
    said = data.get("on_fail")
    return Gates(gates, "block_deploy" if said == "block" else said or "warn")


def _first(*values: Any) -> Any:
    """The first value that is not None."""
    return next((value for value in values if value is not None), None)
