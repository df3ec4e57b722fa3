"""The visits of a live run that wait without a task, and the moment in which the run itself is given away.

No wake may be lost. A visit notes how often the run had been woken before it looked for what it waits for; the
store notes how often the run has been woken at all, and refuses to park it when that is more than its owner knew
before its visits looked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from engine.host import RunHost
from engine.ledger import Ledger, Open
from engine.nodes.step import Parked, Step
from engine.ports import RunStatus
from engine.scheduler import Visit

_FIRST: tuple[RunStatus, ...] = ("unknown", "waiting")
"""Of several visits that wait for different things, the first of these is the run's status."""


class Parking:
    """What waits in one run. `opens` are its open visits, `busy` is true while the store is asked to park it."""

    def __init__(self, ledger: Ledger, host: RunHost, opens: Mapping[Visit, Open]) -> None:
        self._ledger = ledger
        self._host = host
        self._opens = opens
        self._woken = ledger.record.woken
        self.wakes = 0
        self.busy = False

    async def hold(self, each: Open, step: Step, parked: Parked) -> bool:
        """Leave a visit open without a task; False when what it waits for may have come meanwhile."""
        for wait in parked.waits:
            await self._host.put(step, wait)
        each.went_to(step.attempt)
        if each.wakes != self.wakes:
            return False
        each.parked = parked.status
        return True

    async def give_away(self) -> bool:
        """Park the run, in which every open visit waits; False when it has been woken meanwhile."""
        statuses = {each.parked for each in self._opens.values()}
        status: RunStatus = next((status for status in _FIRST if status in statuses), "running")
        self.busy = True
        try:
            return await self._ledger.park(status, self._woken)
        finally:
            self.busy = False

    def wake(self, woken: int | None) -> bool:
        """Something may have come; False when the count of the store says that this is no news."""
        if woken is not None and woken <= self._woken:
            return False
        self.wakes += 1
        self._host.forget()
        return True

    async def catch_up(self) -> None:
        """Read how often the run has been woken: before its visits look again."""
        seen = -1
        while seen != self.wakes:
            seen = self.wakes
            run = await self._ledger.store.get(self._ledger.record.id)
            self._woken = max(self._woken, run.woken)

    def again(self, start: Callable[[Open], None]) -> None:
        """Run every visit that waits once more."""
        for each in list(self._opens.values()):
            if each.parked is not None:
                each.parked = None
                start(each)
