"""What the tries add up to: the figures of the table, each with its meaning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import comb
from typing import Any

from evals.driving import Driven
from evals.tasks import KINDS

Try = Mapping[str, Any]
"""One try as it is kept: see `try_of`."""


def try_of(driven: Driven, number: int, faults: Sequence[str] = ()) -> dict[str, Any]:
    """A try in plain JSON. `faults` say what the harness itself could not do; such a try counts as not solved."""
    return {
        "task": driven.task.id,
        "kind": driven.task.kind,
        "digest": driven.task.digest,
        "try": number,
        "solved": driven.solved and not faults,
        "seconds": round(driven.seconds, 2),
        "faults": list(faults),
        "rounds": [_round_of(judged) for judged in driven.rounds],
    }


def _round_of(judged: Any) -> dict[str, Any]:
    record = judged.record
    return {
        "say": record.say,
        "told": record.told[:2000],
        "failures": judged.failures,
        "outside": judged.outside,
        "false_done": judged.false_done,
        "questions": len(record.questions),
        "saved": len(record.versions),
        "prompt_tokens": record.total("prompt_tokens"),
        "completion_tokens": record.total("completion_tokens"),
        "cost_usd": record.total("cost_usd"),
        "seconds": round(record.seconds, 2),
    }


def pass_at(solved: int, tries: int, k: int) -> float | None:
    """The chance that all of `k` tries solve the task, from `solved` of `tries`, without bias; None for fewer tries.

    With k = 1 that is the share of the tries that solved it. Source: tau-bench's pass^k.
    """
    return comb(solved, k) / comb(tries, k) if tries >= k else None


def figures(tries: Sequence[Try]) -> dict[str, Any]:
    """All figures of these tries. Shares are between 0 and 1; unknown is None."""
    rounds = [each for one in tries for each in one["rounds"]]
    checked = [each["outside"] for each in rounds if each["outside"] is not None]
    return {
        "tasks": len({one["task"] for one in tries}),
        "tries": len(tries),
        "pass_1": _over_tasks(tries, 1),
        "pass_3": _over_tasks(tries, 3),
        "rounds": _by_round(tries),
        "outside_bytes": sum(checked),
        "outside_rounds": sum(count > 0 for count in checked),
        "change_rounds": len(checked),
        "false_done": sum(each["false_done"] for each in rounds),
        "questions": sum(each["questions"] for each in rounds),
        "all_rounds": len(rounds),
        "prompt_tokens": total(each["prompt_tokens"] for each in rounds),
        "completion_tokens": total(each["completion_tokens"] for each in rounds),
        "cost_usd": total(each["cost_usd"] for each in rounds),
        "seconds": sum(each["seconds"] for each in rounds),
    }


def by_kind(tries: Sequence[Try]) -> dict[str, dict[str, Any]]:
    """The figures of each kind of task that was tried."""
    found = {kind: [one for one in tries if one["kind"] == kind] for kind in KINDS}
    return {kind: figures(some) for kind, some in found.items() if some}


def total(counts: Iterable[float | None]) -> float | None:
    """The sum; None when one is unknown."""
    known = list(counts)
    return None if None in known else sum(each for each in known if each is not None)


def _over_tasks(tries: Sequence[Try], k: int) -> float | None:
    """The mean over the tasks; None when one has too few tries."""
    shares = []
    for task in {one["task"] for one in tries}:
        some = [one for one in tries if one["task"] == task]
        shares.append(pass_at(sum(one["solved"] for one in some), len(some), k))
    known = [share for share in shares if share is not None]
    return sum(known) / len(known) if known and len(known) == len(shares) else None


def _by_round(tries: Sequence[Try]) -> list[dict[str, Any]]:
    """For each round: how many tries had one, the share that passed its checks, and the share that also passed all
    rounds before it."""
    found = []
    for number in range(max((len(one["rounds"]) for one in tries), default=0)):
        some = [one["rounds"] for one in tries if len(one["rounds"]) > number]
        here = sum(not rounds[number]["failures"] for rounds in some)
        so_far = sum(not any(each["failures"] for each in rounds[: number + 1]) for rounds in some)
        found.append({"tries": len(some), "passed": here / len(some), "passed_so_far": so_far / len(some)})
    return found
