"""The addresses of files: sent up as they are, told of, sent down as attachments, deleted while nothing uses them."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote, unquote

from fastapi import APIRouter, Header, Request
from fastapi.responses import FileResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from chat.api.login import OWNER
from chat.service import ChatService

UPLOADS = "/api/files"
BYTES: dict[int | str, dict[str, Any]] = {200: {"content": {"application/octet-stream": {}}}}
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


def file_routes(router: APIRouter, service: ChatService) -> None:
    """`/api/files`."""

    @router.post("/files", status_code=201, tags=["Files"], openapi_extra=BODY)
    async def upload_file(
        request: Request,
        parlance_file_name: Annotated[
            str, Header(description="The file's name, percent-encoded where it is not ASCII.")
        ] = "file",
    ) -> dict[str, Any]:
        """Keep the body as a file, to be attached to a message or given to a run. What it is, is told by its content.

        At most 20 MB: text, CSV, JSON, YAML, Markdown, PDF, PNG, JPEG, GIF, WebP. One that nothing uses is deleted
        after a day.
        """
        try:
            made = await service.files.add(OWNER, unquote(parlance_file_name), request.stream())
        except ClientDisconnect:
            raise HTTPException(400) from None
        return made.to_dict()

    @router.get("/files/{file_id}", tags=["Files"], response_class=FileResponse, responses=BYTES)
    async def get_file(file_id: str) -> FileResponse:
        """The file as it was sent up, to be saved; it is never shown in place."""
        found, path = await service.files.path(OWNER, file_id)
        headers = {
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(found.name, safe='')}",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; sandbox",
        }
        return FileResponse(path, media_type=_sent_as(found.media_type), headers=headers)

    @router.get("/files/{file_id}/details", tags=["Files"])
    async def describe_file(file_id: str) -> dict[str, Any]:
        """What is known of a file: name, type, size, pages or pixels."""
        return (await service.files.get(OWNER, file_id)).to_dict()

    @router.delete("/files/{file_id}", status_code=204, tags=["Files"])
    async def delete_file(file_id: str) -> None:
        """Delete a file that is not attached to a message; one that is goes with its conversation."""
        await service.files.remove(OWNER, file_id)


def _sent_as(media_type: str) -> str:
    return f"{media_type}; charset=utf-8" if media_type.startswith("text/") else media_type
