"""The engine as everybody else sees it: start, follow, show, cancel and recover runs of workflows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from engine.ports import Clock, ModelClient, RunEvent, RunStore
from engine.workflow import Workflow

if TYPE_CHECKING:
    from tools.registry import ToolRegistry


class Engine:
    """Runs workflows. One per process and store."""

    def __init__(
        self,
        store: RunStore,
        models: ModelClient,
        tools: ToolRegistry,
        *,
        clock: Clock | None = None,
        process: str | None = None,
    ) -> None:
        raise NotImplementedError

    async def start(
        self,
        workflow: Workflow,
        inputs: Mapping[str, Any],
        *,
        owner: str = "local",
        conversation_id: str | None = None,
        message_id: str | None = None,
        force_model: str | None = None,
    ) -> str:
        raise NotImplementedError

    async def wait(self, run_id: str) -> dict[str, Any]:
        raise NotImplementedError

    async def run(self, workflow: Workflow, inputs: Mapping[str, Any], **options: Any) -> dict[str, Any]:
        return await self.wait(await self.start(workflow, inputs, **options))

    async def cancel(self, run_id: str) -> None:
        raise NotImplementedError

    def events(self, run_id: str, after: int = 0) -> AsyncIterator[RunEvent]:
        raise NotImplementedError

    async def view(self, run_id: str) -> dict[str, Any]:
        raise NotImplementedError

    async def runs(self, *, owner: str = "local", limit: int = 50) -> list[dict[str, Any]]:
        raise NotImplementedError

    async def recover(self) -> list[str]:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError
