"""The command line: what can be said, and how a verb ends.

Exit 0 is success, 1 is "the answer is no" (problems found, the run failed or was cancelled), 2 is wrong use
or input that can't be read. Data goes to stdout; progress and errors go to stderr, an error in one plain
sentence with its fix. Each verb is a module of its own, imported when it is used: `--help` costs nothing.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

from chat.terminal.house import House
from chat.terminal.library_words import add_library
from chat.terminal.proving_words import add_proving
from engine.errors import InputError, NotFound, ParlanceError, WorkflowInvalid

NO = 1
WRONG_USE = 2
STATUSES = ("running", "waiting", "unknown", "ok", "failed", "cancelled")

# verb -> the function that does it, called with (house, arguments) and returning the exit code
VERBS = {
    "serve": "chat.terminal.serve:serve",
    "check": "chat.terminal.check:check",
    "run": "chat.terminal.run:run",
    "estimate": "chat.terminal.estimate:estimate",
    "save": "chat.terminal.save:save",
    "test": "chat.terminal.proving:test",
    "export": "chat.terminal.proving:export",
    "import": "chat.terminal.proving:import_file",
    "answer": "chat.terminal.answer:answer",
    "resume": "chat.terminal.again:resume",
    "retry": "chat.terminal.again:retry",
    "replay": "chat.terminal.again:replay",
    "chat": "chat.terminal.talk:talk",
    "workflows": "chat.terminal.lists:workflows",
    "workflow": "chat.terminal.library:workflow",
    "why": "chat.terminal.why:why",
    "preferences": "chat.terminal.my_data:preferences",
    "data": "chat.terminal.my_data:data",
    "delete": "chat.terminal.my_data:delete_run",
    "runs": "chat.terminal.lists:runs",
    "show": "chat.terminal.lists:show",
    "worker": "chat.terminal.work:work",
    "schedule": "chat.terminal.schedules:schedule",
    "doctor": "chat.terminal.doctor:doctor",
}


def main(argv: Sequence[str], make_house: Callable[[], House], version: str) -> int:
    """Run one command and return its exit code."""
    arguments = _parser(version).parse_args(argv or ["serve"])
    try:
        return int(_verb(arguments.verb)(make_house(), arguments))
    except WorkflowInvalid as error:
        return _say(error, NO)
    except (InputError, NotFound) as error:
        return _say(error, WRONG_USE)
    except ParlanceError as error:
        return _say(error, NO)
    except BrokenPipeError:  # `… | head` has seen enough
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        return NO


def _say(error: ParlanceError, code: int) -> int:
    print(error, file=sys.stderr)
    return code


def _verb(name: str) -> Callable[[House, argparse.Namespace], int]:
    module, _, function = VERBS[name].partition(":")
    found: Callable[[House, argparse.Namespace], int] = getattr(importlib.import_module(module), function)
    return found


def _parser(version: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="app.py",
        description="Say what should happen; get a workflow that is checked, run and answered. "
        "Without a verb the page is served.",
        epilog="Settings come from the environment and from .env; .env.example lists them.",
    )
    parser.add_argument("--version", action="version", version=f"parlance {version}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    _add_serve(verbs)
    _add_check(verbs)
    _add_save(verbs)
    _add_run(verbs)
    add_proving(verbs)
    _add_estimate(verbs)
    _add_answer(verbs)
    _add_again(verbs)
    _add_chat(verbs)
    _add_lists(verbs)
    add_library(verbs)
    _add_schedule(verbs)
    _add_worker(verbs)
    return parser


def _port(word: str) -> int:
    if not word.isdecimal() or int(word) > 65535:
        raise argparse.ArgumentTypeError(f"{word!r} is no port: give a number from 0 to 65535")
    return int(word)


def _count(word: str) -> int:
    if not word.isdecimal() or not 0 < int(word) <= 10_000:
        raise argparse.ArgumentTypeError(f"{word!r} is no number from 1 to 10000")
    return int(word)


def _add_serve(verbs: Any) -> None:
    serve = verbs.add_parser("serve", help="serve the page and the HTTP API (what happens without a verb)")
    serve.add_argument("--host", help="address to bind to (default: PARLANCE_HOST, else 127.0.0.1)")
    serve.add_argument(
        "--port", type=_port, help="port; 0 takes a free one (default: PARLANCE_PORT, else 7860)"
    )


def _add_check(verbs: Any) -> None:
    check = verbs.add_parser("check", help="find every problem in workflow files")
    check.add_argument("files", nargs="+", metavar="FILE", help="a YAML file; - reads standard input")
    check.add_argument("--json", action="store_true", help="print a list of problems")


def _add_save(verbs: Any) -> None:
    save = verbs.add_parser("save", help="keep a workflow under its name, for others to start it by that")
    save.add_argument("file", metavar="FILE", help="a YAML file; - reads standard input")
    save.add_argument("--json", action="store_true", help="print name and version as one object")


def _add_run(verbs: Any) -> None:
    run = verbs.add_parser("run", help="run a workflow and print its outputs")
    _add_workflow(run)
    run.add_argument("--model", metavar="M", help="send every model call to this model (provider/model)")
    run.add_argument(
        "--budget", type=_dollars, metavar="USD", help="the most that it may cost; the document may say less"
    )
    run.add_argument("--dry", action="store_true", help="rehearse: no model is asked, nothing happens")
    run.add_argument("--branches", action="store_true", help="with --dry: try to take every way through it")
    run.add_argument("--ignore-gates", action="store_true", help="run it even where its gates block it")
    run.add_argument("--json", action="store_true", help="print the whole run as one object")


def _add_workflow(verb: Any) -> None:
    verb.add_argument("workflow", metavar="FILE-or-NAME", help="a YAML file, or the name of a saved workflow")
    verb.add_argument(
        "-i",
        "--input",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an input, as often as needed; KEY=@PATH for one of type file; @FILE reads them from a JSON object",
    )


def _dollars(word: str) -> float:
    try:
        amount = float(word)
    except ValueError:
        amount = -1.0
    if not 0 <= amount < float("inf"):
        raise argparse.ArgumentTypeError(f"{word!r} is no amount of dollars: write it like 0.05")
    return amount


def _add_estimate(verbs: Any) -> None:
    estimate = verbs.add_parser("estimate", help="tell what a run would take: tokens, dollars, seconds")
    _add_workflow(estimate)
    estimate.add_argument("--model", metavar="M", help="as if every call went to this model (provider/model)")
    estimate.add_argument("--json", action="store_true", help="print the estimate as one object")


def _add_answer(verbs: Any) -> None:
    answer = verbs.add_parser("answer", help="answer what a run asks, and go on with the run")
    answer.add_argument("run_id", metavar="RUN")
    answer.add_argument("node", metavar="NODE", help="the node that asks, or the path that `show` prints")
    answer.add_argument("value", metavar="VALUE", help="one of the options, or what the node asks for")
    answer.add_argument(
        "--iteration",
        type=int,
        metavar="N",
        help="which visit of the node (default: the oldest that is open)",
    )
    answer.add_argument("--json", action="store_true", help="print the whole run as one object")


def _add_again(verbs: Any) -> None:
    resume = verbs.add_parser("resume", help="go on with a run whose process has ended")
    retry = verbs.add_parser("retry", help="run once more from a node on, with what came before it kept")
    replay = verbs.add_parser(
        "replay", help="ask another model what was asked in a run; nothing else is done again"
    )
    retry.add_argument(
        "--from", dest="node", required=True, metavar="NODE", help="the first node to run again"
    )
    retry.add_argument("--file", metavar="FILE", help="the document put right (default: the run's own)")
    replay.add_argument("--model", required=True, metavar="M", help="provider/model")
    for verb in (resume, retry, replay):
        verb.add_argument("run_id", metavar="RUN")
        verb.add_argument("--json", action="store_true", help="print the whole run as one object")


def _add_chat(verbs: Any) -> None:
    chat = verbs.add_parser("chat", help="say something to the assistant and print its answer")
    chat.add_argument("text", help='what you want, for example "summarise a text and translate it to German"')
    chat.add_argument(
        "--conversation", metavar="ID", help="go on with this conversation (default: a new one)"
    )
    chat.add_argument("--json", action="store_true", help="print the whole answer as one object")


def _add_lists(verbs: Any) -> None:
    doctor = verbs.add_parser("doctor", help="tell what is there, what is missing and how to mend it")
    doctor.add_argument("--json", action="store_true", help="print JSON")
    runs = verbs.add_parser("runs", help="list the newest runs")
    runs.add_argument("--status", choices=STATUSES, help="only these")
    runs.add_argument("--workflow", metavar="NAME", help="only runs of this workflow")
    runs.add_argument("--since", metavar="WHEN", help="30m, 2h, 3d or 1w for how long ago, or a date or time")
    runs.add_argument("--limit", type=_count, default=50, metavar="N", help="at most so many (default: 50)")
    runs.add_argument("--json", action="store_true", help="print JSON")
    show = verbs.add_parser("show", help="show a run: its time line, what it asks, its outputs")
    show.add_argument("run_id", metavar="RUN_ID")
    show.add_argument("--json", action="store_true", help="print the run as one object")


def _add_schedule(verbs: Any) -> None:
    schedule = verbs.add_parser("schedule", help="start a workflow by the clock")
    actions = schedule.add_subparsers(dest="action", metavar="add|list|pause|resume|remove", required=True)
    add = actions.add_parser("add", help="make a schedule and print its next three times")
    add.add_argument("workflow", metavar="FILE-or-NAME", help="a YAML file, or the name of a saved workflow")
    add.add_argument("cron", help='minute, hour, day, month, day of the week: "0 9 * * 1" is Mondays at 9')
    add.add_argument("-i", "--input", action="append", default=[], metavar="KEY=VALUE", help="as with run")
    add.add_argument("--timezone", default="UTC", metavar="ZONE", help="such as Europe/Berlin (default: UTC)")
    add.add_argument("--id", help="what to call it (default: after the workflow)")
    add.add_argument(
        "--overlap",
        action="store_true",
        help="start also while the run before has not ended (default: leave out)",
    )
    add.add_argument("--json", action="store_true", help="print the schedule as one object")
    actions.add_parser("list", help="list the schedules").add_argument(
        "--json", action="store_true", help="print JSON"
    )
    for name, said in {
        "pause": "start nothing more until it is resumed",
        "resume": "go on with the next planned time",
        "remove": "forget it; runs that it has started go on",
    }.items():
        actions.add_parser(name, help=said).add_argument("id", metavar="ID")


def _add_worker(verbs: Any) -> None:
    worker = verbs.add_parser("worker", help="execute runs that others start, with PARLANCE_DISPATCH=dbos")
    worker.add_argument(
        "--concurrency", type=_slots, default=10, metavar="N", help="how many runs at once (default: 10)"
    )


def _slots(word: str) -> int:
    if not word.isdecimal() or not 1 <= int(word) <= 1000:
        raise argparse.ArgumentTypeError(f"{word!r} can't be used: give a number from 1 to 1000")
    return int(word)
