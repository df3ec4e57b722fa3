"""Which process owns a run, and whether it still lives: told by the system where it can be, else by its heartbeat."""

from __future__ import annotations

import os
import socket
import uuid
from functools import cache
from pathlib import Path

from engine.ports import Process

SILENT = 30.0
"""Seconds without a heartbeat after which a process that can't be looked at counts as gone."""


def this_process(name: str | None, now: float) -> Process:
    """This process, under a name that no other one has."""
    pid = os.getpid()
    return Process(name or uuid.uuid4().hex[:12], place(), pid, born(pid), now)


def is_gone(process: Process, now: float) -> bool:
    """Whether the process has ended, for all that can be known here.

    In the same place the system is asked, so that one that is only stopped or slow keeps its runs.
    """
    host, boot, space = process.place.split("|")
    here_host, here_boot, here_space = place().split("|")
    silent = now - process.beat_at > SILENT
    if host != here_host:
        return silent
    if boot != here_boot:
        return True
    if space != here_space or os.name == "nt":
        return silent
    if not _exists(process.pid):
        return True
    if process.born is None:
        return silent
    return born(process.pid) != process.born


@cache
def place() -> str:
    """The machine's name, its boot, and the space its process ids belong to (containers have their own)."""
    return "|".join(
        (socket.gethostname(), _read("/proc/sys/kernel/random/boot_id"), _link("/proc/self/ns/pid"))
    )


def born(pid: int) -> str | None:
    """When a process started, as the system counts; None where it has ended or the system does not tell."""
    stat = _read(f"/proc/{pid}/stat")
    fields = stat.rpartition(")")[2].split()
    if len(fields) < 20 or fields[0] in "ZX":
        return None
    return fields[19]


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
