"""The tasks: what a person says in each round, the checks on what came of it, and an answer of ours that passes them.

A task is a YAML file in `evals/tasks/`; it may begin with a document of `evals/documents/`. The answers are written
by hand. They are not a model's: they keep prompts, actions and checks in step with each other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parent
KINDS = ("make", "change", "again", "repair", "ambiguous", "impossible", "hostile")


class TaskError(Exception):
    """A task file that can't be used, in a sentence with the fix."""


@dataclass(frozen=True, slots=True)
class Round:
    """`say` is the message. `answers` are ours, one for each call of the assistant's model; `checks` judge the
    round. `hand` are edits that the person made in the editor before, `models` what the steps of a run are
    answered, `answer` what the person chooses where a run asks.
    """

    say: str
    answers: Sequence[Mapping[str, Any]] = ()
    checks: Sequence[Mapping[str, Any]] = ()
    hand: Sequence[Mapping[str, Any]] = ()
    models: Sequence[Mapping[str, Any]] = ()
    answer: Any = None


@dataclass(frozen=True, slots=True)
class Task:
    """`start` is the document that the conversation begins with, None for an empty one. `way` says how our
    answers are given: by functions, or as one JSON object. `digest` changes with the file.
    """

    id: str
    kind: str
    title: str
    rounds: Sequence[Round]
    language: str = "en"
    start: str | None = None
    way: str = "functions"
    models: Sequence[Mapping[str, Any]] = ()
    digest: str = field(default="", compare=False)


def load_tasks(folder: Path = FOLDER / "tasks") -> list[Task]:
    """All tasks, by kind and then by id. TaskError for a file that can't be used."""
    found = [task for path in sorted(folder.glob("*.yaml")) for task in _of_file(path)]
    ids = [task.id for task in found]
    if twice := {each for each in ids if ids.count(each) > 1}:
        raise TaskError(f"Two tasks have the id {sorted(twice)[0]}. Give one of them another.")
    return sorted(found, key=lambda task: (KINDS.index(task.kind), task.id))


def choose(tasks: Sequence[Task], names: Sequence[str], limit: int | None) -> list[Task]:
    """Those whose kind or id is among `names` (all without names), at most `limit` of each kind. TaskError."""
    known = {*KINDS, *(task.id for task in tasks)}
    if unknown := [name for name in names if name not in known]:
        raise TaskError(f"There is no task or kind {unknown[0]}. Kinds are: {', '.join(KINDS)}.")
    chosen = [task for task in tasks if not names or task.kind in names or task.id in names]
    counts: dict[str, int] = dict.fromkeys(KINDS, 0)
    kept = []
    for task in chosen:
        counts[task.kind] += 1
        if limit is None or counts[task.kind] <= limit:
            kept.append(task)
    return kept


def _of_file(path: Path) -> list[Task]:
    """The tasks of a file: one YAML document each."""
    text = path.read_text(encoding="utf-8")
    return [_task(path, data) for data in yaml.load_all(text, Loader=yaml.CSafeLoader) if data is not None]


def _task(path: Path, data: Any) -> Task:
    where = f"{path.name}, {data.get('id') if isinstance(data, Mapping) else 'without an id'}"
    try:
        rounds = [_round(where, each) for each in data.pop("rounds")]
        start = _document(data.pop("start", None))
        digest = hashlib.sha256(repr((data, rounds, start)).encode()).hexdigest()[:12]
        task = Task(rounds=rounds, start=start, digest=digest, **data)
    except (TypeError, KeyError, AttributeError, OSError) as error:
        raise TaskError(f"{where}: {error}. Write it as the other tasks are.") from None
    if task.kind not in KINDS or task.way not in ("functions", "json"):
        raise TaskError(f"{where}: the kind is one of {', '.join(KINDS)}, the way functions or json.")
    return task


def _round(where: str, data: Mapping[str, Any]) -> Round:
    known = {each.name for each in fields(Round)}
    if unknown := set(data) - known:
        raise TaskError(
            f"{where}: a round has no {sorted(unknown)[0]}; it may have {', '.join(sorted(known))}."
        )
    return Round(**data)


def _document(name: str | None) -> str | None:
    return (
        None if name is None else (FOLDER / "documents" / f"{name}.yaml").read_bytes().decode()
    )  # with its CRLF
