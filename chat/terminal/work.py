"""`app.py worker`: execute what others start, on as many machines as one likes; and start what is scheduled."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
from types import FrameType

from chat.terminal.house import House


def work(house: House, arguments: argparse.Namespace) -> int:
    """Execute runs until told to stop, then let go of them within two seconds. Exit 0 after an orderly stop."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    return asyncio.run(_work(house, arguments.concurrency))


async def _work(house: House, slots: int) -> int:
    stop = _told_to_stop()
    try:
        await house.engine.work(slots)
        house.timetable.start()
        place = house.postgres.place if house.postgres is not None else house.database_path
        runs = "1 run" if slots == 1 else f"up to {slots} runs at once"
        print(f"Parlance {house.version}: this worker executes {runs} of PostgreSQL at {place}.", flush=True)
        await stop.wait()
        await house.timetable.close()
    finally:
        await house.close()
    print("Stopped; other workers go on with what ran here.", flush=True)
    return 0


def _told_to_stop() -> asyncio.Event:
    """Set by SIGTERM and Ctrl-C; the handler is the system's, which every system has."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def told(number: int, frame: FrameType | None) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(stop.set)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told)
    return stop
