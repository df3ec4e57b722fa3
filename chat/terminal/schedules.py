"""`app.py schedule add|list|pause|resume|remove`: runs that start by the clock."""

from __future__ import annotations

import argparse
import json

from chat.schedules import next_times, schedule_view
from chat.terminal.files import is_file_name, parse_inputs, read_text
from chat.terminal.house import OWNER, House
from chat.terminal.lists import collect, print_rows
from engine.schedules import Schedule

COLUMNS = ("id", "workflow", "cron", "timezone", "next", "last_run_id", "missed", "skipped", "note")


def schedule(house: House, arguments: argparse.Namespace) -> int:
    """Do what the second word says. Exit 0; 2 for what can't be read or is not there."""
    return ACTIONS[arguments.action](house, arguments)


def add(house: House, arguments: argparse.Namespace) -> int:
    """Make a schedule and print its next three times."""
    name = arguments.workflow
    text = read_text(name) if is_file_name(name) else None
    made = collect(
        house,
        lambda: house.timetable.add(
            OWNER,
            cron=arguments.cron,
            workflow=None if text is not None else name,
            yaml=text,
            timezone=arguments.timezone,
            inputs=parse_inputs(arguments.input),
            schedule_id=arguments.id,
            overlap=arguments.overlap,
        ),
    )
    if arguments.json:
        print(json.dumps(schedule_view(made)))
        return 0
    print(f'Schedule {made.id}: {made.workflow}, "{made.cron}" in {made.timezone}. The next times:')
    _print_times(made)
    print("They start while `app.py serve` or `app.py worker` runs.")
    return 0


def show_all(house: House, arguments: argparse.Namespace) -> int:
    """List the schedules, the one that is due next first."""
    found = collect(house, lambda: house.timetable.list(OWNER))
    if arguments.json:
        print(json.dumps([schedule_view(each) for each in found]))
        return 0
    rows = [{**schedule_view(each), "next": _next(each)} for each in found]
    nothing = 'Nothing is scheduled. Try `app.py schedule add NAME "0 9 * * 1"`.'
    print_rows([{column: row[column] for column in COLUMNS} for row in rows], False, nothing)
    return 0


def pause(house: House, arguments: argparse.Namespace) -> int:
    """Start nothing more until it is resumed."""
    collect(house, lambda: house.timetable.pause(OWNER, arguments.id))
    print(f"Schedule {arguments.id} is paused.")
    return 0


def resume(house: House, arguments: argparse.Namespace) -> int:
    """Go on with the next planned time."""
    found = collect(house, lambda: house.timetable.resume(OWNER, arguments.id))
    print(f"Schedule {found.id} goes on. The next times:")
    _print_times(found)
    return 0


def remove(house: House, arguments: argparse.Namespace) -> int:
    """Forget it; runs that it has started go on."""
    collect(house, lambda: house.timetable.remove(OWNER, arguments.id))
    print(f"Schedule {arguments.id} is removed.")
    return 0


ACTIONS = {"add": add, "list": show_all, "pause": pause, "resume": resume, "remove": remove}


def _print_times(found: Schedule) -> None:
    for moment in next_times(found):
        print(f"  {found.local(moment)}")


def _next(found: Schedule) -> str:
    return "paused" if found.next_at is None else found.local(found.next_at)
