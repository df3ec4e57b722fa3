"""A test of a workflow: inputs, what models, people and tools are assumed to give, and what must come of it.

A case is tried as a dry run in this process: nothing is stored, asked, or done outside. What is decided by something
that the case does not say is not guessed at: the verdict is `unknown` then, with the reason.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from engine.case_walk import FAILS, CaseWalk, field_of, fields_of
from engine.check.suggest import Suggester
from engine.control import state_lookup
from engine.errors import InputError
from engine.expressions import Expression, ExpressionError, compile_expression
from engine.inputs import read_inputs
from engine.made import made_inputs
from engine.nodes.ask import answer_writes
from engine.nodes.outputs import Misfit, write_of

if TYPE_CHECKING:
    from engine.engine import Engine
    from engine.walk import Walker
    from engine.workflow import Node, Workflow

Status = Literal["passed", "failed", "unknown"]
LONGEST, MOST = 100_000, 200
"""Characters of a case as JSON; entries of each of its parts."""
_PARTS = ("inputs", "given", "must_run", "must_not_run", "checks")
_FIX = (
    'A test looks like {"inputs": {…}, "given": {"step": {"field": "value"}}, "must_run": ["step"],'
    ' "must_not_run": [], "checks": ["state.field == \'value\'"]}.'
)


@dataclass(frozen=True, slots=True)
class Case:
    """What is tried and expected. `given` has per node what its visits give, the last also for all after it."""

    inputs: Mapping[str, Any] = field(default_factory=dict)
    given: Mapping[str, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)
    must_run: tuple[str, ...] = ()
    must_not_run: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As it was read: a node's `given` is a list only where its visits differ."""
        given = {node: dict(v[0]) if len(v) == 1 else [dict(e) for e in v] for node, v in self.given.items()}
        return {
            "inputs": dict(self.inputs),
            "given": given,
            "must_run": list(self.must_run),
            "must_not_run": list(self.must_not_run),
            "checks": list(self.checks),
        }


@dataclass(frozen=True, slots=True)
class CaseResult:
    """How a case went. `why` says in a sentence why it did not pass, empty where it did; `ran` are the nodes in order,
    `simulated` says of each what was made up."""

    status: Status
    why: str
    ran: tuple[str, ...] = ()
    simulated: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "why": self.why,
            "ran": list(self.ran),
            "simulated": dict(self.simulated),
        }


def read_case(value: Any) -> Case:
    """A case of plain JSON. InputError when it has another shape, expects nothing, or is too big."""
    if not isinstance(value, Mapping):
        raise InputError("A test is an object.", _FIX)
    for key in value:
        if key not in _PARTS:
            raise InputError(f"A test has no '{key}'.{_meant(str(key), _PARTS)}", _FIX, str(key))
    if len(json.dumps(value, default=str)) > LONGEST:
        raise InputError(f"The test is longer than {LONGEST:,} characters.", "Make its values shorter.")
    given = _mapping(value, "given")
    case = Case(
        dict(_mapping(value, "inputs")),
        {str(node): _visits(str(node), said) for node, said in given.items()},
        *(_texts(value, name) for name in ("must_run", "must_not_run", "checks")),
    )
    if not (case.must_run or case.must_not_run or case.checks):
        raise InputError(
            "The test expects nothing.", "Say in must_run, must_not_run or checks what must hold."
        )
    if both := set(case.must_run) & set(case.must_not_run):
        raise InputError(f"'{min(both)}' can't both run and not run.", "Leave one of them out.", "must_run")
    return case


def fit_case(case: Case, workflow: Workflow) -> Case:
    """The case with its values as this workflow's fields take them. InputError, naming what does not fit."""
    for name in (*case.must_run, *case.must_not_run, *case.given):
        if name not in workflow.nodes:
            raise InputError(
                f"There is no step '{name}' in {workflow.name}.{_meant(name, workflow.nodes)}",
                f"Its steps are: {_some(workflow.nodes)}.",
                name,
            )
    inputs = read_inputs(workflow, {**made_inputs(workflow, case.inputs), **case.inputs})
    given = {
        name: tuple(_fitted(workflow.nodes[name], workflow, said) for said in visits)
        for name, visits in case.given.items()
    }
    for text in case.checks:
        _compiled(text, workflow)
    kept = {name: value for name, value in inputs.items() if name in case.inputs}
    return Case(kept, given, case.must_run, case.must_not_run, case.checks)


async def run_case(engine: Engine, workflow: Workflow, case: Case | Mapping[str, Any]) -> CaseResult:
    """Try a case on a checked workflow. InputError when it does not fit the workflow."""
    read = case if isinstance(case, Case) else read_case(case)
    return await try_case(engine.walker(workflow, offline=True), read)


async def try_case(walker: Walker, case: Case) -> CaseResult:
    """As `run_case`, with a walker that may serve several cases of the same workflow."""
    workflow = walker.workflow
    fitted = fit_case(case, workflow)
    made = made_inputs(workflow, fitted.inputs)
    inputs = read_inputs(workflow, {**made, **fitted.inputs})
    walk = CaseWalk(walker, fitted.given, inputs, made)
    found = await walk.run()
    failures, doubts = _judged(walk, found.error, fitted, workflow)
    status: Status = "failed" if failures else "unknown" if doubts else "passed"
    return CaseResult(status, " ".join(failures or doubts), tuple(walk.ran), dict(found.simulated))


