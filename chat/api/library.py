"""The addresses of saved workflows. A name may have slashes, so those with a word behind the name come first."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body

from chat.api.login import OWNER
from chat.api.shapes import ChangeWorkflow, Check, CopyWorkflow
from chat.service import ChatService


def library_routes(router: APIRouter, service: ChatService) -> None:
    """All of `/api/workflows` but what proves and exports them."""
    _why(router, service)
    _changes(router, service)
    _documents(router, service)


def _why(router: APIRouter, service: ChatService) -> None:
    @router.get("/workflows/{name:path}/why", tags=["Workflows"])
    async def why(name: str, line: int | None = None, path: str | None = None) -> dict[str, Any]:
        """Which version made a line of the newest text, or what stands at a path such as `nodes[review].prompt`: who,
        what was asked, when.
        """
        return (await service.library.why(OWNER, name, line, path)).to_dict()

    @router.get("/workflows/{name:path}/blame", tags=["Workflows"])
    async def blame(name: str) -> dict[str, Any]:
        """The version that made each line, each node and each key of the newest text, and those versions."""
        return await service.library.blame_view(OWNER, name)

    @router.get("/workflows/{name:path}/versions", tags=["Workflows"])
    async def versions(name: str) -> list[dict[str, Any]]:
        """Every version with its text and what changed in it, in words; the newest first."""
        return await service.library.history(OWNER, name)

    @router.get("/workflows/{name:path}/changes", tags=["Workflows"])
    async def changes(name: str, before: int, after: int) -> list[str]:
        """What differs between two versions, in words."""
        return await service.library.changes(OWNER, name, before, after)

    @router.get("/workflows/{name:path}/usage", tags=["Workflows"])
    async def usage(name: str) -> dict[str, Any]:
        """What goes by the workflow's name: workflows that start it, schedules, and how many versions, tests and
        conversations.
        """
        return (await service.library.usage(OWNER, name)).to_dict()


def _changes(router: APIRouter, service: ChatService) -> None:
    @router.post("/workflows/{name:path}/copy", status_code=201, tags=["Workflows"])
    async def copy(name: str, body: Annotated[CopyWorkflow | None, Body()] = None) -> dict[str, Any]:
        """The newest version and the tests as a workflow of its own."""
        return await service.library.duplicate(OWNER, name, body.name if body else None)

    @router.patch("/workflows/{name:path}", tags=["Workflows"])
    async def change(name: str, body: ChangeWorkflow) -> dict[str, Any]:
        """Rename or archive it. 409 where other workflows start it by its name, unless `references` says to change
        those too.
        """
        if body.archived is not None:
            await service.library.archive(OWNER, name, body.archived)
        if body.name is not None:
            name = await service.library.rename(OWNER, name, body.name, references=body.references)
        return {"name": name}

    @router.delete("/workflows/{name:path}", tags=["Workflows"])
    async def delete(name: str, force: bool = False) -> dict[str, Any]:
        """Forget it with its versions and tests; what went. 409 while a schedule or another workflow starts it, unless
        `force` is given: then its schedules go too.
        """
        return (await service.library.delete(OWNER, name, force=force)).to_dict()


def _documents(router: APIRouter, service: ChatService) -> None:
    @router.get("/workflows", tags=["Workflows"])
    async def list_workflows(archived: bool = False) -> list[dict[str, Any]]:
        """The saved workflows, or those that are archived; the one changed last first."""
        return [found.to_dict() for found in await service.library.list(OWNER, archived)]

    @router.get("/workflows/{name:path}", tags=["Workflows"])
    async def get_workflow(name: str, version: int | None = None) -> dict[str, Any]:
        """The newest version of a workflow, or the one asked for, and the list of all versions."""
        found = await service.workflows.get(OWNER, name, version)
        versions = [each.to_dict() for each in await service.workflows.versions(OWNER, name)]
        for each in versions:
            del each["yaml"], each["proof"]
        return {**found.to_dict(), "versions": versions}

    @router.post("/workflows", status_code=201, tags=["Workflows"])
    async def save_workflow(body: Check) -> dict[str, Any]:
        """Keep a document under its name: a new version where there is one of that name already."""
        return await service.library.save_workflow(OWNER, body.yaml, "saved over the API")
