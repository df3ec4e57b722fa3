"""How long what must be quick may take in a test: its own bar in the soak, eight times that on any machine.

A machine that is slow, or busy with something else, is no fault of ours; what hangs still is one.
"""

from __future__ import annotations

import os


def within(seconds: float) -> float:
    """The bound, in seconds, for what is to take at most so many."""
    return seconds if os.environ.get("PARLANCE_SOAK") else 8 * seconds
