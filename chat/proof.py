"""What was verified of a version, by code: the checker's result, a dry run of every way, and the workflow's tests.

It is kept with the version, shown in the chat as one line, and exported with the text. Nothing is asked of a model,
stored as a run, or done outside; what could not be verified is named, so that nobody takes it for proved.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from engine.errors import InputError, NotFound, ParlanceError
from engine.prepare import check_text
from engine.simulate import REASONS
from sessions.conversations import iso

if TYPE_CHECKING:
    from engine.check import Checked
    from engine.engine import Engine
    from engine.walk import Walker
    from engine.workflow import Workflow
    from sessions.workflow_tests import WorkflowTest, WorkflowTests
    from sessions.workflows import Workflows
    from tools.registry import ToolRegistry

logger = logging.getLogger(__name__)
T = TypeVar("T")
Proof = dict[str, Any]
Result = dict[str, Any]
SECONDS = 3.0
"""How long proving a version may take; what was not reached by then is said."""
PATIENT = 20.0
"""Seconds for tests that somebody waits for."""
_SHOWN = 50
_NO_TIME = "there was no time left to try it"


class Proofs:
    """Proves versions, and keeps what was found with them. `tests` is the store of tests."""

    def __init__(
        self, engine: Engine, tools: ToolRegistry, workflows: Workflows, tests: WorkflowTests
    ) -> None:
        self.tests = tests
        self._engine = engine
        self._tools = tools
        self._workflows = workflows
        self._soon: set[asyncio.Task[None]] = set()

    async def prove(
        self,
        owner: str,
        name: str,
        version: int | None = None,
        *,
        checked: Checked | None = None,
        seconds: float = SECONDS,
    ) -> Proof:
        """Prove a version, the newest unless one is named, and keep the proof with it. NotFound.

        A proof is {line: itself in one line, checked: {ok, errors, warnings, problems}, dry_run: None or {status (ok,
        failed, partial), branches, reached, not_reached: [{node, to, when, why}], simulated: [{node, why}], unverified:
        [{node, why}], problems}, tests: [{id, title, quote, status (passed, failed, unknown), why}], seconds, at}.
        `checked` is what the checker said of that very text, where it has been asked already.
        """
        found = await self._workflows.get(owner, name, version)
        proof = await self.prove_text(owner, name, found.yaml, checked=checked, seconds=seconds)
        await self._workflows.set_proof(owner, found.name, found.version, proof)
        return proof

    async def prove_text(
        self,
        owner: str,
        name: str,
        text: str,
        *,
        checked: Checked | None = None,
        seconds: float = SECONDS,
        more: Sequence[WorkflowTest] = (),
    ) -> Proof:
        """As `prove`, of a text that is not saved, with the tests of the workflow of that name, and with `more`."""
        started = time.monotonic()
        if checked is None:
            checked = await check_text(text, self._tools, self._workflows.of(owner))
        until = started + seconds
        walker = self._walker(checked)
        tried = await self._try_all(owner, name, walker, until, more)
        dry_run = None if walker is None else await _dry_run(walker, until)
        proof = {"checked": _checked(checked), "dry_run": dry_run, "tests": tried}
        seconds_ = round(time.monotonic() - started, 3)
        return {"line": proof_line(proof), **proof, "seconds": seconds_, "at": iso(time.time())}

    async def tried(
        self,
        owner: str,
        name: str,
        text: str,
        *,
        seconds: float = PATIENT,
        more: Sequence[WorkflowTest] = (),
    ) -> list[Result]:
        """How the tests of the workflow of that name, and `more`, go on a text."""
        until = time.monotonic() + seconds
        checked = await check_text(text, self._tools, self._workflows.of(owner))
        return await self._try_all(owner, name, self._walker(checked), until, more)

    def prove_soon(
        self, owner: str, name: str, version: int, then: Callable[[], object] | None = None
    ) -> None:
        """Prove a version in the background, and call `then` when its proof is kept."""

        async def job() -> None:
            try:
                await self.prove(owner, name, version)
            except NotFound:  # it was deleted meanwhile
                return
            except ParlanceError as error:
                logger.warning("version %s of %s was not proved: %s", version, name, error)
                return
            if then is not None:
                then()

        task = asyncio.create_task(job())
        self._soon.add(task)
        task.add_done_callback(self._soon.discard)

    async def close(self) -> None:
        """Give up what is still being proved."""
        for task in self._soon:
            task.cancel()
        if self._soon:
            await asyncio.wait(self._soon)

    async def of(self, owner: str, name: str, version: int | None = None) -> Proof:
        """The proof of a version, the newest unless one is named; made now where there is none yet. NotFound."""
        found = await self._workflows.get(owner, name, version)
        if found.proof is not None:
            return dict(found.proof)
        return await self.prove(owner, found.name, found.version)

    # --- tests ---

    async def list_tests(self, owner: str, name: str) -> list[WorkflowTest]:
        """The oldest first. NotFound for the workflow."""
        await self._workflows.get(owner, name)
        return await self.tests.list(owner, name)

    async def add_test(
        self,
        owner: str,
        name: str,
        title: str,
        quote: str,
        case: Any,
        message_id: str | None = None,
    ) -> dict[str, Any]:
        """Keep a test that fits the newest version: it, with `result`, how it goes. The proof is made anew.

        NotFound; InputError, and nothing is kept, where it does not fit; WorkflowInvalid.
        """
        from engine.cases import read_case

        found = await self._workflows.get(owner, name)
        await self.try_case(owner, found.yaml, case)
        kept = read_case(case).to_dict()
        key = await self.tests.add(owner, name, title, quote, kept, message_id)
        proof = await self.prove(owner, found.name, found.version)
        test = next(test for test in await self.tests.list(owner, name) if test.id == key)
        result = next(result for result in proof["tests"] if result["id"] == key)
        return {**test.to_dict(), "result": result}

    async def try_case(self, owner: str, text: str, case: Any, seconds: float = SECONDS) -> Result:
        """How a case goes on a document: {status, why, ran, simulated}. InputError where it does not fit it,
        WorkflowInvalid where the document has errors."""
        from engine.cases import read_case, try_case
        from engine.errors import WorkflowInvalid

        read = read_case(case)
        checked = await check_text(text, self._tools, self._workflows.of(owner))
        if checked.workflow is None:
            raise WorkflowInvalid(checked.problems)
        walker = self._engine.walker(checked.workflow, offline=True)
        try:
            async with asyncio.timeout(seconds):
                return (await try_case(walker, read)).to_dict()
        except TimeoutError:
            return {"status": "unknown", "why": _sentence(_NO_TIME), "ran": [], "simulated": {}}

    async def run_tests(self, owner: str, name: str, text: str | None = None) -> list[Result]:
        """How all tests of a workflow go on its newest version, or on `text`. NotFound."""
        found = await self._workflows.get(owner, name)
        return await self.tried(owner, name, text if text is not None else found.yaml)

    async def broken_by(
        self, owner: str, name: str, before: str, earlier: Mapping[str, Any] | None, proof: Mapping[str, Any]
    ) -> list[Result]:
        """The tests that fail now and held before: as `earlier`, the proof of the version before, says; where that does
        not know a test, it is tried on the text `before`."""
        failing = [test for test in proof["tests"] if test["status"] == "failed"]
        known = {test["id"]: test["status"] for test in (earlier or {}).get("tests", ())}
        if any(test["id"] not in known for test in failing):
            tried = await self.tried(owner, name, before, seconds=SECONDS)
            known |= {test["id"]: test["status"] for test in tried if test["id"] not in known}
        return [test for test in failing if known.get(test["id"]) == "passed"]

    # --- inside ---

    def _walker(self, checked: Checked) -> Walker | None:
        return None if checked.workflow is None else self._engine.walker(checked.workflow, offline=True)

    async def _try_all(
        self, owner: str, name: str, walker: Walker | None, until: float, more: Sequence[WorkflowTest]
    ) -> list[Result]:
        tests = [*await self.tests.list(owner, name), *more]
        return [await _tried(walker, test, until) for test in tests]


def proof_line(proof: Mapping[str, Any]) -> str:
    """A proof as one plain line for the chat."""
    checked, dry, tests = proof["checked"], proof["dry_run"], proof["tests"]
    parts = [f"Checked: {_problem_count(checked)}"]
    if dry is not None:
        parts.append(f"Dry run: {_dry_words(dry)}")
    if tests:
        parts.append(f"Tests: {_test_words(tests)}")
    return " · ".join(parts)


def broken(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> list[Result]:
    """The tests that passed in one proof and fail in the next."""
    passed = {test["id"] for test in (before or {}).get("tests", ()) if test["status"] == "passed"}
    return [test for test in after["tests"] if test["status"] == "failed" and test["id"] in passed]


def broken_words(tests: Sequence[Mapping[str, Any]]) -> str:
    """What a person is told of wishes that no longer hold; "" where all do."""
    if not tests:
        return ""
    first = "This change breaks something you asked for before:"
    lines = [f"- “{quoted(test)}” – {test['why']}" for test in tests]
    return "\n".join([first, *lines])


def quoted(test: Mapping[str, Any]) -> str:
    """The person's own words for a test, or its title, on one line."""
    text = " ".join(str(test.get("quote") or test["title"]).split())
    return text if len(text) <= 200 else f"{text[:199]}…"