# --- what came of it ------------------------------------------------------------------------------------------


def _judged(walk: CaseWalk, error: str | None, case: Case, workflow: Workflow) -> tuple[list[str], list[str]]:
    """What does not hold, and what can't be said."""
    failures: list[str] = []
    doubts: list[str] = []
    if error is not None and not walk.error_is_sure:
        return [], [f"The run may fail, with what was made up: {error}"]
    if error is not None:
        failures.append(f"The run fails: {error}")
    why = next(iter(walk.doubts), "")
    for name in case.must_run:
        if name not in walk.ran and name not in walk.may:
            failures.append(f"'{name}' did not run; what ran is {_some(walk.ran)}.")
        elif name not in walk.ran or name not in walk.sure:
            doubts.append(f"Whether '{name}' runs depends on what is not known: {why}.")
    for name in case.must_not_run:
        if name in walk.ran and name in walk.sure:
            failures.append(f"'{name}' ran.")
        elif name in walk.ran or name in walk.may:
            doubts.append(f"Whether '{name}' runs depends on what is not known: {why}.")
    for text in case.checks:
        _judge_check(text, walk, workflow, failures, doubts)
    return failures, doubts


def _judge_check(
    text: str, walk: CaseWalk, workflow: Workflow, failures: list[str], doubts: list[str]
) -> None:
    condition = _compiled(text, workflow)
    unsure = next((name for name in fields_of(condition) if name in walk.unsure), None)
    if unsure is not None:
        doubts.append(f"{text} can't be judged: '{unsure}' {walk.unsure[unsure]}.")
        return
    try:
        if condition.evaluate(state_lookup(walk.state)):
            return
    except ExpressionError as error:
        failures.append(str(error))
        return
    names = dict.fromkeys(fields_of(condition))
    values = ", ".join(f"{name} is {_shown(walk.state.get(name))}" for name in names)
    failures.append(f"{text} does not hold: {values}.")


# --- reading --------------------------------------------------------------------------------------------------


def _mapping(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    if found is None:
        return {}
    if not isinstance(found, Mapping) or len(found) > MOST:
        raise InputError(f"'{name}' of a test is an object with at most {MOST} names.", _FIX, name)
    return found


def _texts(value: Mapping[str, Any], name: str) -> tuple[str, ...]:
    found = value.get(name)
    found = [found] if isinstance(found, str) else found or []
    if not isinstance(found, list | tuple) or not all(isinstance(each, str) for each in found):
        raise InputError(f"'{name}' of a test is a list of texts.", _FIX, name)
    if len(found) > MOST:
        raise InputError(f"'{name}' of a test has more than {MOST} entries.", "Leave some out.", name)
    return tuple(dict.fromkeys(found))


def _visits(node: str, said: Any) -> tuple[Mapping[str, Any], ...]:
    """What a node gives, for each of its visits: one object, or a list of them."""
    if isinstance(said, list) and said and all(isinstance(each, Mapping) for each in said):
        return tuple(dict(each) for each in said[:MOST])
    return (dict(said),) if isinstance(said, Mapping) else ({"": said},)


def _fitted(node: Node, workflow: Workflow, said: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a node is assumed to give, by output. A value without a name is that of the one output."""
    if set(said) == {""}:
        if len(node.outputs) != 1:
            names = _some(node.outputs) or "nothing"
            raise InputError(f"Say by name what '{node.id}' gives: it gives {names}.", _FIX, node.id)
        said = {node.outputs[0]: said[""]}
    if FAILS in said:
        return {FAILS: str(said[FAILS])}
    return {name: _fitted_value(node, workflow, name, value) for name, value in said.items()}


def _fitted_value(node: Node, workflow: Workflow, name: str, value: Any) -> Any:
    if name not in node.outputs:
        raise InputError(
            f"'{node.id}' does not give '{name}'.{_meant(name, node.outputs)}",
            f"It gives: {_some(node.outputs) or 'nothing'}.",
            name,
        )
    try:
        if node.kind == "ask" and node.each is None:
            return answer_writes(node, workflow, (), value)[name]
        return write_of(workflow.fields[name], value)
    except Misfit as error:
        raise InputError(
            f"What the test says that '{node.id}' gives does not fit. {error}",
            f"{name} is of type {workflow.fields[name].type}.",
            name,
        ) from None


def _compiled(text: str, workflow: Workflow) -> Expression:
    try:
        condition = compile_expression(text)
    except ExpressionError as error:
        raise InputError(f"The check {text!r} can't be read: {error.message}", error.hint, "checks") from None
    for ref in condition.refs:
        name = field_of(ref)
        if name is None or (name not in workflow.fields and not name.startswith("_")):
            meant = _meant(name or "", workflow.fields)
            known = f"The fields are: {_some(workflow.fields)}."
            raise InputError(
                f"The check {text!r} looks at '{name}', which is no field.{meant}", known, "checks"
            )
    return condition


def _meant(name: str, known: Iterable[str]) -> str:
    near = Suggester().near(name, known)
    return f" Did you mean '{near}'?" if near else ""


def _some(names: Iterable[str]) -> str:
    found = list(names)
    rest = f" and {len(found) - 20} more" if len(found) > 20 else ""
    return ", ".join(found[:20]) + rest if found else "nothing"


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 200 else f"{text[:199]}…"
