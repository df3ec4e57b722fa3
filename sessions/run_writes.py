"""What a store of runs in SQL does within one transaction, on SQLite and on PostgreSQL alike.

Every job is handed a connection in a transaction, looks first and writes then: one that raises has written
nothing. A job says which runs and budgets it is about, so that a store with locks can take them all at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from engine.ports import NodeRow, Park, Process, RunEnd, RunRecord, Wait
from sessions import run_sql as sql
from sessions.run_rows import (
    KEPT_SECONDS,
    Columns,
    answered_before,
    clean,
    cleaned,
    dumps,
    end_values,
    fence_lost,
    fits,
    no_wait,
    run_values,
    units,
    wait_of,
    wait_values,
)
from sessions.writer import Entry


class Connection(Protocol):
    """What a job writes with: `?` stands for a value, rows of a result go by name."""

    def execute(self, statement: str, values: Any = ..., /) -> Any: ...

    def executemany(self, statement: str, values: Any, /) -> Any: ...


class Task:
    """A job, and what it is about: ids of runs, of budgets (roots); `upward`: the runs' parents too."""

    __slots__ = ("budgets", "runs", "upward", "work")

    def __init__(
        self, work: Callable[[Connection], Any], runs: Iterable[str] = (), budgets: Iterable[str] = ()
    ) -> None:
        self.work = work
        self.runs = tuple(runs)
        self.budgets = tuple(budgets)
        self.upward = False

    def __call__(self, connection: Connection) -> Any:
        return self.work(connection)


class Addition:
    """What a run adds in one transaction: the fence is read once for all rows that come together."""

    __slots__ = ("_writes", "end", "entry", "epoch", "park", "rows", "run_id", "waits")
    budgets = ()

    def __init__(self, writes: RunWrites, run_id: str, epoch: int) -> None:
        self._writes = writes
        self.run_id = run_id
        self.epoch = epoch
        self.rows: list[NodeRow] = []
        self.waits: Sequence[Wait] = ()
        self.end: RunEnd | None = None
        self.park: Park | None = None
        self.entry: Entry | None = None

    @property
    def runs(self) -> tuple[str, ...]:
        return (self.run_id,)

    @property
    def upward(self) -> bool:
        return self.end is not None or self.park is not None

    def takes(self, epoch: int) -> bool:
        """Whether rows of this epoch may still go along."""
        return self.entry is not None and self.entry.open and self.epoch == epoch

    def __call__(self, connection: Connection) -> bool:
        writes = self._writes
        run = writes.fence(connection, self.run_id)
        if run is None or run["epoch"] != self.epoch or run["status"] != "running" or run["process"] is None:
            raise fence_lost(self.run_id)
        if self.rows:
            writes.add_rows(connection, run["no"], self.rows)
            if run["asked"]:
                writes.close_visits(connection, self.run_id, self.rows)
        if self.waits:
            connection.executemany(sql.INSERT_WAIT, [wait_values(wait) for wait in self.waits])
            connection.execute(sql.ASKED, (run["no"],))
            writes.changed(connection, self.run_id)
        if self.end is not None:
            writes.end(connection, run, self.end, asked=bool(run["asked"] or self.waits))
        return self.park is None or writes.park(connection, run, self.park)


