"""What every store of runs holds to: rows, fences, claims, waits, wakes, trees, budgets."""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import replace
from typing import Any

import pytest

from engine.errors import Conflict, FenceLost, NotFound
from engine.ports import Park, Process, RunEnd, Signal
from sessions.run_store import SqlRunStore
from tests.contracts.stores import ROW, RUN, WAIT, a_row, a_run, a_wait, opened

END = RunEnd("ok", 2000.0, 9)


async def ids(store: SqlRunStore) -> list[str]:
    return [run_id for run_id, *_ in await store.unfinished()]


async def parked(store: SqlRunStore, name: str, status: Any = "waiting", **changes: Any) -> None:
    await store.create(a_run(name, **changes))
    assert await store.append(name, 0, [], waits=[a_wait(name)], park=Park(status, 0))


# --- runs and rows ----------------------------------------------------------------------------------------


async def test_a_run_comes_back_as_it_was(store: SqlRunStore) -> None:
    await store.create(RUN)
    assert await store.get("r1") == RUN
    with pytest.raises(NotFound, match="There is no run nope"):
        await store.get("nope")


async def test_a_run_with_rows_is_left_as_it_is_where_it_is_there(store: SqlRunStore) -> None:
    await store.create(replace(RUN, process=None), rows=[ROW])
    before = await store.rows("r1")
    await store.create(replace(RUN, process=None, owner="another"), rows=[replace(ROW, error="another")])
    assert await store.rows("r1") == before
    assert (await store.get("r1")).owner == RUN.owner
    await store.create(a_run("r2"))
    await store.create(a_run("r2"), rows=[replace(ROW, run_id="r2")])
    assert await store.rows("r2") == []


async def test_a_child_comes_back_as_it_was(store: SqlRunStore) -> None:
    child = replace(
        a_run("r2"),
        parent_id="r1",
        root_id="r1",
        prefix="sub[2]/",
        depth=2,
        part={"node": "each", "iteration": 1, "first": 100, "count": 50},
        pins={"sub": "d2"},
        not_before=9e9,
        priority=-3,
        dry=True,
        limit_usd=0.1,
        origin={"retry_of": "r0", "from": "ü"},
        process=None,
        shape={"fields": {}, "inputs": [], "outputs": ["its own"]},
    )
    await store.create(RUN, child)
    assert await store.get("r2") == child
    assert await store.get("r1") == RUN
    assert await store.children("r1") == [replace(child, yaml="", shape={})]


async def test_a_run_that_is_there_already_is_left_as_it_is(store: SqlRunStore) -> None:
    await store.create(RUN)
    await store.append("r1", 0, [ROW])
    await store.create(replace(RUN, workflow="another"), a_run("r2"))
    assert (await store.get("r1")).workflow == "greet"
    assert (await store.get("r2")).id == "r2"


async def test_rows_come_back_as_they_were_and_in_order(store: SqlRunStore) -> None:
    await store.create(RUN)
    bare = a_row(
        "r1", 2, path="sub/b[3]", node="b", status="failed", error="no", writes={}, fired=(), starts=()
    )
    for row in (ROW, bare):
        assert await store.append("r1", 0, [row]) is True
    assert await store.rows("r1") == [ROW, bare]
    assert await store.rows("r1", 1) == [bare]
    assert await store.rows("nope") == []


async def test_rows_are_kept_in_the_order_of_the_calls(store: SqlRunStore) -> None:
    """Not in that of the awaits; and a row that waits for nothing else goes along with what is under way."""
    await store.create(RUN)
    writing = [store.append("r1", 0, [a_row("r1", n, event=n)]) for n in range(1, 60)]
    last = store.append("r1", 0, [a_row("r1", 60)], END)
    late = store.append("r1", 0, [a_row("r1", 61)])
    with pytest.raises(FenceLost):
        await late
    await asyncio.gather(*writing[::-1], last)
    assert [row.seq for row in await store.rows("r1")] == list(range(1, 61))


