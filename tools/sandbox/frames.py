"""How pool and worker talk over a pipe: one byte that says what it is, four for the length, then UTF-8 text."""

from __future__ import annotations

import struct

HEADER = struct.Struct(">cI")

HELLO = b"H"  # worker: ready for a run
BROKEN = b"X"  # worker: cannot start; the reason
RUN = b"R"  # pool: two lines of JSON, the limits for the worker and the request for the guest
PRINTED = b"P"  # worker: text that the code printed
TOOL = b"T"  # worker: JSON as the code gave it, {name, args}
ANSWER = b"A"  # pool: JSON, {value} or {error, retry}
REPORT = b"E"  # worker: the guest's own report, JSON as it gave it
DONE = b"D"  # worker: JSON {ended, detail}: how the run ended as the worker saw it


def pack(kind: bytes, text: str) -> bytes:
    """One frame."""
    payload = text.encode("utf-8", "surrogatepass")
    return HEADER.pack(kind, len(payload)) + payload
