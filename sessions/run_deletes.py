"""Forgetting runs, on SQLite and on PostgreSQL alike: one that has ended with all below it, or all of an owner's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from engine.errors import Conflict
from sessions import run_sql as sql
from sessions.run_rows import Columns, clean, no_run
from sessions.run_writes import Connection, RunWrites


def delete_tree(writes: RunWrites, connection: Connection, run_id: str) -> list[str]:
    """See RunStore.delete."""
    root = writes.fence(connection, run_id)
    if root is None:
        raise no_run(run_id)
    if root["parent_id"] is not None:
        raise Conflict(
            f"Run {run_id} is part of run {root['parent_id']}.", "Delete that one; its parts go with it."
        )
    tree = connection.execute(sql.WHOLE_TREE, (clean(run_id),)).fetchall()
    going = [run["id"] for run in tree if run["status"] in sql.OPEN_STATUSES]
    if going:
        below = "" if root["id"] in going else " below it"
        raise Conflict(f"Run {run_id} has not ended{below}.", "Cancel it, and delete it when it has ended.")
    _delete(writes, connection, tree)
    return [root["id"], *(run["id"] for run in tree if run["id"] != root["id"])]


def erase_owner(writes: RunWrites, connection: Connection, owner: str) -> int:
    """See RunStore.erase."""
    runs = connection.execute(sql.OWNED + writes.locking, (clean(owner),)).fetchall()
    _delete(writes, connection, runs)
    return len(runs)


def _delete(writes: RunWrites, connection: Connection, runs: Sequence[Columns]) -> None:
    if not runs:
        return
    writes.delete_rows(connection, [run["no"] for run in runs])
    for statement in (*sql.DELETE_RUN, *writes.delete_more):
        connection.executemany(statement, [(run["id"],) for run in runs])
    for run in runs:
        writes.changed(connection, run["id"])
    documents = list(_documents(runs))
    writes.lock_documents(connection, documents)
    connection.executemany(
        sql.DELETE_DOCUMENT, [(digest, digest, f'%"{clean(digest)}"%') for digest in documents]
    )


def _documents(runs: Iterable[Columns]) -> dict[str, None]:
    """The digests of the documents that the runs have, or could have started, each once."""
    found: dict[str, None] = {}
    for run in runs:
        found[run["digest"]] = None
        found.update(dict.fromkeys(json.loads(run["pins"] or "{}").values()))
    return dict(sorted(found.items()))
