"""A process that claims whatever it finds, as fast as it can; prints what it got, one id a line."""

from __future__ import annotations

import asyncio
import sys

from tests.contracts.stores import opened


async def main(kind: str, where: str, name: str, until: str) -> None:
    with opened(kind, where) as store:
        while True:
            found = await store.unfinished()
            free = [(run_id, epoch) for run_id, epoch, owner, _ in found if owner is None]
            if not free and any(run_id == until for run_id, *_ in found):
                return
            for run_id, epoch in free:
                if await store.claim(run_id, epoch, name) is not None:
                    print(run_id, flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
