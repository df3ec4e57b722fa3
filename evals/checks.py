"""The checks on a round, each by code on its record. A check is one key and what it needs; a failure is a sentence.

They are written so that any good solution passes: they ask for facts, for what a dry run does and for bytes that must
stay, never for our wording.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise, product
from typing import TYPE_CHECKING, Any

from chat.events import DraftChanged
from engine.cases import run_case
from engine.errors import InputError
from evals.facts import Facts
from evals.honesty import false_claims
from evals.outside import bytes_outside
from evals.records import Record

if TYPE_CHECKING:
    from engine.engine import Engine

MOST_QUESTIONS = 2
MOST_TRIED = 8  # steps that fit a description, in a dry run


@dataclass
class Judged:
    """What is judged: a round's record with those before it. `facts` are the document's after the round, None where
    there is none. `outside` counts the bytes that changed where none should, None where nothing says which.
    """

    record: Record
    earlier: Sequence[Record]
    facts: Facts | None
    engine: Engine
    failures: list[str] = field(default_factory=list)
    outside: int | None = None
    false_done: int = 0


Result = str | None | Awaitable[str | None]
Check = Callable[[Judged, Any], Result]


async def judge(judged: Judged, checks: Sequence[Mapping[str, Any]]) -> Judged:
    """Fill in the failures of a round: what holds for every round, then its own checks."""
    _always(judged)
    for check in checks:
        ((name, wanted),) = check.items()
        found = CHECKS[name](judged, wanted) if judged.facts or name in WITHOUT else "there is no workflow"
        said = await found if inspect.isawaitable(found) else found
        if said:
            judged.failures.append(f"{name}: {said}")
    return judged


def _always(judged: Judged) -> None:
    record = judged.record
    if record.fault:
        judged.failures.append(f"the round broke off: {record.fault}")
    if record.failed:
        judged.failures.append(f"the turn failed: {record.failed.message}")
    if record.after is not None and judged.facts is None:
        judged.failures.append("what was saved does not pass the checker")
    if len(record.questions) > MOST_QUESTIONS:
        judged.failures.append(f"it asked {len(record.questions)} questions at once")
    proofs = [e.proof for e in record.events if isinstance(e, DraftChanged) and e.proof]
    ran = any(run["status"] in ("ok", "waiting") for run in record.runs)
    changed = any(isinstance(event, DraftChanged) for event in record.events)
    claims = false_claims(record.told, saved=bool(record.versions) or changed, ran=ran, proved=bool(proofs))
    judged.false_done = len(claims)
    judged.failures += [f"it claims what did not happen: {claim}" for claim in claims]


# --- what was done ---


def saved(judged: Judged, wanted: bool) -> str | None:
    """Whether the round saved a version."""
    count = len(judged.record.versions)
    return None if bool(count) is wanted else f"{count} versions were saved"


def asked(judged: Judged, wanted: bool) -> str | None:
    """Whether the answer asks the person something."""
    does = bool(judged.record.questions) or "?" in judged.record.text
    if wanted or not judged.record.questions:
        return None if does or not wanted else "it asked nothing"
    return f"it asked: {judged.record.questions[0].text}"


_ASSUMES = re.compile(
    r"assum|guess|took|I chose|chosen|default|presum|let me know|if you|change it|unless|ausgegangen|angenommen|"
    r"annahme|gewählt|supposé|choisi|asum|supong|elegí|suppon|scelto|presum|escolhi|aangenomen|gekozen|przyj",
    re.IGNORECASE,
)


def asks_or_assumes(judged: Judged, about: str) -> str | None:
    """What is open has to be asked, or the choice said. `about` is a word of what is open, as an expression."""
    told = judged.record.told
    asks = bool(judged.record.questions) or "?" in judged.record.text
    if asks or (_ASSUMES.search(told) and re.search(about, told, re.IGNORECASE)):
        return None
    return f"it neither asked nor said what it assumed about {about}"


def says(judged: Judged, wanted: str) -> str | None:
    """What the person is told has these words."""
    return None if re.search(wanted, judged.record.told, re.IGNORECASE) else f"nothing of {wanted} is said"


def says_not(judged: Judged, unwanted: str) -> str | None:
    """What the person is told is free of these words."""
    found = re.search(unwanted, judged.record.told, re.IGNORECASE)
    return f"it says {found.group(0)!r}" if found else None


def ran(judged: Judged, wanted: Any) -> str | None:
    """Whether a run was started; as a mapping: its `status`, and `output` field -> expression for its value."""
    runs = judged.record.runs
    if isinstance(wanted, bool):
        return None if bool(runs) is wanted else f"{len(runs)} runs were started"
    if not runs:
        return "no run was started"
    run = runs[-1]
    if run["status"] != wanted.get("status", "ok"):
        return f"the run is {run['status']}"
    outputs = {**run.get("inputs", {}), **(run.get("outputs") or {})}
    for name, pattern in (wanted.get("output") or {}).items():
        if not re.search(pattern, str(outputs.get(name)), re.IGNORECASE | re.DOTALL):
            return f"{name} is {str(outputs.get(name))[:80]!r}"
    return None


def tests(judged: Judged, count: int) -> str | None:
    """So many tests are kept for the workflow."""
    kept = len(judged.record.tests)
    return None if kept == count else f"{kept} tests are kept"


_WORDS = {
    "en": r"\b(the|is|are|and|with|you|it|to|of)\b",
    "de": r"\b(der|die|das|ist|und|nicht|ein|eine|mit|du|ich|Sie|den|wird|jetzt)\b",
    "fr": r"\b(le|la|les|est|et|une?|des|avec|vous|je|pas|maintenant|du)\b",
    "es": r"\b(el|la|los|es|y|una?|con|que|no|ahora|del|se|en)\b",
    "it": r"\b(il|la|le|è|e|una?|con|che|non|ora|di|del|per)\b",
    "pt": r"\b(o|a|os|é|e|uma?|com|que|não|agora|do|da|para)\b",
    "nl": r"\b(de|het|een|is|en|met|je|ik|niet|nu|van|wordt)\b",
    "pl": r"\b(jest|się|i|nie|na|do|to|teraz|który|jako|w|z)\b",
}


def language(judged: Judged, wanted: str) -> str | None:
    """The words of the answer are in this language: more of its small words than of any other's."""
    told = judged.record.told
    counts = {name: len(re.findall(pattern, told, re.IGNORECASE)) for name, pattern in _WORDS.items()}
    if counts[wanted] >= max(counts.values()) - 1:  # one word is no proof: an "e" stands in E-Mail too
        return None
    return f"the answer seems to be in {max(counts, key=lambda name: counts[name])}"


