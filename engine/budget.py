"""The hard budget of a run: before each call of a model what it could cost at worst is set aside in the store.

The store adds in one atomic step, so that branches, elements, children and workers can't pass the limit together.
A call that does not fit waits while others of the same run are under way, since most cost less than they could.
A reservation whose call was lost in a crash stays: the vendor may have charged it.
"""

from __future__ import annotations

import asyncio
import uuid
import weakref
from typing import TYPE_CHECKING

from engine.errors import BudgetSpent
from engine.models.pricing import dollars
from engine.ports import Quote, RunRecord, RunStore
from engine.workflow import Workflow

if TYPE_CHECKING:
    from engine.nodes.step import Step

CAP_TOKENS = 4096
"""The longest reply asked for where neither the document nor the model's entry in the price list bounds it."""
FEWEST_TOKENS = 256
"""A reply may be cut to what the budget still allows, but not below this."""
ELSEWHERE_SECONDS = 20.0
"""How long to wait for the calls of other processes while nothing changes: they may have been lost in a crash."""
_LOOK_SECONDS = 0.3


def limit_of(record: RunRecord, workflow: Workflow) -> float | None:
    """The budget of the whole tree that the run belongs to, in dollars; None without one.

    A child is given its root's in `limit_usd`; what its own document says counts only where it is a root.
    """
    own = workflow.execution.budget_usd if record.parent_id is None else None
    given = [limit for limit in (record.limit_usd, own) if limit is not None]
    return min(given) if given else None


class _Pot:
    """The calls of one root that this process makes: how many, and a signal whenever that changes."""

    def __init__(self) -> None:
        self.under_way = 0
        self.changes = 0
        self._changed: asyncio.Event | None = None

    def begin(self) -> None:
        self.under_way += 1

    def end(self, *, freed: bool) -> None:
        """A call is over, and money may be free; or it was not allowed, and who waits for it need not."""
        self.under_way -= 1
        self.changes += freed
        if self._changed is not None and (freed or not self.under_way):
            self._changed.set()
            self._changed = None

    async def changed(self) -> None:
        if self._changed is None:
            self._changed = asyncio.Event()
        await self._changed.wait()


class Budgets:
    """The budgets of the runs that this process executes."""

    def __init__(self, store: RunStore) -> None:
        self.store = store
        self.settling: set[asyncio.Task[None]] = set()
        self._pots: weakref.WeakValueDictionary[str, _Pot] = weakref.WeakValueDictionary()

    def purse(self, step: Step) -> RunPurse | None:
        """The money for the calls of one attempt; None for a run without a budget."""
        record = step.host.record
        limit = limit_of(record, step.workflow)
        if limit is None:
            return None
        root = record.root_id or record.id
        pot = self._pots.setdefault(root, _Pot())
        nodes = step.workflow.nodes.values()
        shared = record.parent_id is not None or any(n.kind == "subflow" or n.each for n in nodes)
        return RunPurse(self, pot, root, limit, step, shared=shared)


