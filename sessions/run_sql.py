"""The statements that the stores on SQLite and on PostgreSQL have in common, with `?` where a value goes."""

# ruff: noqa: S608 - put together from constants

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sessions.run_rows import RUN_COLUMNS, WAIT_COLUMNS

OPEN_STATUSES = ("running", "waiting", "unknown")
"""What has not ended. Who waits for a person is parked."""
OPEN = f"({', '.join(repr(status) for status in OPEN_STATUSES)})"

_RUN = ", ".join(
    f"r.{name}"
    for name in (
        *("id", "workflow", "inputs", "status", "created_at", "owner", "conversation_id", "message_id"),
        *("force_model", "epoch", "ended_at", "error", "cancel_requested", "digest", "process", "starts"),
        *("end_event", "row_order", "active", "prompt_tokens", "completion_tokens", "cost_usd", "parent_id"),
        *("root_id", "prefix", "depth", "part", "pins", "parked", "woken", "not_before", "priority", "dry"),
        *("limit_usd", "origin", "fault"),
    )
)
GET = (
    f"SELECT {_RUN}, d.yaml, coalesce(r.shape, d.shape) AS shape"
    " FROM runs r JOIN run_documents d USING (digest) WHERE r.id = ?"
)
FIND = f"SELECT {_RUN}, '' AS yaml, '{{}}' AS shape FROM runs r"
NEWEST = "ORDER BY r.created_at DESC, r.no DESC LIMIT ?"
CHILDREN = f"{FIND} WHERE r.parent_id = ? ORDER BY r.no"
UNFINISHED = """
    SELECT r.id AS run_id, r.epoch, r.process, p.id, p.place, p.pid, p.born, p.beat_at
    FROM runs r LEFT JOIN processes p ON p.id = r.process
    WHERE r.status = 'running' AND r.parked = 0 AND (r.not_before IS NULL OR r.not_before <= ?)
    ORDER BY r.priority, r.no"""
UNOWNED = """
    SELECT r.id AS run_id, r.epoch FROM runs r WHERE r.status = 'running' AND r.parked = 0 AND r.process IS NULL
    AND (r.not_before IS NULL OR r.not_before <= ?) ORDER BY r.priority, r.no"""
SIGNALS = """
    SELECT id, cancel_requested, woken FROM runs
    WHERE process = ? AND status = 'running' AND (cancel_requested = 1 OR woken > woken_seen) ORDER BY no"""

DOCUMENT = "SELECT yaml, shape FROM run_documents WHERE digest = ?"
KEEP_DOCUMENT = (
    "INSERT INTO run_documents (digest, yaml, shape) VALUES (?, ?, ?) ON CONFLICT (digest) DO NOTHING"
)
SHAPE_DOCUMENT = "UPDATE run_documents SET shape = ? WHERE digest = ? AND shape = '{}'"
INSERT_RUN = (
    f"INSERT INTO runs ({', '.join(RUN_COLUMNS)}) VALUES ({', '.join('?' * len(RUN_COLUMNS))})"
    " ON CONFLICT (id) DO NOTHING"
)

FENCED = "no, id, epoch, status, process, parent_id, parked, woken, parked_as, asked, claimed_at"
FENCE = f"SELECT {FENCED} FROM runs WHERE id = ?"
END_RUN = """
    UPDATE runs SET status = ?, ended_at = ?, error = ?, end_event = ?, row_order = ?, prompt_tokens = ?,
    completion_tokens = ?, cost_usd = ?, fault = ? WHERE no = ?"""
PARK_RUN = """
    UPDATE runs SET status = ?, parked_as = ?, parked = 1, process = NULL, active = active + ?, claimed_at = ?
    WHERE no = ?"""
WAKE_RUN = "UPDATE runs SET woken = woken + 1, status = 'running', parked = 0 WHERE no = ?"
CLAIM_RUN = """
    UPDATE runs SET epoch = epoch + 1, process = ?, active = active + ?, claimed_at = ?, woken_seen = woken
    WHERE no = ?"""

INSERT_WAIT = (
    f"INSERT INTO waits ({', '.join(WAIT_COLUMNS)}) VALUES ({', '.join('?' * len(WAIT_COLUMNS))})"
    " ON CONFLICT (run_id, path, iteration, attempt) DO NOTHING"
)
ASKED = "UPDATE runs SET asked = 1 WHERE no = ?"
CLOSE_WAITS = "UPDATE waits SET closed = 1 WHERE run_id = ?"
CLOSE_VISIT = """
    UPDATE waits SET closed = 1 WHERE run_id = ? AND node = ? AND iteration = ? AND closed = 0
    AND answered_at IS NULL"""
ALL_WAITS = "SELECT w.* FROM waits w WHERE 1 = 1"
WAITS = "SELECT w.* FROM waits w WHERE w.closed = 0"
NEWEST_WAITS = "ORDER BY w.created_at DESC, w.no DESC LIMIT ?"
OLDEST_WAITS = "ORDER BY w.created_at, w.no LIMIT ?"
WAITS_AT = """
    SELECT w.* FROM waits w WHERE w.run_id = ? AND w.path = ? AND w.iteration = ?
    ORDER BY w.answered_at IS NOT NULL, w.attempt DESC, w.no LIMIT 1"""
ANSWER = "UPDATE waits SET answer = ?, answered_at = ?, answered_by = ? WHERE no = ? AND answered_at IS NULL"

