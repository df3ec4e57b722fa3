"""python -m evals [--model M] [--tasks KIND,ID…] [--tries N] …   asks a model and writes the table
python -m evals --record                                      makes the recordings of our own answers anew
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from configs.settings import Settings, SettingsError, read_settings
from engine.models.names import EMBEDDED
from evals.money import expected_usd, price_words
from evals.recordings import prompt_sizes, read_recordings, write_recordings
from evals.running import RESULTS, Asking, record
from evals.tables import markdown, summary
from evals.tasks import Task, TaskError, choose, load_tasks


def main(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    try:
        tasks = load_tasks()
        names = [name for name in options.tasks.replace(",", " ").split() if name]
        chosen = choose(tasks, names, options.limit)
        return _record(tasks, chosen) if options.record else _ask(options, chosen)
    except (TaskError, SettingsError) as error:
        print(error, file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m evals", description="The scoreboard of the assistant.")
    parser.add_argument("--record", action="store_true", help="make the recordings of our own answers anew")
    parser.add_argument(
        "--model", default=EMBEDDED, help="provider/model as LiteLLM has it; left out: embedded"
    )
    parser.add_argument("--tasks", default="", help="kinds or ids of tasks, with commas; left out: all")
    parser.add_argument("--limit", type=int, help="at most so many tasks of each kind")
    parser.add_argument("--tries", type=int, default=3)
    parser.add_argument("--max-usd", type=float, help="stop when so much is spent")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder for tries and tables")
    parser.add_argument("--yes", action="store_true", help="spend without being asked")
    return parser


def _record(tasks: Sequence[Task], chosen: Sequence[Task]) -> int:
    """Record the chosen tasks; of the others, what was recorded stays."""
    started = time.monotonic()
    tries, sources = asyncio.run(record(chosen))
    wrong = [line for one in tries for line in _wrong(one)]
    for line in wrong:
        print(line)
    if wrong:
        print(f"{len(wrong)} things are wrong, so nothing was recorded.")
        return 1
    ids = {task.id for task in tasks}
    made = {id: found for id, found in read_recordings().items() if id in ids}
    sizes = {id: size for id, size in prompt_sizes().items() if id in ids}
    made |= {source.task.id: source.made for source in sources}
    sizes |= {source.task.id: sum(map(len, source.prompts)) for source in sources}
    write_recordings(made, sizes)
    count = sum(len(source.made) for source in sources)
    print(f"{count} prompts of {len(chosen)} tasks recorded in {time.monotonic() - started:.0f} s.")
    return 0


def _wrong(one: dict[str, Any]) -> list[str]:
    found = [f"{one['task']}: {fault}" for fault in one["faults"]]
    for number, each in enumerate(one["rounds"], 1):
        found += [f"{one['task']}, round {number}: {failure}" for failure in each["failures"]]
        found += [f"    what was told: {each['told'][:500]!r}"] if each["failures"] else []
    return found


def _ask(options: argparse.Namespace, tasks: Sequence[Task]) -> int:
    settings = _settings(options.model)
    if options.model != EMBEDDED and not _may_spend(options, tasks):
        print("Nothing was asked.", file=sys.stderr)
        return 2
    asking = Asking(options.model, settings, options.results, most_usd=options.max_usd, say=_say)
    tries = asyncio.run(asking.all(tasks, options.tries))
    machine = f"{platform.machine()}, Python {platform.python_version()}"
    found = summary(options.model, tries, {"date": time.strftime("%Y-%m-%d"), "machine": machine})
    table = markdown(found)
    asking.path.with_suffix(".md").write_text(table, encoding="utf-8")
    asking.path.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"\n{table}\nKept in {asking.path.parent}.")
    return 0


def _settings(model: str) -> Settings:
    """The installation's settings with this model; PARLANCE_API_BASE goes with the model it was set for alone."""
    found = read_settings()
    changed: dict[str, Any] = {"model": model, "force_model": None, "database_url": None, "dispatch": "local"}
    if model not in (found.model, found.force_model):
        changed |= {"api_base": None, "api_key": None}
    return found.model_copy(update=changed)


def _may_spend(options: argparse.Namespace, tasks: Sequence[Task]) -> bool:
    expected = expected_usd(options.model, tasks, options.tries)
    print(price_words(options.model, expected, options.max_usd))
    if options.yes:
        return True
    if not sys.stdin.isatty():
        print("Give --yes (make eval YES=1) to spend it.", file=sys.stderr)
        return False
    return input("Go on? [y/N] ").strip().lower() in ("y", "yes")


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
