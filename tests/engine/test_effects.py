"""What must not happen twice: across crashes, time-outs, refusals and a model's calls."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest

from engine.engine import Engine
from engine.errors import InputError
from engine.models import ModelChoice, Models
from sessions.db import open_db
from sessions.runs import SqliteRunStore
from tests.engine.flows import Tools, engine_on, until, workflow
from tests.engine.payer import PAID, Book, flow, registry
from tests.fakes.openai_server import FakeOpenAI, Reply
from tests.fakes.site import Site, open_site
from tools.http import fetch, http_get
from tools.registry import ToolContext, ToolError, ToolRetry, tool

ROOT = Path(__file__).resolve().parents[2]


class Payments(Tools):
    """Tools with effects: what they did stands in `paid`, in `keys` what they were called with.

    `trouble` is raised once and at once, `late` after `hold` seconds.
    """

    def __init__(self) -> None:
        super().__init__()
        self.paid: list[str] = []
        self.keys: list[str] = []
        self.trouble: Exception | None = None
        self.hold = 0.0
        self.late: Exception | None = None
        self.registry.add("pay", self._pay("once"))
        self.registry.add("book", self._pay("idempotent"))

    def _pay(self, effect: Any) -> Any:
        @tool(
            description="Pay.",
            parameters={"to": {"type": "string"}},
            returns="receipt.",
            effect=effect,
            name="pay" if effect == "once" else "book",
        )
        async def pay(args: Mapping[str, Any], context: ToolContext) -> Any:
            self.keys.append((context.idempotency_key or "").partition("/")[2])
            if self.trouble is not None:
                trouble, self.trouble = self.trouble, None
                raise trouble
            self.running += 1
            try:
                await asyncio.sleep(self.hold)
            finally:
                self.running -= 1
            if self.late is not None:
                raise self.late
            self.paid.append(args["to"])
            return {"receipt": f"for {args['to']}"}

        return pay


PAY = """
state: {fields: {receipt: {type: str, default: none yet}, said: str}}
nodes:
  - {id: pay, tool: pay, args: {to: bank}, outputs: [receipt]MORE}
  - {id: last, tool: echo, args: {value: "{state.receipt}!"}, outputs: [said]}
