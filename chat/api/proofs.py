"""The addresses of tests, proofs, exports and imports."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from chat.api.login import OWNER
from chat.service import ChatService


class NewTest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: str = Field(description="What holds, in a few words.", max_length=200)
    quote: str = Field("", description="Whose wish it is, in their words.", max_length=2000)
    case: dict[str, Any] = Field(description="inputs, given, must_run, must_not_run, checks.")


class RunTests(BaseModel):
    model_config = ConfigDict(extra="forbid")

    yaml: str | None = Field(
        None, description="Try them on this text; left out, on the newest version.", max_length=1_100_000
    )


class Import(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(description="A share file, or a plain document.", max_length=2_000_000)]


def proof_routes(router: APIRouter, service: ChatService) -> None:
    """To be added before what takes every name under `/workflows`."""

    @router.get("/workflows/{name:path}/tests", tags=["Workflows"])
    async def list_tests(name: str) -> list[dict[str, Any]]:
        """The tests of a workflow, the oldest first."""
        return [test.to_dict() for test in await service.proofs.list_tests(OWNER, name)]

    @router.post("/workflows/{name:path}/tests/run", tags=["Workflows"])
    async def run_tests(name: str, body: RunTests | None = None) -> list[dict[str, Any]]:
        """Try all tests in dry runs: `status` is passed, failed or unknown, `why` says why it did not pass."""
        return await service.proofs.run_tests(OWNER, name, body.yaml if body else None)

    @router.post("/workflows/{name:path}/tests", status_code=201, tags=["Workflows"])
    async def add_test(name: str, body: NewTest) -> dict[str, Any]:
        """Keep a test, which must fit the newest version; it and how it goes (`result`)."""
        return await service.proofs.add_test(OWNER, name, body.title, body.quote, body.case)

    @router.delete("/workflows/{name:path}/tests/{test_id}", status_code=204, tags=["Workflows"])
    async def remove_test(name: str, test_id: str) -> None:
        """Forget a test."""
        await service.proofs.tests.remove(OWNER, name, test_id)

    @router.get("/workflows/{name:path}/proof", tags=["Workflows"])
    async def get_proof(name: str, version: int | None = None) -> dict[str, Any]:
        """What was verified of the newest version, or of the one asked for; made now where it was not yet."""
        return await service.proofs.of(OWNER, name, version)

    @router.get("/workflows/{name:path}/export", tags=["Workflows"], response_class=Response)
    async def export_workflow(
        name: str,
        format: Literal["yaml", "svg", "png", "mermaid", "share"] = "share",
        version: int | None = None,
    ) -> Response:
        """A file: the text, a picture of it, or all that is needed to hand it on with its proof and tests."""
        found = await service.sharing.export(OWNER, name, format, version)
        headers = {"Content-Disposition": _attachment(found.name), "X-Content-Type-Options": "nosniff"}
        return Response(found.content, media_type=found.media, headers=headers)

    @router.post("/workflows/import", status_code=201, tags=["Workflows"])
    async def import_workflow(body: Import) -> dict[str, Any]:
        """Take in a share file, or a plain document, as a new workflow with its tests."""
        return await service.sharing.import_text(OWNER, body.text)


def _attachment(name: str) -> str:
    """A header that offers a file by this name, in letters that a header takes and in its own."""
    from urllib.parse import quote

    plain = name.encode("ascii", "replace").decode().replace("?", "_")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}"
