"""Going on with a run that another process began: its rows, in their order, lead to the state in which it was left."""

from __future__ import annotations

from engine.control import fired_by
from engine.errors import NodeError, RunError, StoreError
from engine.ledger import Open
from engine.live import LiveRun
from engine.ports import NodeRow
from engine.scheduler import Visit

_Key = tuple[str, int]
_OPEN = frozenset({"running", "waiting", "unknown"})


def begin(live: LiveRun) -> list[Visit]:
    """Let START fire. RunError when none of its routes matches."""
    graph = live.plan.graph
    state = live.scheduler.history.state(0)
    return live.scheduler.begin(graph.arrows_of(fired_by(graph.entries, state)))


def resume(live: LiveRun) -> None:
    """Replay the rows and start what had not ended. What can't go on ends as failed."""
    try:
        opens, failure = _replay(live)
    except (RunError, StoreError) as error:
        live.conclude(error)
        return
    if failure is not None:
        live.conclude(failure, opens)
    elif live.ledger.record.cancel_requested:
        live.cancel(opens)
    else:
        live.launch(opens)


def _replay(live: LiveRun) -> tuple[list[Open], RunError | None]:
    created = live.ledger.record.created_at
    opens = {_key(live, visit): live.opened(visit, created) for visit in begin(live)}
    failure: RunError | None = None
    for row in list(live.ledger.rows):
        if row.status in _OPEN or not row.ends_visit:
            continue  # the visit stays open, and its node looks for these rows itself
        key = (row.node, row.iteration)
        if key not in opens:
            raise StoreError(f"The rows of run {row.run_id} do not fit its document.", "Start a new run.")
        if row.counts:
            ended = opens.pop(key)
            failure = failure or _undecided(live, ended, row)
            started = _after(live, ended, row)
            if row.starts:
                opens.update(started)
            elif started:
                failure = failure or RunError("The run was being stopped when the program ended.")
        elif row.starts:
            opens[key].attempt = row.attempt + 1
        else:
            del opens[key]
            failure = NodeError(row.node, row.error or "It failed.", fault=row.fault)
    return list(opens.values()), failure


def _undecided(live: LiveRun, ended: Open, row: NodeRow) -> RunError | None:
    """Why an ended node set nothing off: none of its routes matched, and the run was to fail for that."""
    if row.fired:
        return None
    after = live.scheduler.after(ended.visit, row.writes)
    try:
        fired_by(live.plan.graph.leaving[ended.visit.node], after, ended.visit.rounds + 1)
    except RunError as error:
        return error
    return None


def _after(live: LiveRun, ended: Open, row: NodeRow) -> dict[_Key, Open]:
    """What the row started; or could have, where it says that nothing was: the run was being stopped then."""
    arrows = live.plan.graph.arrows_of(row.fired)
    started = live.scheduler.end(ended.visit, row.writes, arrows)
    found = {_key(live, visit): live.opened(visit, row.ended_at) for visit in started}
    if row.starts and sorted(found) != sorted((node, iteration) for node, _, iteration, _ in row.starts):
        raise StoreError(f"The rows of run {row.run_id} do not fit its document.", "Start a new run.")
    return found


def _key(live: LiveRun, visit: Visit) -> _Key:
    return (live.plan.graph.nodes[visit.node].id, visit.iteration)