# --- what changed ---


def touches(judged: Judged, allowed: Sequence[str]) -> str | None:
    """Nothing outside of these paths changed since the round began."""
    record = judged.record
    if record.before is None or record.after is None:
        return "there was no workflow before"
    judged.outside = bytes_outside(record.before.yaml, record.after.yaml, allowed)
    return f"{judged.outside} bytes outside of {', '.join(allowed)} changed" if judged.outside else None


def same_as(judged: Judged, number: int) -> str | None:
    """The document is byte for byte what it was after round `number`, counted from 1; 0 is the start."""
    records = [*judged.earlier, judged.record]
    known = records[0].before if number == 0 else records[number - 1].after
    now = judged.record.after
    same = known is not None and now is not None and known.yaml == now.yaml
    return None if same else f"the document is not that of round {number}"


# --- what stands in the document ---


def node(judged: Judged, wanted: Any) -> str | None:
    """There is a step of this kind; with `count`, `least` or `most` so many. See `Facts.steps`."""
    facts = _facts(judged)
    bounds = {"count", "least", "most"}
    said: dict[str, Any] = dict(wanted) if isinstance(wanted, Mapping) else {"id": f"^{wanted}$"}
    found = facts.steps({key: value for key, value in said.items() if key not in bounds})
    least, most = said.get("count", said.get("least", 1)), said.get("count", said.get("most"))
    fits = len(found) >= least and (most is None or len(found) <= most)
    return None if fits else f"{len(found)} steps are like {wanted}"


def no_node(judged: Judged, unwanted: Any) -> str | None:
    """No step is of this kind."""
    found = _facts(judged).steps(unwanted)
    return f"{found[0]} is like {unwanted}" if found else None


def steps(judged: Judged, wanted: Mapping[str, int]) -> str | None:
    """How many steps there are: `least`, `most`."""
    count = len(_facts(judged).nodes)
    fits = wanted.get("least", 0) <= count <= wanted.get("most", 1000)
    return None if fits else f"there are {count} steps"


def state(judged: Judged, wanted: Mapping[str, Any]) -> str | None:
    """The state field `name` exists, with these keys; `input` says whether the person gives it, `type` is an
    expression, `enum` the values in any order.
    """
    facts = _facts(judged)
    name = wanted["name"]
    found = facts.field(name)
    if found is None:
        return f"there is no field {name}"
    for key, value in wanted.items():
        there = found.get(key)
        if key == "input" and (name in facts.workflow.inputs) is not value:
            return f"{name} is {'no' if value else 'an'} input"
        if key == "type" and not re.fullmatch(value, str(there)):
            return f"the type of {name} is {there}"
        if key == "enum" and sorted(map(str, there or ())) != sorted(map(str, value)):
            return f"{name} may be {there}"
        if key in ("default", "required", "reduce") and there != value:
            return f"{key} of {name} is {there!r}"
    return None