"""


@pytest.fixture
def tools() -> Payments:
    return Payments()


@pytest.fixture
async def engine(tools: Payments, tmp_path: Path) -> AsyncIterator[Engine]:
    async with engine_on(tmp_path / "runs.db", tools) as made:
        yield made


def statuses(view: dict[str, Any]) -> list[tuple[str, int, str]]:
    return [(node["id"], node["attempt"], node["status"]) for node in view["nodes"]]


async def test_the_row_before_is_on_disk_and_not_shown(engine: Engine, tools: Payments) -> None:
    tools.hold = 0.2
    run_id = await engine.start(workflow(PAY.replace("MORE", ""), tools), {})
    await until(lambda: tools.running == 1)
    assert [(row.path, row.status) for row in await engine.store.rows(run_id)] == [("pay", "running")]
    assert statuses(await engine.view(run_id)) == [("pay", 1, "running")]
    view = await engine.wait(run_id)
    assert statuses(view) == [("pay", 1, "ok"), ("last", 1, "ok")]
    assert view["outputs"] == {"said": "for bank!"}
    kinds = [event.kind async for event in engine.events(run_id)]
    assert kinds == ["run_started", "node_started", "node_ended", "node_started", "node_ended", "run_ended"]


async def stopped_while_it_paid(tools: Payments, path: Path, more: str = "") -> str:
    """A run whose process went away in the middle of the payment."""
    tools.hold = 30
    async with engine_on(path, tools) as engine:
        run_id = await engine.start(workflow(PAY.replace("MORE", more), tools), {})
        await until(lambda: tools.running == 1)
    tools.hold = 0
    return run_id


@pytest.mark.parametrize(
    ("answer", "status", "said", "paid", "rows"),
    [
        ("did happen", "ok", "none yet!", [], [("pay", 1, "ok"), ("last", 1, "ok")]),
        ({"receipt": "no. 7"}, "ok", "no. 7!", [], [("pay", 1, "ok"), ("last", 1, "ok")]),
        ("try again", "ok", "for bank!", ["bank"], [("pay", 2, "ok"), ("last", 1, "ok")]),
        ("Stop", "failed", None, [], [("pay", 1, "failed")]),
    ],
)
async def test_after_a_crash_a_person_is_asked(
    tools: Payments, tmp_path: Path, answer: Any, status: str, said: str | None, paid: list[str], rows: Any
) -> None:
    run_id = await stopped_while_it_paid(tools, tmp_path / "runs.db", ", on_error: continue")
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        await engine.recover()
        view = await engine.wait(run_id)
        assert view["status"] == "unknown"
        assert view["waiting"][0]["question"] == (
            "Node 'pay' may have happened: the program stopped while it ran, and it must not happen twice. "
            "Did it?"
        )
        assert view["waiting"][0]["options"] == ["did happen", "try again", "stop"]
        with pytest.raises(InputError, match="try again"):
            await engine.answer(run_id, "pay", "who knows")
        with pytest.raises(InputError):
            await engine.answer(run_id, "pay", {"receipt": []})
        await engine.answer(run_id, "pay", answer)
        view = await engine.wait(run_id)
    assert (view["status"], view["state"]["said"], tools.paid) == (status, said, paid), view["error"]
    assert statuses(view) == rows


async def test_a_second_crash_asks_a_second_time(tools: Payments, tmp_path: Path) -> None:
    run_id = await stopped_while_it_paid(tools, tmp_path / "runs.db")
    tools.hold = 30
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        await engine.recover()
        await engine.wait(run_id)
        await engine.answer(run_id, "pay", "try again")
        await until(lambda: tools.running == 1)
    tools.hold = 0
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        await engine.recover()
        view = await engine.wait(run_id)
        assert (view["status"], statuses(view)) == ("unknown", [("pay", 2, "unknown")])
        await engine.answer(run_id, "pay", "try again")
        view = await engine.wait(run_id)
    assert (view["status"], tools.paid) == ("ok", ["bank"])
    assert statuses(view)[0] == ("pay", 3, "ok")


async def test_what_took_too_long_may_have_happened(engine: Engine, tools: Payments) -> None:
    tools.hold = 30
    more = ", timeout: 0.1, retry: {max_attempts: 3, backoff_seconds: 0.01}"
    view = await engine.run(workflow(PAY.replace("MORE", more), tools), {})
    assert view["status"] == "unknown"
    assert (
        "it took longer than its 0.1 seconds, and it must not happen twice" in view["waiting"][0]["question"]
    )
    assert len(tools.keys) == 1
    tools.hold = 0
    await engine.answer(view["run_id"], "pay", "try again")
    view = await engine.wait(view["run_id"])
    assert (view["status"], tools.paid, tools.keys) == ("ok", ["bank"], ["pay/1", "pay/1"])


@pytest.mark.parametrize(
    ("trouble", "status", "paid"),
    [
        (ToolRetry("The bank is closed.", refused=True), "ok", ["bank"]),
        (ToolRetry("The line broke."), "unknown", []),
        (ToolError("There is no such account."), "failed", []),
        (ToolError("Half of it is done.", refused=False), "unknown", []),
        (ZeroDivisionError("a bug"), "unknown", []),
    ],
)
async def test_only_a_definite_refusal_is_tried_again(
    engine: Engine, tools: Payments, trouble: Exception, status: str, paid: list[str]
) -> None:
    tools.trouble = trouble
    more = ", retry: {max_attempts: 3, backoff_seconds: 0.01}"
    view = await engine.run(workflow(PAY.replace("MORE", more), tools), {})
    assert (view["status"], tools.paid) == (status, paid), view["error"]


async def test_what_is_cancelled_while_it_runs_is_in_doubt_and_says_so(
    engine: Engine, tools: Payments
) -> None:
    tools.hold = 30
    run_id = await engine.start(workflow(PAY.replace("MORE", ""), tools), {})
    await until(lambda: tools.running == 1)
    await engine.cancel(run_id)
    view = await engine.wait(run_id)
    assert (view["status"], statuses(view)) == ("cancelled", [("pay", 1, "unknown")])
    assert "may have happened" in view["error"]
    assert view["waiting"] == []


async def test_a_cancelled_doubt_stays_one(engine: Engine, tools: Payments) -> None:
    tools.trouble = ToolRetry("The line broke.")
    view = await engine.run(workflow(PAY.replace("MORE", ""), tools), {})
    assert view["status"] == "unknown"
    await engine.cancel(view["run_id"])
    view = await engine.wait(view["run_id"])
    assert (view["status"], statuses(view)) == ("cancelled", [("pay", 1, "unknown")])


async def test_what_the_document_calls_once_is_guarded_as_a_whole(tools: Payments, tmp_path: Path) -> None:
    text = """
    state: {fields: {x: str}}
    nodes: [{id: slow, tool: sleep, args: {seconds: 30}, effect: once, outputs: [x]}]
    """
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        run_id = await engine.start(workflow(text, tools), {})
        await until(lambda: tools.running == 1)
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        await engine.recover()
        view = await engine.wait(run_id)
        assert (view["status"], view["waiting"][0]["node"]) == ("unknown", "slow")


async def test_every_attempt_of_what_is_idempotent_has_the_same_key(engine: Engine, tools: Payments) -> None:
    tools.trouble = ToolRetry("Busy.")
    text = PAY.replace("tool: pay", "tool: book").replace(
        "MORE", ", retry: {max_attempts: 2, backoff_seconds: 0}"
    )
    view = await engine.run(workflow(text, tools), {})
    assert (view["status"], tools.keys, tools.paid) == ("ok", ["pay/1", "pay/1"], ["bank"])


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with open_site() as made:
        yield made


async def test_the_key_goes_out_as_a_header(site: Site, tmp_path: Path) -> None:
    tools = Tools()

    @tool(
        description="Put.",
        parameters={"url": {"type": "string"}},
        returns="status.",
        effect="idempotent",
        name="put",
    )
    async def put(args: Mapping[str, Any], context: ToolContext) -> Any:
        answer = await fetch(args, context, method="PUT", content=b"{}", effect="idempotent")
        return {"status": answer["status"]}

    tools.registry.add("put", put)
    tools.registry.allow_private = True
    site.pages["/busy"] = (503, {}, b"")
    text = f"""
    state: {{fields: {{status: int}}}}
    nodes:
      - {{id: put, tool: put, args: {{url: "{site.url}/busy"}}, outputs: [status],
          retry: {{max_attempts: 2, backoff_seconds: 0.3}}}}
    """
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        run_id = await engine.start(workflow(text, tools), {})
        await until(lambda: len(site.seen) == 1)
        site.pages["/busy"] = (200, {}, b"ok")
        view = await engine.wait(run_id)
    assert (view["status"], view["outputs"]) == ("ok", {"status": 200})
    assert [headers["idempotency-key"] for _, headers in site.seen] == [f"{run_id}/put/1"] * 2


async def test_the_key_goes_out_where_the_node_says_so(site: Site, tmp_path: Path) -> None:
    """The tool only reads; what its address does is known to the document alone."""
    tools = Tools()
    tools.registry.add("http_get", http_get)
    tools.registry.allow_private = True
    site.pages["/busy"] = (503, {}, b"")
    text = f"""
    state: {{fields: {{answer: any}}}}
    nodes:
      - {{id: touch, tool: http_get, args: {{url: "{site.url}/busy"}}, effect: idempotent, outputs: [answer],
          retry: {{max_attempts: 2, backoff_seconds: 0.01}}, on_error: continue}}
    """
    async with engine_on(tmp_path / "runs.db", tools) as engine:
        view = await engine.run(workflow(text, tools), {})
    keys = [headers.get("idempotency-key") for _, headers in site.seen]
    assert keys == [f"{view['run_id']}/touch/1"] * 2


async def test_no_key_goes_out_where_nothing_is_repeated(site: Site) -> None:
    site.pages["/a"] = (200, {}, b"")
    context = ToolContext(idempotency_key="k", allow_private=True)
    await fetch({"url": f"{site.url}/a"}, context)
    await fetch({"url": f"{site.url}/a"}, context, method="POST", effect="once")
    assert all("idempotency-key" not in headers for _, headers in site.seen)


async def test_who_can_not_be_reached_has_done_nothing() -> None:
    async with open_site() as gone:
        url = gone.url
    context = ToolContext(allow_private=True)
    with pytest.raises(ToolRetry) as error:
        await fetch({"url": url}, context, method="POST")
    assert error.value.refused


# --- calls that a model makes ---

MODEL = """
state: {fields: {said: str}}
nodes:
  - {id: clerk, prompt: Pay the bank., tools: [TOOL], outputs: [said]}
