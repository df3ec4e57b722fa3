"""The connections to a PostgreSQL server: each thread that works has one, made when it is needed and kept.

So there are never more than threads, nobody waits for one, and who can't have one is told the server's reason.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

PATIENCE = 30.0
"""Seconds that who writes or reads waits for a server that is away."""
AGAIN = 0.05
"""Seconds until a server that is away is asked again."""

Raw = psycopg.Connection[Any]


class Connections:
    """`connect` makes one, or raises the driver's error."""

    def __init__(self, connect: Callable[[], Raw]) -> None:
        self._connect = connect
        self._local = threading.local()
        self._made: list[Raw] = []
        self._making = threading.Lock()

    @contextmanager
    def use(self) -> Iterator[Raw]:
        """The calling thread's connection; a new one where it has none, or the one it had is broken."""
        raw: Raw | None = getattr(self._local, "raw", None)
        if raw is None or raw.closed:
            raw = self._local.raw = self._make()
        try:
            yield raw
        finally:
            if not raw.closed and raw.info.transaction_status is not TransactionStatus.IDLE:
                raw.close()

    def close(self) -> None:
        """Close all; no thread may use one any more."""
        for raw in self._made:
            raw.close()

    def _make(self) -> Raw:
        raw = self._connect()
        with self._making:
            self._made = [*(kept for kept in self._made if not kept.closed), raw]
        return raw
