"""The page's side where workers execute runs: what is said while there is none, and what comes once there is one."""

from __future__ import annotations

from pathlib import Path

import pytest

from chat.events import Step
from chat.parts import Parts
from chat.service import ChatService
from engine.engine import Engine
from sessions.dbos_dispatch import NO_WORKER, for_workers
from sessions.postgres import open_postgres
from sessions.postgres_runs import PostgresRunStore
from tests.chat.house import QUICK, TestHouse, eventually

pytestmark = pytest.mark.slow


async def test_a_message_says_that_its_run_waits_for_a_worker(tmp_path: Path, postgres_url: str) -> None:
    house = TestHouse(tmp_path)
    postgres = open_postgres(postgres_url)
    made = [
        Engine(PostgresRunStore(postgres), house.models, house.tools, dispatcher=dispatcher)
        for dispatcher in (for_workers(postgres, postgres_url, version) for version in ("page", "worker"))
    ]
    page, worker = made
    service = ChatService(house.db, page, house.models, house.tools, house.assistant)
    talk = (await service.create("ann")).id
    run_id = await service.start_run("ann", talk, {"who": "Ann"}, QUICK)
    (card,) = (await service.get("ann", talk)).messages

    async def steps() -> list[Step]:
        message = await service.message("ann", talk, card.id)
        return [event for event in Parts(message.parts).events() if isinstance(event, Step)]

    async def waits() -> bool:
        return [(step.title, step.status) for step in await steps()] == [(NO_WORKER, "running")]

    async def ended() -> bool:
        return (await service.message("ann", talk, card.id)).status == "ok"

    await eventually(waits)
    await worker.work(1)
    await eventually(ended)
    assert (await service.view_run("ann", run_id))["outputs"] == {"greeting": "Hello Ann"}
    assert "running" not in {step.status for step in await steps()}
    await service.close()
    for engine in reversed(made):
        await engine.close()
    postgres.close()
    await house.close()