async def test_rows_of_runs_do_not_mix(store: SqlRunStore) -> None:
    names = ("r1", "r2", "r3")
    await store.create(*(a_run(name) for name in names))
    rows = {name: a_row(name, 1, node=f"of {name}", path=f"of {name}") for name in names}
    await asyncio.gather(*(store.append(name, 0, [row]) for name, row in rows.items()))
    assert {name: await store.rows(name) for name in names} == {name: [row] for name, row in rows.items()}


async def test_text_that_stores_do_not_take(store: SqlRunStore) -> None:
    """Within JSON it comes back; what is shown only is made readable. Nobody else's rows are hurt."""
    await store.create(RUN, a_run("r2"))
    odd = {"x": "ü\ud800 \0 \u2028", "\0": ["\udfff"]}
    good, bad = await asyncio.gather(
        store.append("r2", 0, [a_row("r2", 1)]),
        store.append("r1", 0, [a_row("r1", 1, writes=odd, error="\ud800 is \0 odd", model="m\0")]),
    )
    assert good is bad is True
    (row,) = await store.rows("r1")
    assert (row.writes, row.error, row.model) == (odd, "? is \ufffd odd", "m\ufffd")
    await store.create(a_run("r3", inputs=odd, workflow="\0", yaml="a\0\ud800", digest="d3"))
    assert ((await store.get("r3")).inputs, (await store.get("r3")).yaml) == (odd, "a\ufffd?")
    await store.append("r3", 0, [], waits=[a_wait("r3", question="\0?", options=("\0",), default="\ud800")])
    answered = await store.answer("r3", "a", 1, {"\0": "\ud800"}, "who\0", 5.0)
    assert (answered.question, answered.options, answered.default) == ("\ufffd?", ("\0",), "\ud800")
    assert (answered.answer, answered.answered_by) == ({"\0": "\ud800"}, "who\ufffd")
    assert await store.waits(run_id="r3", answered=True) == [answered]
    with pytest.raises(NotFound):
        await store.get("\0\ud800")


async def test_large_values(store: SqlRunStore) -> None:
    await store.create(RUN)
    writes = {"x": "ä" * 3_000_000, "n": 2**80, "f": [1e-300, 1.1, -0.0]}
    row = a_row("r1", 1, writes=writes, prompt_tokens=2**40, event=2**40)
    await store.append("r1", 0, [row])
    assert await store.rows("r1") == [row]


async def test_the_end_is_written_with_the_last_rows(store: SqlRunStore) -> None:
    await store.create(RUN)
    end = RunEnd("failed", 2000.5, 9, "It broke.", (2, 1), 10, 20, 0.5)
    await asyncio.gather(store.append("r1", 0, [ROW]), store.append("r1", 0, [a_row("r1", 2)], end))
    sums = {"prompt_tokens": 10, "completion_tokens": 20, "cost_usd": 0.5}
    assert await store.get("r1") == replace(
        RUN, status="failed", ended_at=2000.5, end_event=9, error="It broke.", order=(2, 1), **sums
    )
    assert len(await store.rows("r1")) == 2
    with pytest.raises(FenceLost):
        await store.append("r1", 0, [a_row("r1", 3)])


async def test_documents(store: SqlRunStore) -> None:
    await store.create(RUN, a_run("r2"))
    await store.pin("d2", "flow: sub\n")
    await store.pin("d1", "something else")
    assert [await store.document(name) for name in ("d1", "d2")] == ["flow: greet\n", "flow: sub\n"]
    with pytest.raises(NotFound, match="d3"):
        await store.document("d3")
    pinned = a_run("r3", digest="d2", yaml="flow: sub\n")
    await store.create(pinned)
    assert await store.get("r3") == pinned


async def test_what_must_not_be_lost(store: SqlRunStore) -> None:
    """The order stays whatever is flushed."""
    await store.create(RUN)
    calls = [store.append("r1", 0, [a_row("r1", n)], flush=n % 3 == 0) for n in range(1, 20)]
    assert all(await asyncio.gather(*calls))
    assert [row.seq for row in await store.rows("r1")] == list(range(1, 20))


# --- the fence and claims ---------------------------------------------------------------------------------