@asynccontextmanager
async def proving(proof: Coroutine[Any, Any, T], patience: float) -> AsyncIterator[asyncio.Task[T]]:
    """A task that proves; within `patience` seconds it is waited for. It is given up when the block is left early."""
    task = asyncio.create_task(proof)
    try:
        await asyncio.wait({task}, timeout=patience)
        yield task
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})


# --- the parts ------------------------------------------------------------------------------------------------


def _checked(checked: Checked) -> dict[str, Any]:
    return {
        "ok": checked.ok,
        "errors": len(checked.errors),
        "warnings": len(checked.warnings),
        "problems": [problem.to_dict() for problem in checked.problems[:_SHOWN]],
    }


async def _tried(walker: Walker | None, test: WorkflowTest, until: float) -> Result:
    """How a test goes. One that does not fit the document any more fails, with the reason."""
    from engine.cases import read_case, try_case

    told = {"id": test.id, "title": test.title, "quote": test.quote}
    if walker is None:
        return {**told, "status": "unknown", "why": "The document has errors, so it can't be tried."}
    try:
        async with asyncio.timeout(max(until - time.monotonic(), 0)):
            found = await try_case(walker, read_case(dict(test.case)))
    except TimeoutError:
        return {**told, "status": "unknown", "why": _sentence(_NO_TIME)}
    except InputError as error:
        return {**told, "status": "failed", "why": f"The test does not fit the workflow: {error.message}"}
    except ParlanceError as error:
        return {**told, "status": "unknown", "why": error.message}
    return {**told, "status": found.status, "why": found.why}


