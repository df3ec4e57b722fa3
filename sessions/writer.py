"""One writer for a database: everything that waits shares one transaction and one commit.

Here is what all databases have in common: jobs in the order of the calls, a thread that writes them in groups,
futures that end when a job is committed or with its own error.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any

from engine.errors import StoreError

Job = Callable[[Any], Any]
"""What is to be written; it is handed the connection, and what it returns is the answer."""
Outcome = tuple[bool, Any]


class Entry:
    """A job and who waits for it. While it is `open`, what it will write may still grow."""

    __slots__ = ("_shared", "futures", "job", "open", "outcome")

    def __init__(self, job: Job) -> None:
        self.job = job
        self.futures: list[asyncio.Future[Any]] = []
        self.open = True
        self.outcome: Outcome = (False, None)
        self._shared: asyncio.Future[Any] | None = None

    def wait(self) -> asyncio.Future[Any]:
        """A future that ends when the job is committed; cancelling it hurts nobody else."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.futures.append(future)
        return future

    @property
    def shared(self) -> asyncio.Future[Any]:
        """One future for all who only want to hear of it, while the entry is open. It must not be cancelled."""
        if self._shared is None:
            self._shared = self.wait()
        return self._shared


class Batch:
    """What one loop wants written in one transaction."""

    __slots__ = ("entries", "flush", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.entries: list[Entry] = []
        self.flush = False


class Writer:
    """Runs jobs in the order in which they are submitted. A database says how a group of them is committed."""

    def __init__(self) -> None:
        self._filling: dict[asyncio.AbstractEventLoop, Batch] = {}
        self._queue: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._handed = 0
        self._taken = 0
        self._thread: threading.Thread | None = None
        self.closed = False

    def submit(self, job: Job) -> asyncio.Future[Any]:
        """Write in the next transaction. The future ends when it is committed, or with the job's own error.

        A job that raises writes nothing; the others in its transaction are not touched.
        """
        return self.add(job).wait()

    def add(self, job: Job, *, flush: bool = False) -> Entry:
        """As `submit`, for who wants to put more into the job while its entry is open.

        `flush`: the disk has it when the future ends, however the database was set up.
        """
        if self.closed:
            raise StoreError("The database is closed.")
        loop = asyncio.get_running_loop()
        batch = self._filling.get(loop)
        if batch is None:
            batch = self._filling[loop] = Batch(loop)
            loop.call_soon(self._flush, loop)
        entry = Entry(job)
        batch.entries.append(entry)
        batch.flush = batch.flush or flush
        return entry

    def close(self) -> None:
        """Write what waits and end the thread."""
        for loop in list(self._filling):
            self._hand_over(self._filling.pop(loop))
        self.closed = True
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()

    # --- what a database says ---

    def _at_once(self, batch: Batch) -> bool:
        """Write the batch on the loop's thread if that can be done without waiting; whether it was."""
        return False

    def _commit(self, entries: Sequence[Entry], *, flush: bool) -> None:
        """Write the jobs in one transaction and give every entry its outcome; must not raise."""
        raise NotImplementedError

    def _rest(self) -> None:
        """After a transaction, on the writer's thread."""

    # --- on the loop's thread ---

    def _flush(self, loop: asyncio.AbstractEventLoop) -> None:
        batch = self._filling.pop(loop, None)
        if batch is None:
            return
        for entry in batch.entries:
            entry.open = False
        if self._handed == self._taken and self._at_once(batch):
            _resolve(batch.entries)
        else:
            self._hand_over(batch)

    def _hand_over(self, batch: Batch) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="parlance-writer", daemon=True)
                self._thread.start()
            self._handed += 1
            self._queue.put(batch)

    # --- on the writer's thread ---

    def _work(self) -> None:
        while (batch := self._queue.get()) is not None:
            batches, last = [batch], False
            while not self._queue.empty():
                further = self._queue.get()
                if further is None:
                    last = True
                    break
                batches.append(further)
            self._write(batches)
            self._rest()
            if last:
                break

    def _write(self, batches: Sequence[Batch]) -> None:
        entries = [entry for batch in batches for entry in batch.entries]
        if entries:
            self._commit(entries, flush=any(batch.flush for batch in batches))
        for batch in batches:
            self._taken += 1
            if batch.entries and not batch.loop.is_closed():
                batch.loop.call_soon_threadsafe(_resolve, batch.entries)


def fail(entries: Sequence[Entry], error: Exception) -> None:
    """Give all of them this error."""
    for entry in entries:
        entry.outcome = (False, error)


def _resolve(entries: Sequence[Entry]) -> None:
    for entry in entries:
        good, value = entry.outcome
        for future in entry.futures:
            if future.done():
                continue
            if good:
                future.set_result(value)
            else:
                future.set_exception(value)