async def test_who_lost_the_run_writes_nothing(store: SqlRunStore, other: SqlRunStore) -> None:
    await store.create(RUN)
    claimed = await other.claim("r1", 0, "p2")
    assert claimed is not None
    assert (claimed.epoch, claimed.process) == (1, "p2")
    results = await asyncio.gather(
        store.append("r1", 0, [ROW], waits=[WAIT]), other.append("r1", 1, [ROW]), return_exceptions=True
    )
    assert isinstance(results[0], FenceLost)
    assert results[1] is True
    assert len(await store.rows("r1")) == 1
    assert await store.waits() == []
    with pytest.raises(FenceLost):
        await store.append("unknown", 0, [ROW])


async def test_who_let_go_of_a_run_writes_nothing(store: SqlRunStore) -> None:
    await parked(store, "r1")
    with pytest.raises(FenceLost):
        await store.append("r1", 0, [ROW])
    await store.wake("r1")
    with pytest.raises(FenceLost):
        await store.append("r1", 0, [ROW])
    assert await store.rows("r1") == []


async def test_a_run_is_claimed_by_one_alone(store: SqlRunStore, other: SqlRunStore) -> None:
    await store.create(RUN)
    claims = await asyncio.gather(*((store, other)[n % 2].claim("r1", 0, f"p{n}") for n in range(20)))
    (winner,) = [claim for claim in claims if claim is not None]
    assert await store.get("r1") == winner
    assert await store.claim("r1", 1, "late") is not None
    assert await store.claim("nope", 0, "p") is None
    await store.append("r1", 2, [], END)
    assert await store.claim("r1", 2, "p") is None


@pytest.mark.slow
async def test_processes_race_for_runs(store: SqlRunStore, kind: str, where: str, soak: bool) -> None:
    """Each run comes to one process alone, also those that become free while they look."""
    count = 400 if soak else 60
    await store.create(*(a_run(f"a{n}", process=None) for n in range(count)))
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.contracts.claimer", kind, where, f"p{n}", "last"),
            stdout=asyncio.subprocess.PIPE,
        )
        for n in range(3)
    ]
    for n in range(count):
        await parked(store, f"b{n}")
        await asyncio.gather(store.answer(f"b{n}", "a", 1, "approve", "Ada", 1.0), store.wake(f"b{n}"))
    await store.create(a_run("last"))
    printed = [(await process.communicate())[0].decode().split() for process in processes]
    assert sorted(run_id for got in printed for run_id in got) == sorted(
        f"{letter}{n}" for letter in "ab" for n in range(count)
    )
    for name, got in zip(("p0", "p1", "p2"), printed, strict=True):
        for run_id in got:
            record = await store.get(run_id)
            assert (record.process, record.epoch) == (name, 1)


async def test_activity_is_counted_without_the_pauses(store: SqlRunStore) -> None:
    began = time.time()
    await store.create(a_run("r1", created_at=began - 100), a_run("r2", created_at=began - 100))
    await store.append("r1", 0, [], park=Park("waiting", 0))
    assert 99 < (await store.get("r1")).active < 110
    await store.wake("r1")
    await asyncio.sleep(0.05)
    claimed = await store.claim("r1", 0, "p2")
    assert claimed is not None
    assert claimed.active < 100.04 + time.time() - began - 0.05
    await store.append("r2", 0, [a_row("r2", 1, ended_at=began - 60)])
    claimed = await store.claim("r2", 0, "p2")
    assert claimed is not None
    assert claimed.active == pytest.approx(40)


# --- what is there to do ----------------------------------------------------------------------------------


async def test_unfinished_by_priority_then_age(store: SqlRunStore) -> None:
    await store.create(
        a_run("late", not_before=time.time() + 3600),
        a_run("due", not_before=time.time() - 1, process=None),
        a_run("last", priority=5),
        a_run("first", priority=-1),
        a_run("usual"),
    )
    await parked(store, "parked")
    await store.create(a_run("ended"))
    await store.append("ended", 0, [], END)
    assert await ids(store) == ["first", "due", "usual", "last"]
    assert await store.unowned() == [("due", 0)]