"""


class Clerk:
    """A model that calls its tool unless it has been told of a result."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.requests: list[Any] = []

    def __call__(self, body: Any) -> Reply:
        self.requests.append(body["messages"])
        told = [m for m in body["messages"] if m["role"] == "tool"]
        if told:
            return Reply(f"Done: {told[-1]['content']}")
        return Reply(tool_calls=((self.name, {"to": "bank"}),))


async def clerk_engine(path: Path, tools: Tools, fake: FakeOpenAI) -> Any:
    models = Models(ModelChoice(model="openai/fake", api_base=fake.base_url, api_key="k"))
    return models, engine_on(path, tools, models=models)


@pytest.mark.parametrize(
    ("name", "answer", "said", "paid"),
    [
        ("pay", "did happen", "Done: It has been done.", []),
        ("pay", {"receipt": "no. 7"}, 'Done: {"receipt":"no. 7"}', []),
        ("pay", "try again", 'Done: {"receipt":"for bank"}', ["bank"]),
        ("book", None, 'Done: {"receipt":"for bank"}', ["bank"]),
    ],
)
async def test_a_call_that_a_crash_cut_off(
    tools: Payments, tmp_path: Path, name: str, answer: Any, said: str, paid: list[str]
) -> None:
    clerk = Clerk(name)
    with FakeOpenAI(clerk) as fake:
        tools.hold = 30
        models, opened = await clerk_engine(tmp_path / "runs.db", tools, fake)
        async with opened as engine:
            run_id = await engine.start(workflow(MODEL.replace("TOOL", name), tools), {})
            await until(lambda: tools.running == 1, 20)
        tools.hold = 0
        async with engine_on(tmp_path / "runs.db", tools, models=models) as engine:
            await engine.recover()
            view = await engine.wait(run_id)
            if answer is not None:
                assert view["status"] == "unknown"
                assert [w["node"] for w in view["waiting"]] == ["clerk/pay#1"]
                assert "The call of pay in node 'clerk' may have happened" in view["waiting"][0]["question"]
                await engine.answer(run_id, "clerk", answer)
                view = await engine.wait(run_id)
        await models.close()
    assert (view["status"], view["outputs"], tools.paid) == ("ok", {"said": said}, paid), view["error"]
    assert len(clerk.requests) == 2, "the model was not asked again what to do"
    assert set(tools.keys) == {f"clerk/1/{name}#1"}