class RunPurse:
    """Implements `engine.ports.Purse`. `calls` counts those that were allowed."""

    def __init__(
        self, budgets: Budgets, pot: _Pot, root_id: str, limit: float, step: Step, *, shared: bool
    ) -> None:
        self.calls = 0
        self._budgets = budgets
        self._pot = pot
        self._root = root_id
        self._limit = limit
        self._node = step.node.id
        self._name = f"{step.run_id}/{step.path}/{step.iteration}/{step.attempt}"
        self._shared = shared

    async def reserve(self, quote: Quote) -> CallBill:
        if quote.prompt_usd is None or quote.token_usd is None:
            raise BudgetSpent(
                self._node,
                f"What {quote.model} costs is not known, so the budget of {dollars(self._limit)} can't be kept.",
                "Use a model with a known price or one on this machine, or run without a budget.",
            )
        # Unlike the attempt, the key is never used again: what a crash lost stays counted.
        key = f"{self._name}/{uuid.uuid4().hex[:12]}"
        tokens = quote.most_tokens if quote.most_tokens is not None else CAP_TOKENS
        while True:
            seen = self._pot.changes
            amount = quote.prompt_usd + tokens * quote.token_usd
            if await self._set_aside(key, amount):
                self.calls += 1
                return CallBill(self._budgets, self._pot, self._root, key, tokens)
            if self._pot.changes != seen:
                continue
            if self._pot.under_way:
                await self._pot.changed()
            elif not (self._shared and await self._elsewhere()):
                spent, reserved = await self._budgets.store.spent(self._root)
                fewer = self._fewer(quote, tokens, spent + reserved)
                if fewer is not None:
                    tokens = fewer
                elif not self._pot.under_way and self._pot.changes == seen:  # nobody came in between
                    raise self._refusal(quote, tokens, spent, reserved)

    async def _set_aside(self, key: str, amount: float) -> bool:
        """Reserve. Counted as under way from before the store knows of it, so that nobody gives up too early."""
        self._pot.begin()
        work = self._budgets.store.reserve(self._root, key, amount, self._limit)
        task = asyncio.ensure_future(work)
        try:
            done = await asyncio.shield(task)
        except asyncio.CancelledError:
            bill = CallBill(self._budgets, self._pot, self._root, key, 0)
            await asyncio.wait([task])
            await bill.settle(0.0)
            raise
        except BaseException:
            self._pot.end(freed=False)
            raise
        if not done:
            self._pot.end(freed=False)
        return done

    async def _elsewhere(self) -> bool:
        """Wait for calls of other processes; False when there are none, or nothing has changed for long."""
        before = await self._budgets.store.spent(self._root)
        if before[1] <= 0:
            return False
        for _ in range(round(ELSEWHERE_SECONDS / _LOOK_SECONDS)):
            await asyncio.sleep(_LOOK_SECONDS)
            if await self._budgets.store.spent(self._root) != before:
                return True
        return False

    def _fewer(self, quote: Quote, tokens: int, gone: float) -> int | None:
        """A shorter reply that the rest of the budget allows; None where there is none that would be of use."""
        if quote.said or quote.prompt_usd is None or not quote.token_usd:
            return None
        fits = int((self._limit - gone - quote.prompt_usd) * 0.999 / quote.token_usd)
        fits = min(fits, tokens - 1)
        return fits if fits >= FEWEST_TOKENS else None

    def _refusal(self, quote: Quote, tokens: int, spent: float, reserved: float) -> BudgetSpent:
        shortest = tokens if quote.said else min(tokens, FEWEST_TOKENS)
        could = (quote.prompt_usd or 0.0) + shortest * (quote.token_usd or 0.0)
        aside = f", {dollars(reserved)} set aside for calls whose end is not known" if reserved > 0 else ""
        return BudgetSpent(
            self._node,
            f"The budget of {dollars(self._limit)} does not allow this call of {quote.model}: "
            f"{dollars(spent)} are spent{aside}, and the call could cost {dollars(could)}.",
            "Raise the budget (config.execution.budget_usd or --budget), lower max_tokens, "
            "or use a cheaper model.",
        )


class CallBill:
    """Implements `engine.ports.Bill`."""

    def __init__(self, budgets: Budgets, pot: _Pot, root_id: str, key: str, tokens: int) -> None:
        self.tokens = tokens
        self._budgets = budgets
        self._pot = pot
        self._root = root_id
        self._key = key

    async def settle(self, cost: float | None) -> None:
        task = asyncio.create_task(self._settle(cost))
        self._budgets.settling.add(task)
        task.add_done_callback(self._budgets.settling.discard)
        await asyncio.shield(task)

    async def _settle(self, cost: float | None) -> None:
        """Also where the run is being interrupted meanwhile."""
        try:
            if cost is not None:
                await self._budgets.store.settle(self._root, self._key, cost)
        finally:
            self._pot.end(freed=True)