async def test_processes_and_what_they_leave(store: SqlRunStore) -> None:
    process = Process("p1", "here|boot|1", 7, "123", 50.0)
    await store.create(RUN)
    assert await store.unfinished() == [("r1", 0, "p1", None)]
    await store.beat(process)
    await store.beat(replace(process, beat_at=60.0))
    assert await store.unfinished() == [("r1", 0, "p1", replace(process, beat_at=60.0))]
    assert await store.process("p1") == replace(process, beat_at=60.0)
    await store.leave("p1")
    assert await store.unfinished() == [("r1", 0, "p1", None)]
    assert await store.process("p1") is None


async def test_processes_long_gone_are_forgotten(store: SqlRunStore) -> None:
    await store.create(RUN)
    for name in ("p1", "p2"):
        await store.beat(Process(name, "here|boot|1", 7, None, 50.0))
    await store.beat(Process("p3", "here|boot|1", 8, None, 50.0 + 8 * 86_400))
    assert [await store.process(name) is None for name in ("p1", "p2", "p3")] == [False, True, False]


async def test_runs_are_found_newest_first(store: SqlRunStore) -> None:
    for n in range(5):
        await store.create(a_run(f"r{n}", created_at=float(n), workflow=f"w{n % 2}"))
    await store.create(
        a_run("foreign", owner="somebody"), a_run("child", parent_id="r4", root_id="r4", created_at=2.5)
    )
    await store.append("r2", 0, [], END)

    async def found(**wanted: Any) -> list[str]:
        return [run.id for run in await store.find(**wanted)]

    assert await found(owner="local") == ["r4", "r3", "r2", "r1", "r0"]
    assert await found(owner="local", before=3.0, limit=2) == ["r2", "r1"]
    assert await found(workflow="w1", conversation_id="c1") == ["r3", "r1"]
    assert await found(owner="local", since=2.0) == ["r4", "r3", "r2"]
    assert await found(owner="local", since=2.0, before=4.0, children=True) == ["r3", "child", "r2"]
    assert await found(status="ok") == ["r2"]
    assert await found(owner="nobody") == []
    assert (await store.find(limit=1))[0] == replace(a_run("foreign", owner="somebody"), yaml="", shape={})


# --- parking, waits and answers ---------------------------------------------------------------------------


async def test_a_run_that_waits_is_nobodys(store: SqlRunStore) -> None:
    await store.create(RUN)
    assert await store.append("r1", 0, [ROW], waits=[WAIT], park=Park("waiting", 0))
    found = await store.get("r1")
    assert (found.status, found.parked, found.process, found.woken) == ("waiting", True, None, 0)
    assert await store.rows("r1") == [ROW]
    assert await store.waits() == [WAIT]
    assert await ids(store) == []
    assert await store.claim("r1", 0, "p2") is None
    assert [run.id for run in await store.find(status="waiting")] == ["r1"]


async def test_an_answer_wakes_the_run(store: SqlRunStore) -> None:
    await parked(store, "r1", "unknown")
    answered = await store.answer("r1", "a", 1, {"value": [True, None]}, "Ada", 1500.0)
    assert answered == replace(WAIT, answer={"value": [True, None]}, answered_at=1500.0, answered_by="Ada")
    found = await store.get("r1")
    assert (found.status, found.parked, found.woken) == ("running", False, 1)
    assert await store.unowned() == [("r1", 0)]
    assert await store.waits() == []
    assert await store.waits(answered=True) == await store.waits(answered=None) == [answered]
    claimed = await store.claim("r1", 0, "p2")
    assert claimed is not None
    assert (claimed.woken, claimed.epoch) == (1, 1)
    assert await store.signals("p2") == []