class RunWrites:
    """The writing of a store of runs; a database fills in what it says in its own way."""

    locking = ""
    """What makes a query keep others from changing what it has read, where the transaction alone does not."""

    sharing = ""
    """What makes a query keep others from deleting what it has read, where the transaction alone does not."""
    delete_more: tuple[str, ...] = ()
    """Statements that forget a run, by its id, in tables that only this database has."""

    # --- what a database says ---

    def fence(self, connection: Connection, run_id: str) -> Columns | None:
        """The run as FENCE reads it; nobody else can change it until the transaction ends."""
        found: Columns | None = connection.execute(sql.FENCE, (clean(run_id),)).fetchone()
        return found

    def changed(self, connection: Connection, run_id: str) -> None:
        """What `fence` gave for this run holds no more."""

    def claimable(self, connection: Connection, run_ids: Sequence[str]) -> None:
        """This transaction makes these runs nobody's, so that they may be claimed."""

    def add_rows(self, connection: Connection, no: int, rows: Sequence[NodeRow]) -> None:
        raise NotImplementedError

    def delete_rows(self, connection: Connection, numbers: Sequence[int]) -> None:
        """Delete the rows of the runs of these numbers."""
        raise NotImplementedError

    def lock_documents(self, connection: Connection, digests: Sequence[str]) -> None:
        """Nobody may begin to use these documents until the transaction ends, where that is not so anyway."""

    def add_runs(self, connection: Connection, runs: Sequence[tuple[Any, ...]]) -> None:
        connection.executemany(sql.INSERT_RUN, runs)

    def last_seen(self, connection: Connection, run_id: str) -> float:
        """When the run was last seen active: claimed, its last row, its owner's last sign of life."""
        raise NotImplementedError

    # --- jobs ---

    def create(self, connection: Connection, runs: Sequence[RunRecord], rows: Sequence[NodeRow] = ()) -> None:
        if rows and self.fence(connection, runs[0].id) is not None:
            return  # it is there, and its rows with it
        known: dict[str, str] = {}
        values = []
        for run in runs:
            shape = dumps(run.shape)
            own = self._keep(connection, known, run.digest, run.yaml, shape)
            values.append(run_values(run, shape if own else None))
        self.add_runs(connection, values)
        if rows:
            self.changed(connection, runs[0].id)
            run_with_rows = self.fence(connection, runs[0].id)
            assert run_with_rows is not None  # noqa: S101 - just stored
            self.add_rows(connection, run_with_rows["no"], rows)

    def _keep(
        self, connection: Connection, known: dict[str, str], digest: str, text: str, shape: str
    ) -> bool:
        """Keep a document; whether the shape kept with it is another one, so that the run needs its own."""
        if digest not in known:
            found = connection.execute(sql.DOCUMENT + self.sharing, (digest,)).fetchone()
            if found is None:
                connection.execute(sql.KEEP_DOCUMENT, cleaned((digest, text, shape)))
            known[digest] = shape if found is None else found["shape"]
        if known[digest] == "{}" != shape:
            connection.execute(sql.SHAPE_DOCUMENT, (shape, digest))
            known[digest] = shape
        return known[digest] != shape

    def end(self, connection: Connection, run: Columns, end: RunEnd, *, asked: bool) -> None:
        connection.execute(sql.END_RUN, (*end_values(end), run["no"]))
        self.changed(connection, run["id"])
        if asked:
            connection.execute(sql.CLOSE_WAITS, (run["id"],))
        if run["parent_id"] is not None:
            self.wake(connection, run["parent_id"])

    def close_visits(self, connection: Connection, run_id: str, rows: Iterable[NodeRow]) -> None:
        """Nobody can answer any more what an ended visit still asks."""
        for row in rows:
            if row.ends_visit and row.status not in sql.OPEN_STATUSES:
                connection.execute(sql.CLOSE_VISIT, cleaned((run_id, row.node, row.iteration)))

    def park(self, connection: Connection, run: Columns, park: Park) -> bool:
        """Let go of the run, whose activity ends here; False when it was woken meanwhile."""
        if run["woken"] > park.woken:
            return False
        now = time.time()
        lasted = max(0.0, now - run["claimed_at"])
        connection.execute(sql.PARK_RUN, (park.status, park.status, lasted, now, run["no"]))
        self.changed(connection, run["id"])
        if run["parent_id"] is not None and park.status != (run["parked_as"] or "running"):
            self.wake(connection, run["parent_id"])
        return True

    def wake(self, connection: Connection, run_id: str) -> None:
        run = self.fence(connection, run_id)
        if run is None or run["status"] not in sql.OPEN_STATUSES:
            return
        connection.execute(sql.WAKE_RUN, (run["no"],))
        self.changed(connection, run_id)
        if run["parked"]:
            self.claimable(connection, [run_id])

    def cancel(self, connection: Connection, run_id: str) -> None:
        tree = connection.execute(sql.TREE + self.locking, (clean(run_id),)).fetchall()
        connection.executemany(sql.CANCEL_RUN, [(run["no"],) for run in tree])
        for run in tree:
            self.changed(connection, run["id"])
        if parked := [run["id"] for run in tree if run["parked"]]:
            self.claimable(connection, parked)

    def answer(
        self, connection: Connection, run_id: str, path: str, iteration: int, value: str, by: str, at: float
    ) -> Wait:
        """`value` is JSON. See RunStore.answer."""
        self.fence(connection, run_id)
        found = connection.execute(sql.WAITS_AT, cleaned((run_id, path, iteration))).fetchone()
        if found is not None and found["answered_at"] is not None:
            raise answered_before(wait_of(found))
        if found is None or found["closed"]:
            raise no_wait(run_id, path)
        connection.execute(sql.ANSWER, (value, at, clean(by), found["no"]))
        self.wake(connection, run_id)
        return wait_of({**dict(found), "answer": value, "answered_at": at, "answered_by": clean(by)})

    def claim(self, connection: Connection, run_id: str, epoch: int, process_id: str) -> bool:
        """Take the run over; the activity of the owner before ends with its last row or sign of life, that of one
        parked for its children with this claim.
        """
        run = self.fence(connection, run_id)
        if run is None or run["epoch"] != epoch or run["status"] != "running" or run["parked"]:
            return False
        for_children = run["process"] is None and run["parked_as"] == "running"
        seen = time.time() if for_children else self.last_seen(connection, run_id)
        lasted = max(0.0, seen - run["claimed_at"])
        connection.execute(sql.CLAIM_RUN, (clean(process_id), lasted, time.time(), run["no"]))
        self.changed(connection, run_id)
        return True

    def beat(self, connection: Connection, process: Process) -> None:
        """Note the sign of life; those that gave none for days, and own nothing, are forgotten."""
        known = (process.id, process.place, process.pid, process.born, process.beat_at)
        connection.execute(sql.BEAT, cleaned(known))
        connection.execute(sql.FORGET, (process.beat_at - KEPT_SECONDS,))

    def reserve(self, connection: Connection, root_id: str, key: str, amount: float, limit: float) -> bool:
        """See RunStore.reserve."""
        budget = self._budget(connection, root_id, key)
        change = units(amount) - budget["held"]
        if not fits(budget["spent"] + budget["reserved"] + change, limit):
            return False
        connection.execute(sql.RESERVE, cleaned((root_id, key, units(amount))))
        connection.execute(sql.CHANGE_BUDGET, (0, change, clean(root_id)))
        return True

    def settle(self, connection: Connection, root_id: str, key: str, cost: float) -> None:
        """See RunStore.settle."""
        budget = self._budget(connection, root_id, key)
        connection.execute(sql.RELEASE, cleaned((root_id, key)))
        connection.execute(sql.CHANGE_BUDGET, (units(cost), -budget["held"], clean(root_id)))

    def _budget(self, connection: Connection, root_id: str, key: str) -> Columns:
        """What is spent and reserved of a budget, and what this key holds of it."""
        connection.execute(sql.OPEN_BUDGET, (clean(root_id),))
        found: Columns = connection.execute(sql.HELD + self.locking, cleaned((key, root_id))).fetchone()
        return found
