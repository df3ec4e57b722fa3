"""`app.py serve`: the page and the HTTP API."""

from __future__ import annotations

import argparse

from chat.terminal.house import House


def serve(house: House, arguments: argparse.Namespace) -> int:
    """Serve until told to stop. Exit 0 after an orderly stop."""
    house.serve(
        house.host if arguments.host is None else arguments.host,
        house.port if arguments.port is None else arguments.port,
    )
    return 0