async def test_who_answers_second_hears_who_was_first(store: SqlRunStore) -> None:
    await parked(store, "r1")
    await store.answer("r1", "a", 1, "approve", "Ada", 1500.0)
    said = r"'a' was answered by Ada already, at 1970-01-01 00:25:00 UTC: \"approve\""
    with pytest.raises(Conflict, match=said):
        await store.answer("r1", "a", 1, "reject", "Bob", 1501.0)
    await store.claim("r1", 0, "p1")
    await store.append("r1", 1, [], END)
    with pytest.raises(Conflict, match=said):
        await store.answer("r1", "a", 1, "reject", "Bob", 1501.0)
    for path, iteration, run_id in (("b", 1, "r1"), ("a", 2, "r1"), ("a", 1, "nope")):
        with pytest.raises(NotFound, match="does not wait"):
            await store.answer(run_id, path, iteration, "x", "Ada", 1.0)


async def test_nobody_answers_what_has_ended(store: SqlRunStore) -> None:
    await store.create(RUN)
    await store.append("r1", 0, [], waits=[WAIT])
    await store.append("r1", 0, [], RunEnd("cancelled", 1.0, 3))
    with pytest.raises(NotFound, match="does not wait"):
        await store.answer("r1", "a", 1, "x", "Ada", 1.0)
    assert await store.waits(answered=None) == []
    await store.create(a_run("r2"))
    await store.append("r2", 0, [], END, waits=[a_wait("r2")])
    assert await store.waits(answered=None) == []


async def test_twenty_answers_at_once(store: SqlRunStore, other: SqlRunStore) -> None:
    await parked(store, "r1")
    answers = await asyncio.gather(
        *((store, other)[n % 2].answer("r1", "a", 1, n, f"u{n}", 1.0) for n in range(20)),
        return_exceptions=True,
    )
    (won,) = [answer for answer in answers if not isinstance(answer, BaseException)]
    lost = [answer for answer in answers if isinstance(answer, Conflict)]
    assert len(lost) == 19
    assert all(f"answered by {won.answered_by} already" in str(error) for error in lost)
    assert await store.waits(answered=True) == [won]
    assert (await store.get("r1")).woken == 1


async def test_a_further_attempt_asks_anew(store: SqlRunStore) -> None:
    """The same wait again is left as it is; that of a later attempt is a question of its own."""
    await store.create(RUN)
    await store.append("r1", 0, [], waits=[WAIT])
    await store.append("r1", 0, [], waits=[replace(WAIT, question="Again?")])
    assert await store.waits() == [WAIT]
    await store.answer("r1", "a", 1, "try again", "Ada", 5.0)
    again = replace(WAIT, attempt=2, question="And now?")
    await store.append("r1", 0, [], waits=[WAIT, again])
    assert await store.waits() == [again]
    assert (await store.answer("r1", "a", 1, "stop", "Ada", 6.0)).attempt == 2


async def test_waits_are_found(store: SqlRunStore) -> None:
    await store.create(a_run("r1"), a_run("r2", parent_id="r1", root_id="r1"), a_run("r3"))
    waits = [
        a_wait("r1", created_at=3.0, due_at=None),
        a_wait("r2", root_id="r1", created_at=1.0, owner="bob", due_at=50.0),
        a_wait("r3", created_at=2.0, conversation_id="c2", due_at=10.0),
    ]
    for wait in waits:
        await store.append(wait.run_id, 0, [], waits=[wait])

    async def found(**wanted: Any) -> list[str]:
        return [wait.run_id for wait in await store.waits(**wanted)]

    assert await found() == ["r2", "r3", "r1"]
    assert await found(limit=2) == ["r2", "r3"]
    assert await found(root_id="r1") == ["r2", "r1"]
    assert await found(run_id="r1") == ["r1"]
    assert await found(owner="bob") == ["r2"]
    assert await found(conversation_id="c2") == ["r3"]
    assert await found(due_before=10.0) == ["r3"]
    assert await found(due_before=99.0) == ["r2", "r3"]
    assert await found(answered=True) == []