async def _dry_run(walker: Walker, until: float) -> dict[str, Any]:
    from engine.branches import branches_of, explore

    left = max(until - time.monotonic(), 0.05)
    try:
        async with asyncio.timeout(left + 0.5):
            found = await explore(walker, {}, seconds=left)
    except TimeoutError:
        ways = [way.to_dict() for way in branches_of(walker.workflow, walker.graph)]
        missed = [{**way, "why_not": _sentence(_NO_TIME)} for way in ways]
        return _dry_view(walker.workflow, missed, {}, [], "partial")
    late = time.monotonic() > until
    ways = found["branches"]
    status = "failed" if found["problems"] else "partial" if late else "ok"
    return _dry_view(walker.workflow, ways, found["simulated"], found["problems"], status)


def _dry_view(
    workflow: Workflow,
    ways: Sequence[Mapping[str, Any]],
    simulated: Mapping[str, str],
    problems: Sequence[str],
    status: str,
) -> dict[str, Any]:
    made, unverified = _sorted_out(workflow, simulated)
    missed = [way for way in ways if not way["reached"]]
    return {
        "status": status,
        "branches": len(ways),
        "reached": len(ways) - len(missed),
        "not_reached": [
            {"node": way["node"], "to": way["to"], "when": way["when"], "why": way["why_not"]}
            for way in missed[:_SHOWN]
        ],
        "simulated": made[:_SHOWN],
        "unverified": unverified[:_SHOWN],
        "problems": list(problems)[:_SHOWN],
    }


def _sorted_out(
    workflow: Workflow, simulated: Mapping[str, str]
) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """What a dry run makes up in any case, and what it might have tried but could not."""
    made: list[dict[str, str]] = []
    unverified: list[dict[str, str]] = []
    for path, why in simulated.items():
        usual = why in REASONS.values() and path in workflow.nodes
        (made if usual else unverified).append({"node": path, "why": why})
    return made, unverified


# --- words ----------------------------------------------------------------------------------------------------


def _problem_count(checked: Mapping[str, Any]) -> str:
    errors, warnings = checked["errors"], checked["warnings"]
    said = [_several(errors, "error")] * bool(errors) + [_several(warnings, "warning")] * bool(warnings)
    return ", ".join(said) or "no problems"


def _dry_words(dry: Mapping[str, Any]) -> str:
    if dry["status"] == "failed":
        return "it fails"
    unsure = len({each["node"] for each in dry.get("unverified", ())})
    rest = f", {_several(unsure, 'step')} not verified" if unsure else ""
    if not dry["branches"]:
        return f"it runs through{rest}" if dry["status"] == "ok" else "not finished in time"
    return f"{dry['reached']} of {_several(dry['branches'], 'way')} reached{rest}"


def _test_words(tests: Iterable[Mapping[str, Any]]) -> str:
    found = [test["status"] for test in tests]
    passed, failed, unknown = (found.count(status) for status in ("passed", "failed", "unknown"))
    rest = [f"{failed} fail{'s' if failed == 1 else ''}"] * bool(failed)
    rest += [f"{unknown} could not be judged"] * bool(unknown)
    return ", ".join([f"{passed} of {len(found)} pass", *rest])


def _several(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
