"""The schema on PostgreSQL as ordered steps: what is new goes at the end, what has shipped never changes.

All steps that a database has not seen run in one transaction, under a lock that keeps other processes waiting.
"""

from __future__ import annotations

from typing import Any

import psycopg

from engine.errors import StoreError

SCHEMA = "parlance"
"""All tables are in a schema of their own, so that the database may serve others too."""
_LOCK = 7_268_451_129_043
"""Any number will do, as long as all versions use the same."""

_RUNS = """
    CREATE TABLE run_documents (digest text PRIMARY KEY, yaml text NOT NULL, shape text NOT NULL);
    CREATE TABLE runs (
        no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id text NOT NULL UNIQUE, workflow text NOT NULL,
        digest text NOT NULL, owner text NOT NULL, conversation_id text, message_id text, force_model text,
        inputs text NOT NULL, starts text NOT NULL, status text NOT NULL, error text,
        created_at float8 NOT NULL, claimed_at float8 NOT NULL, ended_at float8,
        active float8 NOT NULL DEFAULT 0, epoch bigint NOT NULL, process text,
        cancel_requested integer NOT NULL DEFAULT 0, end_event bigint, row_order text,
        prompt_tokens bigint, completion_tokens bigint, cost_usd float8,
        parent_id text, root_id text, prefix text, depth integer NOT NULL DEFAULT 0, part text, pins text,
        shape text, parked integer NOT NULL DEFAULT 0, parked_as text, woken bigint NOT NULL DEFAULT 0,
        woken_seen bigint NOT NULL DEFAULT 0, asked integer NOT NULL DEFAULT 0, not_before float8,
        priority bigint NOT NULL DEFAULT 0, dry integer NOT NULL DEFAULT 0, limit_usd float8, origin text
    );
    CREATE INDEX runs_newest ON runs (owner, created_at);
    CREATE INDEX runs_roots ON runs (owner, created_at) WHERE parent_id IS NULL;
    CREATE INDEX runs_running ON runs (process) WHERE status = 'running';
    CREATE INDEX runs_claimable ON runs (priority, no) WHERE status = 'running' AND parked = 0;
    CREATE INDEX runs_conversation ON runs (conversation_id) WHERE conversation_id IS NOT NULL;
    CREATE INDEX runs_parent ON runs (parent_id) WHERE parent_id IS NOT NULL;
    CREATE TABLE node_rows (
        run_no bigint NOT NULL, seq bigint NOT NULL, path text, node text NOT NULL, kind text NOT NULL,
        iteration bigint NOT NULL, attempt bigint NOT NULL, status text NOT NULL,
        started_at float8 NOT NULL, ended_at float8 NOT NULL, writes text, fired text, starts text,
        event bigint NOT NULL, model text, prompt_tokens bigint, completion_tokens bigint,
        cost_usd float8, error text, PRIMARY KEY (run_no, seq)
    );
    CREATE TABLE processes (
        id text PRIMARY KEY, place text NOT NULL, pid bigint NOT NULL, born text, beat_at float8 NOT NULL
    );
    CREATE TABLE waits (
        no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, run_id text NOT NULL, root_id text NOT NULL,
        path text NOT NULL, node text NOT NULL, iteration bigint NOT NULL, attempt bigint NOT NULL,
        kind text NOT NULL, question text NOT NULL, options text NOT NULL, preset text,
        has_default integer NOT NULL, due_at float8, owner text NOT NULL, conversation_id text,
        created_at float8 NOT NULL, answer text, answered_at float8, answered_by text,
        closed integer NOT NULL DEFAULT 0, UNIQUE (run_id, path, iteration, attempt)
    );
    CREATE INDEX waits_root ON waits (root_id);
    CREATE INDEX waits_due ON waits (due_at) WHERE closed = 0 AND answered_at IS NULL AND due_at IS NOT NULL;
    CREATE INDEX waits_owner ON waits (owner, created_at) WHERE closed = 0 AND answered_at IS NULL;
    CREATE INDEX waits_conversation ON waits (conversation_id) WHERE closed = 0 AND answered_at IS NULL;
    CREATE TABLE run_budgets (root_id text PRIMARY KEY, spent bigint NOT NULL, reserved bigint NOT NULL);
    CREATE TABLE run_reservations (
        root_id text NOT NULL, key text NOT NULL, amount bigint NOT NULL, PRIMARY KEY (root_id, key)
    );
"""

_SCHEDULES = """
    CREATE TABLE schedules (
        id text PRIMARY KEY, owner text NOT NULL, workflow text NOT NULL, yaml text NOT NULL, cron text NOT NULL,
        timezone text NOT NULL, created_at float8 NOT NULL, inputs text NOT NULL, saved integer NOT NULL,
        overlap integer NOT NULL, paused integer NOT NULL, next_at float8, pending_at float8,
        pending_missed integer NOT NULL, last_at float8, last_run_id text, missed integer NOT NULL,
        skipped integer NOT NULL, note text, revision bigint NOT NULL
    );
"""
_WORKERS = """
    CREATE TABLE workers (id text PRIMARY KEY, version text NOT NULL, slots integer NOT NULL);
    CREATE TABLE run_deaths (run_id text PRIMARY KEY, deaths integer NOT NULL, seq bigint NOT NULL);
"""

_LIMITS = """
    CREATE TABLE limit_levels (
        provider text PRIMARY KEY, requests float8, tokens float8, at float8 NOT NULL, paused_until float8 NOT NULL
    );
    CREATE TABLE limit_leases (
        id text PRIMARY KEY, provider text NOT NULL, holder text NOT NULL, place text NOT NULL,
        pid bigint NOT NULL, born text, expires_at float8 NOT NULL
    );
    CREATE TABLE limit_line (
        id text PRIMARY KEY, provider text NOT NULL, holder text NOT NULL, place text NOT NULL,
        pid bigint NOT NULL, born text, since float8 NOT NULL, expires_at float8 NOT NULL
    );
"""
_FAULTS = """
    ALTER TABLE runs ADD COLUMN fault text;
    ALTER TABLE node_rows ADD COLUMN fault text;
    ALTER TABLE schedules ADD COLUMN conversation_id text;
"""

MIGRATIONS: list[tuple[str, str]] = [
    ("create_runs", _RUNS),
    ("create_schedules", _SCHEDULES),
    ("create_workers", _WORKERS),
    ("create_limits", _LIMITS),
    ("add_faults", _FAULTS),
]


def migrate(connection: psycopg.Connection[Any]) -> None:
    """Apply the steps that this database has not seen, in order. StoreError when a newer version made it."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        if connection.execute("SELECT to_regnamespace(%s) IS NULL AS missing", (SCHEMA,)).fetchone()[0]:  # type: ignore[index]
            connection.execute(f"CREATE SCHEMA {SCHEMA}")
        connection.execute(f"SET LOCAL search_path TO {SCHEMA}")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY, applied_at timestamptz NOT NULL)"
        )
        seen = {row[0] for row in connection.execute("SELECT name FROM migrations")}
        if unknown := seen - {name for name, _ in MIGRATIONS}:
            raise StoreError(
                f"The database was made by a newer Parlance (it has {min(unknown)}).",
                "Update Parlance, or point PARLANCE_DATABASE_URL at another database.",
            )
        for name, step in MIGRATIONS:
            if name not in seen:
                connection.execute(step.encode())
                connection.execute("INSERT INTO migrations VALUES (%s, now())", (name,))