async def test_who_is_woken_while_parking_is_not_parked(store: SqlRunStore) -> None:
    await store.create(RUN)
    await store.append("r1", 0, [], waits=[WAIT])
    await store.answer("r1", "a", 1, "approve", "Ada", 5.0)
    assert await store.signals("p1") == [Signal("r1", False, 1)]
    assert not await store.append("r1", 0, [ROW], waits=[replace(WAIT, path="b")], park=Park("waiting", 0))
    found = await store.get("r1")
    assert (found.status, found.parked, found.process) == ("running", False, "p1")
    assert (len(await store.rows("r1")), len(await store.waits())) == (1, 1)
    assert await store.append("r1", 0, [], park=Park("waiting", 1))


async def test_parking_and_waking_race(store: SqlRunStore, other: SqlRunStore) -> None:
    """Whatever comes first, no wake is lost: either the run is claimable, or its owner was told."""
    for n in range(30):
        name = f"r{n}"
        await store.create(a_run(name))
        parking = asyncio.ensure_future(
            store.append(name, 0, [], waits=[a_wait(name)], park=Park("waiting", 0))
        )
        if n % 3 == 0:
            await asyncio.sleep(0.001)
        await other.wake(name)
        was_parked = await parking
        found = await store.get(name)
        assert (found.woken, found.parked, found.status) == (1, False, "running")
        assert (found.process is None) == was_parked
        assert ((name, 0) in await store.unowned()) == was_parked
        assert (Signal(name, False, 1) in await store.signals("p1")) != was_parked


async def test_wakes_before_a_claim_are_no_news_to_the_owner(store: SqlRunStore) -> None:
    await store.create(RUN)
    await store.wake("r1")
    claimed = await store.claim("r1", 0, "p2")
    assert claimed is not None
    assert claimed.woken == 1
    assert await store.signals("p2") == []
    await store.wake("r1")
    assert await store.signals("p2") == [Signal("r1", False, 2)]
    await store.append("r1", 1, [], END)
    await store.wake("r1")
    await store.wake("nope")
    assert await store.signals("p2") == []
    assert (await store.get("r1")).status == "ok"


# --- trees ------------------------------------------------------------------------------------------------


async def test_a_childs_end_wakes_its_parent(store: SqlRunStore) -> None:
    await store.create(a_run("top"))
    await store.create(*(a_run(f"c{n}", parent_id="top", root_id="top") for n in range(3)))
    assert await store.append("top", 0, [], park=Park("running", 0))
    assert (await store.get("top")).status == "running"
    assert await ids(store) == ["c0", "c1", "c2"]
    await asyncio.gather(*(store.append(f"c{n}", 0, [], END) for n in range(3)))
    assert (await store.get("top")).woken == 3
    assert await store.unowned() == [("top", 0)]


async def test_a_childs_parking_wakes_its_parent_when_it_is_news(store: SqlRunStore) -> None:
    await store.create(a_run("top"), a_run("c", parent_id="top", root_id="top"))

    async def park(epoch: int, status: Any, woken: int) -> int:
        assert await store.append("c", epoch, [], park=Park(status, woken))
        return (await store.get("top")).woken

    async def take(epoch: int) -> None:
        await store.wake("c")
        assert await store.claim("c", epoch, "p1") is not None

    assert await park(0, "running", 0) == 0
    await take(0)
    assert await park(1, "waiting", 1) == 1
    await take(1)
    assert await park(2, "waiting", 2) == 1
    await take(2)
    assert await park(3, "unknown", 3) == 2


async def test_cancel_goes_down_the_tree(store: SqlRunStore) -> None:
    await store.create(a_run("top"), a_run("aside"))
    await store.create(a_run("c1", parent_id="top", root_id="top", process="p2"))
    await store.create(a_run("g1", parent_id="c1", root_id="top"), a_run("g2", parent_id="c1", root_id="top"))
    await store.append("g1", 0, [], END)
    await store.append("g2", 0, [], waits=[a_wait("g2")], park=Park("waiting", 0))
    assert await store.signals("p1") == []
    await store.request_cancel("top")
    assert await store.signals("p1") == [Signal("top", True, 0)]
    assert await store.signals("p2") == [Signal("c1", True, 2)]
    asked = {name: (await store.get(name)).cancel_requested for name in ("top", "aside", "c1", "g1", "g2")}
    assert asked == {"top": True, "aside": False, "c1": True, "g1": False, "g2": True}
    assert await store.unowned() == [("g2", 0)]
    claimed = await store.claim("g2", 0, "p3")
    assert claimed is not None
    assert claimed.cancel_requested
    assert await store.signals("p3") == [Signal("g2", True, 1)]
    await store.append("top", 0, [], RunEnd("cancelled", 1.0, 3))
    assert await store.signals("p1") == []
    await store.request_cancel("g1")
    await store.request_cancel("nope")
    assert not (await store.get("g1")).cancel_requested


