"""The schema as ordered steps: what is new goes at the end of MIGRATIONS, what has shipped never changes.

Each step runs once, in its own transaction, when a database opens that has not seen it yet.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from engine.errors import StoreError

Migration = Callable[[sqlite3.Connection], None]


def create_runs(connection: sqlite3.Connection) -> None:
    """Runs, their documents (each text once) and their rows.

    The key of a row is `runs.no << 20 | seq`: the rows of a run lie together and need no second index.
    """
    connection.execute(
        "CREATE TABLE run_documents (digest TEXT PRIMARY KEY, yaml TEXT NOT NULL, shape TEXT NOT NULL)"
    )
    connection.execute("""
        CREATE TABLE runs (
            no INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, workflow TEXT NOT NULL, digest TEXT NOT NULL,
            owner TEXT NOT NULL, conversation_id TEXT, message_id TEXT, force_model TEXT,
            inputs TEXT NOT NULL, starts TEXT NOT NULL, status TEXT NOT NULL, error TEXT,
            created_at REAL NOT NULL, claimed_at REAL NOT NULL, ended_at REAL, active REAL NOT NULL DEFAULT 0,
            epoch INTEGER NOT NULL, process TEXT, cancel_requested INTEGER NOT NULL DEFAULT 0,
            end_event INTEGER, row_order TEXT,
            prompt_tokens INTEGER, completion_tokens INTEGER, cost_usd REAL
        )""")
    connection.execute("CREATE INDEX runs_newest ON runs (owner, created_at)")
    connection.execute("CREATE INDEX runs_running ON runs (process) WHERE status = 'running'")
    connection.execute(
        "CREATE INDEX runs_conversation ON runs (conversation_id) WHERE conversation_id IS NOT NULL"
    )
    connection.execute("""
        CREATE TABLE node_rows (
            key INTEGER PRIMARY KEY, path TEXT, node TEXT NOT NULL, kind TEXT NOT NULL,
            iteration INTEGER NOT NULL, attempt INTEGER NOT NULL, status TEXT NOT NULL,
            started_at REAL NOT NULL, ended_at REAL NOT NULL, writes TEXT, fired TEXT, starts TEXT,
            event INTEGER NOT NULL, model TEXT, prompt_tokens INTEGER, completion_tokens INTEGER,
            cost_usd REAL, error TEXT
        )""")
    connection.execute("""
        CREATE TABLE processes (
            id TEXT PRIMARY KEY, place TEXT NOT NULL, pid INTEGER NOT NULL, born TEXT, beat_at REAL NOT NULL
        )""")


def create_conversations(connection: sqlite3.Connection) -> None:
    """Conversations, their messages, what came in, and the runs whose result a message waits for.

    The index holds the trigrams of messages that have ended: a growing answer is indexed once, at its end.
    """
    connection.execute("""
        CREATE TABLE conversations (
            id TEXT PRIMARY KEY, owner TEXT NOT NULL, title TEXT NOT NULL, named INTEGER NOT NULL,
            workflow TEXT, created_at REAL NOT NULL, updated_at REAL NOT NULL
        )""")
    connection.execute("CREATE INDEX conversations_newest ON conversations (owner, updated_at)")
    connection.execute("""
        CREATE TABLE messages (
            seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
            conversation_id TEXT NOT NULL REFERENCES conversations ON DELETE CASCADE,
            role TEXT NOT NULL, channel TEXT NOT NULL, external_id TEXT, reply_to TEXT,
            text TEXT NOT NULL, parts TEXT NOT NULL, status TEXT NOT NULL, phase TEXT, process TEXT,
            created_at REAL NOT NULL, ended_at REAL, hidden_at REAL
        )""")
    connection.execute("CREATE INDEX messages_conversation ON messages (conversation_id, seq)")
    connection.execute("CREATE INDEX messages_unfinished ON messages (seq) WHERE phase IS NOT NULL")
    connection.execute("""
        CREATE TABLE inbox (
            channel TEXT NOT NULL, external_id TEXT NOT NULL,
            conversation_id TEXT NOT NULL REFERENCES conversations ON DELETE CASCADE,
            answer_id TEXT NOT NULL, received_at REAL NOT NULL, PRIMARY KEY (channel, external_id)
        )""")
    connection.execute("CREATE INDEX inbox_conversation ON inbox (conversation_id)")
    connection.execute(
        "CREATE TABLE message_runs (run_id TEXT NOT NULL, message_id TEXT NOT NULL, ended_at REAL,"
        " PRIMARY KEY (run_id, message_id)) WITHOUT ROWID"
    )
    connection.execute("CREATE INDEX message_runs_open ON message_runs (message_id) WHERE ended_at IS NULL")
    connection.execute("""
        CREATE VIRTUAL TABLE messages_index USING fts5 (
            text, content = 'messages', content_rowid = 'seq', tokenize = 'trigram'
        )""")
    add = "INSERT INTO messages_index (rowid, text) VALUES (new.seq, new.text)"
    drop = "INSERT INTO messages_index (messages_index, rowid, text) VALUES ('delete', old.seq, old.text)"
    ended = "old.status = 'live' AND new.status <> 'live'"
    for name, event, condition, action in (
        ("added", "INSERT", "new.status <> 'live'", add),
        ("ended", "UPDATE OF status", ended, add),
        ("deleted", "DELETE", "old.status <> 'live'", drop),
    ):
        head = f"CREATE TRIGGER message_{name} AFTER {event} ON messages WHEN {condition}"
        connection.execute(f"{head} BEGIN {action}; END")


def create_workflows(connection: sqlite3.Connection) -> None:
    """Saved workflows by owner and name, and every version of them."""
    connection.execute("""
        CREATE TABLE workflows (
            owner TEXT NOT NULL, name TEXT NOT NULL, description TEXT NOT NULL,
            created_at REAL NOT NULL, updated_at REAL NOT NULL, PRIMARY KEY (owner, name)
        )""")
    connection.execute("""
        CREATE TABLE workflow_versions (
            owner TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, yaml TEXT NOT NULL,
            summary TEXT NOT NULL, message_id TEXT, created_at REAL NOT NULL,
            PRIMARY KEY (owner, name, version),
            FOREIGN KEY (owner, name) REFERENCES workflows ON DELETE CASCADE
        )""")


def create_waits(connection: sqlite3.Connection) -> None:
    """Runs that wait, are parts of others, start later, or have a budget; the questions they wait with.

    `root_id` is null where a run is its own root, `shape` where it is its document's. `parked_as` is the status
    with which a run was parked last, `woken_seen` what `woken` was when it was claimed, `asked` whether it has
    waits. A wait is `closed` when its run has ended. Money is counted in units of a trillionth of a dollar.
    """
    for column in (
        *("parent_id TEXT", "root_id TEXT", "prefix TEXT", "depth INTEGER NOT NULL DEFAULT 0", "part TEXT"),
        *("pins TEXT", "shape TEXT", "parked INTEGER NOT NULL DEFAULT 0", "parked_as TEXT"),
        *("woken INTEGER NOT NULL DEFAULT 0", "woken_seen INTEGER NOT NULL DEFAULT 0"),
        *("asked INTEGER NOT NULL DEFAULT 0", "not_before REAL", "priority INTEGER NOT NULL DEFAULT 0"),
        *("dry INTEGER NOT NULL DEFAULT 0", "limit_usd REAL", "origin TEXT"),
    ):
        connection.execute(f"ALTER TABLE runs ADD COLUMN {column}")
    connection.execute("CREATE INDEX runs_parent ON runs (parent_id) WHERE parent_id IS NOT NULL")
    connection.execute("CREATE INDEX runs_roots ON runs (owner, created_at) WHERE parent_id IS NULL")
    connection.execute(
        "CREATE INDEX runs_claimable ON runs (priority, no) WHERE status = 'running' AND parked = 0"
    )
    connection.execute("""
        CREATE TABLE waits (
            no INTEGER PRIMARY KEY, run_id TEXT NOT NULL, root_id TEXT NOT NULL, path TEXT NOT NULL,
            node TEXT NOT NULL, iteration INTEGER NOT NULL, attempt INTEGER NOT NULL, kind TEXT NOT NULL,
            question TEXT NOT NULL, options TEXT NOT NULL, preset TEXT, has_default INTEGER NOT NULL,
            due_at REAL, owner TEXT NOT NULL, conversation_id TEXT, created_at REAL NOT NULL,
            answer TEXT, answered_at REAL, answered_by TEXT, closed INTEGER NOT NULL DEFAULT 0,
            UNIQUE (run_id, path, iteration, attempt)
        )""")
    connection.execute("CREATE INDEX waits_root ON waits (root_id)")
    still = "WHERE closed = 0 AND answered_at IS NULL"
    connection.execute(f"CREATE INDEX waits_due ON waits (due_at) {still} AND due_at IS NOT NULL")
    connection.execute(f"CREATE INDEX waits_owner ON waits (owner, created_at) {still}")
    connection.execute(f"CREATE INDEX waits_conversation ON waits (conversation_id) {still}")
    connection.execute(
        "CREATE TABLE run_budgets (root_id TEXT PRIMARY KEY, spent INTEGER NOT NULL, reserved INTEGER NOT NULL)"
    )
    connection.execute("""
        CREATE TABLE run_reservations (
            root_id TEXT NOT NULL, key TEXT NOT NULL, amount INTEGER NOT NULL, PRIMARY KEY (root_id, key)
        ) WITHOUT ROWID""")


def create_limits(connection: sqlite3.Connection) -> None:
    """The calls that are made to limited model providers, those that wait for a place, and the buckets."""
    connection.execute("""
        CREATE TABLE limit_levels (
            provider TEXT PRIMARY KEY, requests REAL, tokens REAL, at REAL NOT NULL, paused_until REAL NOT NULL
        ) WITHOUT ROWID""")
    connection.execute("""
        CREATE TABLE limit_leases (
            id TEXT PRIMARY KEY, provider TEXT NOT NULL, holder TEXT NOT NULL, place TEXT NOT NULL,
            pid INTEGER NOT NULL, born TEXT, expires_at REAL NOT NULL
        ) WITHOUT ROWID""")
    connection.execute("""
        CREATE TABLE limit_line (
            id TEXT PRIMARY KEY, provider TEXT NOT NULL, holder TEXT NOT NULL, place TEXT NOT NULL,
            pid INTEGER NOT NULL, born TEXT, since REAL NOT NULL, expires_at REAL NOT NULL
        ) WITHOUT ROWID""")


def create_schedules(connection: sqlite3.Connection) -> None:
    """Runs that start by the clock."""
    connection.execute("""
        CREATE TABLE schedules (
            id TEXT PRIMARY KEY, owner TEXT NOT NULL, workflow TEXT NOT NULL, yaml TEXT NOT NULL,
            cron TEXT NOT NULL, timezone TEXT NOT NULL, created_at REAL NOT NULL, inputs TEXT NOT NULL,
            saved INTEGER NOT NULL, overlap INTEGER NOT NULL, paused INTEGER NOT NULL, next_at REAL, pending_at REAL,
            pending_missed INTEGER NOT NULL, last_at REAL, last_run_id TEXT, missed INTEGER NOT NULL,
            skipped INTEGER NOT NULL, note TEXT, revision INTEGER NOT NULL
        )""")


def add_version_origin(connection: sqlite3.Connection) -> None:
    """Who made a version, the words and the message that asked for it, what was proved of it; archived workflows;
    what people prefer.
    """
    for column in ("author TEXT", "request TEXT", "request_id TEXT", "conversation_id TEXT", "proof TEXT"):
        connection.execute(f"ALTER TABLE workflow_versions ADD COLUMN {column}")
    connection.execute("ALTER TABLE workflows ADD COLUMN archived INTEGER NOT NULL DEFAULT 0")
    connection.execute(
        "CREATE TABLE preferences (owner TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,"
        " PRIMARY KEY (owner, name)) WITHOUT ROWID"
    )


def create_workflow_tests(connection: sqlite3.Connection) -> None:
    """Tests of saved workflows; they follow their workflow when it is renamed, and go with it."""
    connection.execute("""
        CREATE TABLE workflow_tests (
            id TEXT PRIMARY KEY, owner TEXT NOT NULL, workflow TEXT NOT NULL, title TEXT NOT NULL,
            quote TEXT NOT NULL, case_json TEXT NOT NULL, message_id TEXT, created_at REAL NOT NULL,
            FOREIGN KEY (owner, workflow) REFERENCES workflows (owner, name) ON UPDATE CASCADE ON DELETE CASCADE
        )""")
    connection.execute("CREATE INDEX workflow_tests_workflow ON workflow_tests (owner, workflow)")


def create_assistant_tables(connection: sqlite3.Connection) -> None:
    """What the assistant's own calls use per day, and the summaries of long conversations."""
    connection.execute("""
        CREATE TABLE assistant_spending (
            owner TEXT NOT NULL, day TEXT NOT NULL, model TEXT NOT NULL, calls INTEGER NOT NULL,
            prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, uncounted INTEGER NOT NULL,
            cost INTEGER NOT NULL, unpriced INTEGER NOT NULL, PRIMARY KEY (owner, day, model)
        ) WITHOUT ROWID""")
    connection.execute("""
        CREATE TABLE conversation_summaries (
            conversation_id TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
            message_id TEXT NOT NULL, text TEXT NOT NULL, created_at REAL NOT NULL,
            PRIMARY KEY (conversation_id, message_id)
        ) WITHOUT ROWID""")