TREE = f"""
    WITH RECURSIVE tree (id) AS (
        SELECT id FROM runs WHERE id = ? AND status IN {OPEN}
        UNION SELECT r.id FROM runs r JOIN tree ON r.parent_id = tree.id
    )
    SELECT r.no, r.id, r.parked FROM runs r WHERE r.id IN (SELECT id FROM tree) AND r.status IN {OPEN}
    ORDER BY r.id"""
CANCEL_RUN = """
    UPDATE runs SET cancel_requested = 1, woken = woken + parked, status = 'running', parked = 0 WHERE no = ?"""

RENAME_WORKFLOW = "UPDATE runs SET workflow = ? WHERE owner = ? AND workflow = ?"
WHOLE_TREE = """
    WITH RECURSIVE tree (id) AS (
        SELECT id FROM runs WHERE id = ? UNION SELECT r.id FROM runs r JOIN tree ON r.parent_id = tree.id
    )
    SELECT r.no, r.id, r.status, r.digest, r.pins FROM runs r WHERE r.id IN (SELECT id FROM tree) ORDER BY r.id"""
OWNED = "SELECT r.no, r.id, r.status, r.digest, r.pins FROM runs r WHERE r.owner = ? ORDER BY r.id"
DELETE_RUN = (
    "DELETE FROM waits WHERE run_id = ?",
    "DELETE FROM run_budgets WHERE root_id = ?",
    "DELETE FROM run_reservations WHERE root_id = ?",
    "DELETE FROM runs WHERE id = ?",
)
DELETE_DOCUMENT = """
    DELETE FROM run_documents WHERE digest = ? AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.digest = ?)
    AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.pins LIKE ?)"""

PROCESS = "SELECT id, place, pid, born, beat_at FROM processes WHERE id = ?"
BEAT = """
    INSERT INTO processes (id, place, pid, born, beat_at) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET place = excluded.place, pid = excluded.pid, born = excluded.born,
    beat_at = excluded.beat_at"""
FORGET = """
    DELETE FROM processes WHERE beat_at < ?
    AND id NOT IN (SELECT process FROM runs WHERE status = 'running' AND process IS NOT NULL)"""
LEAVE = "DELETE FROM processes WHERE id = ?"

OPEN_BUDGET = (
    "INSERT INTO run_budgets (root_id, spent, reserved) VALUES (?, 0, 0) ON CONFLICT (root_id) DO NOTHING"
)
BUDGET = "SELECT spent, reserved FROM run_budgets WHERE root_id = ?"
HELD = """
    SELECT r.spent, r.reserved,
           coalesce((SELECT amount FROM run_reservations h WHERE h.root_id = r.root_id AND h.key = ?), 0) AS held
    FROM run_budgets r WHERE r.root_id = ?"""
RESERVE = """
    INSERT INTO run_reservations (root_id, key, amount) VALUES (?, ?, ?)
    ON CONFLICT (root_id, key) DO UPDATE SET amount = excluded.amount"""
RELEASE = "DELETE FROM run_reservations WHERE root_id = ? AND key = ?"
CHANGE_BUDGET = "UPDATE run_budgets SET spent = spent + ?, reserved = reserved + ? WHERE root_id = ?"


def which_runs(
    owner: str | None,
    workflow: str | None,
    conversation_id: str | None,
    status: str | None,
    before: float | None,
    since: float | None,
    *,
    children: bool,
) -> tuple[str, list[object]]:
    """The condition of RunStore.find, and its values."""
    tests = {
        "r.owner = ?": owner,
        "r.workflow = ?": workflow,
        "r.conversation_id = ?": conversation_id,
        "r.status = ?": status,
        "r.created_at < ?": before,
        "r.created_at >= ?": since,
    }
    return _all_of(tests, [] if children else ["r.parent_id IS NULL"])


def which_waits(
    run_id: str | None,
    root_id: str | None,
    owner: str | None,
    conversation_id: str | None,
    answered: bool | None,
    due_before: float | None,
) -> tuple[str, list[object]]:
    """The condition of RunStore.waits, and its values."""
    tests = {
        "w.run_id = ?": run_id,
        "w.root_id = ?": root_id,
        "w.owner = ?": owner,
        "w.conversation_id = ?": conversation_id,
        "w.due_at <= ?": due_before,
    }
    answers = {None: [], False: ["w.answered_at IS NULL"], True: ["w.answered_at IS NOT NULL"]}
    return _all_of(tests, answers[answered])


def where_waits(at: Collection[str], under: str | None, iteration: int | None) -> tuple[str, list[object]]:
    """The condition on where in its run a wait is, and its values."""
    tests: list[str] = []
    values: list[object] = []
    if at:
        places = ", ".join("?" * len(at))
        tests.append(f"(w.path IN ({places}) OR w.node IN ({places}))")
        values += [*at, *at]
    if under:
        tests.append("substr(w.path, 1, ?) = ?")
        values += [len(under), under]
    if iteration is not None:
        tests.append("w.iteration = ?")
        values.append(iteration)
    return " AND ".join(tests) or "1 = 1", values


def _all_of(tests: Mapping[str, object], plain: Sequence[str]) -> tuple[str, list[object]]:
    """Joined by AND: the tests whose value is given, and those without one."""
    given = {test: value for test, value in tests.items() if value is not None}
    return " AND ".join([*given, *plain]) or "1 = 1", list(given.values())