# --- money ------------------------------------------------------------------------------------------------


async def test_a_budget(store: SqlRunStore) -> None:
    assert await store.spent("r1") == (0.0, 0.0)
    assert await store.reserve("r1", "a", 0.1, 0.3)
    assert await store.reserve("r1", "b", 0.1, 0.3)
    assert not await store.reserve("r1", "c", 0.11, 0.3)
    assert await store.reserve("r1", "c", 0.1, 0.3)
    assert not await store.reserve("r1", "d", 1e-9, 0.3)
    assert await store.reserve("r2", "d", 0.3, 0.3)
    await store.settle("r1", "a", 0.05)
    assert await store.spent("r1") == (0.05, 0.2)
    assert await store.reserve("r1", "b", 0.15, 0.3)
    assert not await store.reserve("r1", "b", 0.16, 0.3)
    assert await store.spent("r1") == (0.05, 0.25)
    await store.settle("r1", "never reserved", 0.5)
    await store.settle("r1", "b", 0.0)
    assert await store.spent("r1") == (0.55, 0.1)
    assert await store.reserve("r1", "x", 1e12, float("inf"))


async def test_fifty_at_once_do_not_overshoot(store: SqlRunStore, other: SqlRunStore) -> None:
    """0.1 a thousand times is not 100 in floating point; here it is."""

    async def call(n: int) -> bool:
        good = await (store, other)[n % 2].reserve("r1", f"k{n}", 0.1, 2.0)
        if good and n % 4 == 0:
            await (store, other)[n % 2].settle("r1", f"k{n}", 0.1)
        return good

    good = await asyncio.gather(*(call(n) for n in range(50)))
    assert sum(good) == 20
    spent, reserved = await store.spent("r1")
    assert spent + reserved == pytest.approx(2.0, abs=1e-12)
    assert not await store.reserve("r1", "one more", 1e-6, 2.0)


# --- what one store has written, another one reads --------------------------------------------------------


async def test_all_is_there_when_it_is_opened_again(kind: str, where: str) -> None:
    with opened(kind, where) as store:
        await parked(store, "r1")
        await store.create(a_run("r2"))
        last = store.append("r2", 0, [a_row("r2", 1)])
        await store.reserve("r1", "a", 0.5, 1.0)
    assert await last
    with opened(kind, where) as store:
        assert await store.waits() == [WAIT]
        assert await store.rows("r2") == [a_row("r2", 1)]
        assert await store.spent("r1") == (0.0, 0.5)
        assert (await store.get("r1")).parked


# --- forgetting -------------------------------------------------------------------------------------------


async def a_tree(store: SqlRunStore, root: str, **changes: Any) -> None:
    """A run with a child and a grandchild, each with a row and a wait, and money spent; none has ended."""
    child, below = f"{root}-c", f"{root}-g"
    await store.create(a_run(root, **changes))
    await store.create(a_run(child, parent_id=root, root_id=root, **changes))
    await store.create(a_run(below, parent_id=child, root_id=root, **changes))
    for name in (root, child, below):
        waits = [a_wait(name, root_id=root, owner=changes.get("owner", "local"))]
        assert await store.append(name, 0, [a_row(name, 1), a_row(name, 2)], waits=waits)
    await store.reserve(root, "left", 0.5, 9.0)
    await store.reserve(root, "call", 0.5, 9.0)
    await store.settle(root, "call", 0.25)


async def ended(store: SqlRunStore, *names: str) -> None:
    for name in names:
        assert await store.append(name, 0, [], RunEnd("ok", 2000.0, 9))