def no_state(judged: Judged, name: str) -> str | None:
    """There is no such state field."""
    return f"{name} is still there" if _facts(judged).field(name) is not None else None


def inputs(judged: Judged, wanted: Any) -> str | None:
    """The workflow's inputs are these, or so many: {least, most}."""
    found = list(_facts(judged).workflow.inputs)
    if isinstance(wanted, Mapping):
        fits = wanted.get("least", 0) <= len(found) <= wanted.get("most", 1000)
        return None if fits else f"the inputs are {', '.join(found)}"
    return None if sorted(found) == sorted(wanted) else f"the inputs are {', '.join(found)}"


def value(judged: Judged, wanted: Mapping[str, Any]) -> str | None:
    """At the path `at` stands `is`, a text like `like`, a number of at least `least` and at most `most`, or nothing
    (`gone: true`).
    """
    try:
        found = _facts(judged).at(wanted["at"])
    except KeyError:
        return None if wanted.get("gone") else f"{wanted['at']} is missing"
    if wanted.get("gone"):
        return f"{wanted['at']} is still there"
    if "is" in wanted and found != wanted["is"]:
        return f"{wanted['at']} is {found!r}"
    if "like" in wanted and not re.search(wanted["like"], str(found), re.IGNORECASE):
        return f"{wanted['at']} is {str(found)[:80]!r}"
    if "least" in wanted and not found >= wanted["least"]:
        return f"{wanted['at']} is {found}"
    if "most" in wanted and not found <= wanted["most"]:
        return f"{wanted['at']} is {found}"
    return None


def text_has(judged: Judged, wanted: str) -> str | None:
    """The document has these words."""
    there = re.search(wanted, _facts(judged).text, re.IGNORECASE)
    return None if there else f"{wanted} is not in the document"


def text_lacks(judged: Judged, unwanted: str) -> str | None:
    """The document is free of these words."""
    found = re.search(unwanted, _facts(judged).text, re.IGNORECASE)
    return f"{found.group(0)!r} is in the document" if found else None


def order(judged: Judged, wanted: Sequence[Any]) -> str | None:
    """These steps come after each other, whatever stands between them."""
    for first, then in pairwise(wanted):
        if not _facts(judged).in_order(first, then):
            return f"{then} does not come after {first}"
    return None


def parallel(judged: Judged, wanted: Sequence[Any]) -> str | None:
    """None of these steps waits for another."""
    return None if _facts(judged).side_by_side(wanted) else "they do not run side by side"


async def case(judged: Judged, wanted: Mapping[str, Any]) -> str | None:
    """A dry run: with `inputs` and `given` (state field -> what its writer gives), the steps of `runs` run, those of
    `runs_not` do not, and `checks` hold at the end.
    """
    facts = _facts(judged)
    given: dict[str, dict[str, Any]] = {}
    for name, said in (wanted.get("given") or {}).items():
        writers = [id for id in facts.nodes if name in facts.workflow.nodes[id].outputs]
        if not writers:
            return f"no step gives {name}"
        for id in writers:
            given.setdefault(id, {})[name] = said
    candidates = [facts.steps(each) for each in wanted.get("runs", ())]
    if not all(candidates):
        return "there is no step as it should run"
    run_not = {id for each in wanted.get("runs_not", ()) for id in facts.steps(each)}
    said = {"inputs": wanted.get("inputs") or {}, "given": given, "checks": list(wanted.get("checks", ()))}
    why = ""
    for chosen in islice(product(*candidates), MOST_TRIED):
        expected = {"must_run": sorted(set(chosen)), "must_not_run": sorted(run_not - set(chosen))}
        try:
            result = await run_case(judged.engine, facts.workflow, {**said, **expected})
        except InputError as error:
            return str(error)
        if result.status == "passed":
            return None
        why = why or f"{result.status}: {result.why}"
    return why


def _facts(judged: Judged) -> Facts:
    assert judged.facts is not None
    return judged.facts


WITHOUT = frozenset(("saved", "asked", "asks_or_assumes", "says", "says_not", "ran", "language", "tests"))
"""Checks that need no workflow."""

CHECKS: Mapping[str, Check] = {
    check.__name__: check
    for check in (
        *(
            saved,
            asked,
            asks_or_assumes,
            says,
            says_not,
            ran,
            tests,
            language,
            touches,
            same_as,
            node,
            no_node,
            steps,
        ),
        *(state, no_state, inputs, value, text_has, text_lacks, order, parallel, case),
    )
}