def add_files(connection: sqlite3.Connection) -> None:
    """What is attached to messages or given to runs; the bytes are in a folder, under the ids."""
    connection.execute("""
        CREATE TABLE files (
            id TEXT PRIMARY KEY, owner TEXT NOT NULL,
            conversation_id TEXT REFERENCES conversations (id) ON DELETE CASCADE,
            message_id TEXT, name TEXT NOT NULL, media_type TEXT NOT NULL, size INTEGER NOT NULL,
            sha256 TEXT NOT NULL, details TEXT NOT NULL, kept INTEGER NOT NULL DEFAULT 0, created_at REAL NOT NULL
        )""")
    connection.execute("CREATE INDEX files_conversation ON files (conversation_id)")


def add_faults(connection: sqlite3.Connection) -> None:
    """What is kept of an error for programs, with the row and with the run; and where a schedule was made."""
    connection.execute("ALTER TABLE runs ADD COLUMN fault TEXT")
    connection.execute("ALTER TABLE node_rows ADD COLUMN fault TEXT")
    connection.execute("ALTER TABLE schedules ADD COLUMN conversation_id TEXT")


MIGRATIONS: list[tuple[str, Migration]] = [
    ("create_runs", create_runs),
    ("create_conversations", create_conversations),
    ("create_workflows", create_workflows),
    ("create_waits", create_waits),
    ("create_limits", create_limits),
    ("create_schedules", create_schedules),
    ("add_version_origin", add_version_origin),
    ("create_workflow_tests", create_workflow_tests),
    ("create_assistant_tables", create_assistant_tables),
    ("add_faults", add_faults),
    ("add_files", add_files),
]


def migrate(connection: sqlite3.Connection) -> None:
    """Apply the steps that this database has not seen, in order. `connection` is in autocommit mode."""
    connection.execute(
        "CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, applied_at TEXT NOT NULL)"
    )
    seen = _seen(connection)
    if unknown := seen - {name for name, _ in MIGRATIONS}:
        raise StoreError(
            f"The database was made by a newer Parlance (it has {min(unknown)}).",
            "Update Parlance, or point PARLANCE_HOME at another folder.",
        )
    for name, step in MIGRATIONS:
        if name not in seen:
            _apply(connection, name, step)


def _seen(connection: sqlite3.Connection) -> set[str]:
    return {row[0] for row in connection.execute("SELECT name FROM migrations")}


def _apply(connection: sqlite3.Connection, name: str, step: Migration) -> None:
    """One step in one transaction; another process may have been faster."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if name not in _seen(connection):
            step(connection)
            connection.execute("INSERT INTO migrations VALUES (?, datetime('now'))", (name,))
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
