"""What a start makes of what an earlier process left: nothing that was taken in is lost, nothing is said
twice.

A message that waited for its turn is answered now. A turn that was cut while it spoke is `interrupted`,
with its text: whether to try again is the person's choice, for it may have acted already. A message that
waited for a run goes on waiting, and a run's result is written wherever it is owed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chat.runner import Turns
from chat.runs import runs_of
from sessions.conversations import Message
from sessions.inbox import Inbox, OpenRun

if TYPE_CHECKING:
    from engine.engine import Engine


MANY = 100_000
"""Questions that are looked at; the runs beyond them are followed, which costs a task each."""


async def recover(turns: Turns, inbox: Inbox, engine: Engine) -> None:
    """Take over what belongs to processes that are gone; leave what a living one works on, this one included.

    To be called at the start and from time to time: another process (`app.py chat`) may be killed later.
    """
    process = await engine.enter()
    unfinished = await inbox.unfinished()
    for owner, message in unfinished:
        if message.process and await engine.alive(message.process):
            continue
        runs = await runs_of(engine, inbox, owner, message)
        await _take_over(turns, inbox, process, owner, message, runs)
    others = {message.id for _, message in unfinished}
    waiting = {wait.root_id for wait in await engine.store.waits(limit=MANY)}
    for run in await inbox.owed_runs():
        if (
            run.message_id not in others
            and run.run_id not in waiting
            and turns.answer(run.message_id) is None
        ):
            turns.follow_run(run)


async def _take_over(
    turns: Turns, inbox: Inbox, process: str, owner: str, message: Message, runs: list[OpenRun]
) -> None:
    if message.phase == "queued":
        await inbox.set_phase(message.id, "queued", process)
        turns.enqueue(owner, message)
    elif message.phase == "waiting" and (runs or message.parts):
        await inbox.set_phase(message.id, "waiting", process)
        await turns.wait_for_runs(owner, message, runs)
    elif message.phase == "waiting":  # a card whose run was never stored
        await inbox.remove(message.id)
    else:
        await inbox.finish(message.id, "interrupted", message.text, message.parts)
        for run in runs:
            turns.follow_run(run)