async def test_a_call_that_was_made_is_not_forgotten_by_the_next_attempt(
    tools: Payments, tmp_path: Path
) -> None:
    replies = [
        Reply(tool_calls=(("pay", {"to": "bank"}),)),
        Reply(status=503),
        Reply("All is paid."),
    ]
    text = MODEL.replace("TOOL", "pay").replace(
        "outputs:", "retry: {max_attempts: 2, backoff_seconds: 0.01}, outputs:"
    )
    with FakeOpenAI(replies) as fake:
        models, opened = await clerk_engine(tmp_path / "runs.db", tools, fake)
        async with opened as engine:
            view = await engine.run(workflow(text, tools), {})
        await models.close()
        last = fake.requests[-1]["messages"]
    assert (view["status"], view["outputs"], tools.paid) == ("ok", {"said": "All is paid."}, ["bank"])
    assert [m["role"] for m in last] == ["user", "assistant", "tool"]
    assert statuses(view) == [("clerk/pay#1", 1, "ok"), ("clerk", 1, "failed"), ("clerk", 2, "ok")]


async def test_a_models_call_that_may_have_happened_is_asked_about_at_once(
    tools: Payments, tmp_path: Path
) -> None:
    tools.trouble = ToolRetry("The line broke.")
    clerk = Clerk("pay")
    with FakeOpenAI(clerk) as fake:
        models, opened = await clerk_engine(tmp_path / "runs.db", tools, fake)
        async with opened as engine:
            view = await engine.run(workflow(MODEL.replace("TOOL", "pay"), tools), {})
            assert (view["status"], view["waiting"][0]["node"]) == ("unknown", "clerk/pay#1")
            assert view["prompt_tokens"] is not None, "what was asked so far is accounted for"
            await engine.answer(view["run_id"], "clerk/pay#1", "try again")
            view = await engine.wait(view["run_id"])
        await models.close()
    assert (view["status"], tools.paid) == ("ok", ["bank"])


# --- killed ---


async def payer(folder: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.engine.payer", str(folder / "runs.db"), str(folder / "log"), "0.03",
        cwd=ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def killed_often(folder: Path, random: Random, book: Book) -> None:
    """Kill the process at drawn moments, one to five times, then let it end."""
    for _ in range(random.randint(1, 5)):
        process = await payer(folder)
        assert process.stdout is not None
        if await asyncio.wait_for(process.stdout.readline(), 30):
            await asyncio.sleep(random.uniform(0, 0.3))
        with suppress(ProcessLookupError):  # it has ended before
            process.send_signal(signal.SIGKILL)
        await process.wait()
        book.write("killed", "it")
    process = await payer(folder)
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert out.split()[-1:] == [b"ended"], out


@pytest.mark.slow
async def test_killed_at_any_moment_nothing_is_paid_twice_and_nothing_is_left_out(
    tmp_path: Path, soak: bool
) -> None:
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")
    random = Random(seed)
    doubts = 0
    for number in range(100 if soak else 6):
        folder = tmp_path / str(number)
        folder.mkdir()
        book = Book(folder / "log")
        await killed_often(folder, random, book)
        assert sorted(book.all("paid")) == PAID, book.path.read_text()
        assert set(book.all("key")) <= {"note/1"}
        doubts += len(book.all("asked"))
        db = open_db(folder / "runs.db", synchronous="NORMAL")
        engine = Engine(SqliteRunStore(db), None, registry(book, 0.01))  # type: ignore[arg-type]
        (run,) = await engine.runs()
        assert run["status"] == "ok", run["error"]
        assert flow(registry(book, 0.01)).name == run["workflow"]
        await engine.close()
        db.close()
    print(f"{doubts} doubts")
