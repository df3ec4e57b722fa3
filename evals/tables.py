"""The results as a Markdown table for people and JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evals.scores import Try, by_kind, figures


def summary(model: str, tries: Sequence[Try], about: Mapping[str, Any]) -> dict[str, Any]:
    """Everything, in plain JSON. `about` says when, where and what was measured."""
    return {"model": model, **about, "all": figures(tries), "kinds": by_kind(tries)}


def markdown(found: Mapping[str, Any]) -> str:
    """The tables of a summary."""
    total = found["all"]
    lines = [
        f"**{found['model']}**, {found['date']}, {found['machine']}: {total['tasks']} tasks, {total['tries']} tries.",
        "",
        "| kind | tasks | pass@1 | pass^3 | bytes outside | false “done” | questions | tokens | cost | s a round |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *(_row(kind, each) for kind, each in found["kinds"].items()),
        _row("**all**", total),
        "",
        "| round | tries | solved | with all before it |",
        "|---|---|---|---|",
    ]
    for number, each in enumerate(total["rounds"], 1):
        lines.append(
            f"| {number} | {each['tries']} | {_share(each['passed'])} | {_share(each['passed_so_far'])} |"
        )
    return "\n".join(lines) + "\n"


def _row(name: str, found: Mapping[str, Any]) -> str:
    outside = f"{found['outside_bytes']} in {found['outside_rounds']} of {found['change_rounds']} rounds"
    tokens = _add(found["prompt_tokens"], found["completion_tokens"])
    cells = (
        *(name, found["tasks"], _share(found["pass_1"]), _share(found["pass_3"])),
        *(outside if found["change_rounds"] else "–", found["false_done"], found["questions"]),
        *("?" if tokens is None else f"{tokens:,.0f}", _dollars(found["cost_usd"])),
        f"{found['seconds'] / max(1, found['all_rounds']):.1f}",
    )
    return f"| {' | '.join(map(str, cells))} |"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"


def _dollars(value: float | None) -> str:
    return "?" if value is None else f"${value:.2f}" if value else "$0"


def _add(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other