async def test_a_run_that_has_ended_is_forgotten_with_all_below_it(store: SqlRunStore) -> None:
    await a_tree(store, "r1", digest="d1")
    await a_tree(store, "r2", digest="d2", yaml="another")
    await store.pin("d3", "pinned")
    with pytest.raises(Conflict, match="has not ended"):
        await store.delete("r1")
    await ended(store, "r1-g", "r1-c", "r1")
    with pytest.raises(Conflict, match="is part of run r1"):
        await store.delete("r1-c")
    assert sorted(await store.delete("r1")) == ["r1", "r1-c", "r1-g"]
    for name in ("r1", "r1-c", "r1-g"):
        with pytest.raises(NotFound):
            await store.get(name)
        assert await store.rows(name) == []
        assert await store.waits(run_id=name, answered=None) == []
    assert await store.spent("r1") == (0.0, 0.0)
    with pytest.raises(NotFound):
        await store.document("d1")
    assert len(await store.rows("r2-g")) == 2
    assert await store.spent("r2") == (0.25, 0.5)
    assert (await store.document("d2"), await store.document("d3")) == ("another", "pinned")
    with pytest.raises(NotFound):
        await store.delete("r1")


async def test_a_run_is_not_forgotten_while_a_part_of_it_goes_on(store: SqlRunStore) -> None:
    await a_tree(store, "r1")
    await ended(store, "r1", "r1-c")
    with pytest.raises(Conflict, match="has not ended below it"):
        await store.delete("r1")
    assert len(await store.rows("r1")) == 2


async def test_a_document_stays_while_another_run_has_it_or_may_start_it(store: SqlRunStore) -> None:
    await store.create(a_run("r1", digest="d1", pins={"sub": "d9"}))
    await store.pin("d9", "the part")
    await store.create(a_run("r2", digest="d2", yaml="two", pins={"sub": "d1", "more": "d9"}))
    await ended(store, "r1", "r2")
    await store.delete("r1")
    assert await store.document("d1") == RUN.yaml
    await store.delete("r2")
    for digest in ("d1", "d2", "d9"):
        with pytest.raises(NotFound):
            await store.document(digest)
    await store.create(a_run("r3", digest="d1"))
    assert (await store.get("r3")).yaml == RUN.yaml


async def test_all_runs_of_an_owner_are_forgotten_also_those_that_go_on(store: SqlRunStore) -> None:
    await a_tree(store, "r1")
    await a_tree(store, "r2", owner="bob", digest="d2", yaml="bob's")
    await store.create(a_run("r3"))
    await ended(store, "r3")
    assert await store.erase("local") == 4
    assert await store.find(owner="local", children=True) == []
    assert await store.waits(owner="local", answered=None) == []
    assert len(await store.find(owner="bob", children=True)) == 3
    assert await store.document("d2") == "bob's"
    with pytest.raises(FenceLost):
        await store.append("r1", 0, [a_row("r1", 3)])
    assert await store.rows("r1") == []
    assert await store.erase("local") == 0


async def test_many_may_be_forgotten_and_begun_at_once(store: SqlRunStore, other: SqlRunStore) -> None:
    """Whatever comes first: a run that was begun has its document."""
    for turn in range(10):
        await store.create(a_run(f"a{turn}", digest="d1"))
        await ended(store, f"a{turn}")
        await asyncio.gather(
            store.delete(f"a{turn}"), other.create(a_run(f"b{turn}", digest="d1")), store.spent("r1")
        )
        assert (await store.get(f"b{turn}")).yaml == RUN.yaml
        await ended(store, f"b{turn}")
        await store.delete(f"b{turn}")


async def test_runs_follow_the_new_name_of_their_workflow(store: SqlRunStore) -> None:
    await store.create(a_run("r1"))
    await store.create(a_run("r2", owner="bob"))
    await store.create(a_run("r3", workflow="other"))
    await store.rename_workflow("local", "greet", "hail")
    found = {run.id: run.workflow for run in await store.find(limit=9)}
    assert found == {"r1": "hail", "r2": "greet", "r3": "other"}
