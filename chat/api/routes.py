"""The addresses of the API. Each hands over to the service, which checks whose things they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from chat.api.files import file_routes
from chat.api.library import library_routes
from chat.api.login import OWNER
from chat.api.my_data import my_data_routes
from chat.api.proofs import proof_routes
from chat.api.shapes import (
    Check,
    DocumentOf,
    ErrorBody,
    EstimateOf,
    NewAnswer,
    NewConversation,
    NewMessage,
    NewRun,
    NewSchedule,
    Replay,
    Retry,
)
from chat.api.spending import spending_routes
from chat.api.sse import Item, event_stream, last_event_id, wants_json
from chat.events import Event
from chat.schedules import schedule_view, schedules_view
from chat.service import ChatService
from engine.ports import RunStatus

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"]
STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {}, "application/json": {}}}
}


def api_router(service: ChatService) -> APIRouter:
    """All of `/api` but the docs."""
    router = APIRouter(prefix="/api", responses={"4XX": {"model": ErrorBody}})
    _conversations(router, service)
    proof_routes(router, service)
    file_routes(router, service)
    my_data_routes(router, service)
    _documents(router, service)
    _runs(router, service)
    _schedules(router, service)
    spending_routes(router, service)
    # The last: names have slashes, so /workflows/{name} takes what nobody else does.
    library_routes(router, service)
    return router


def unknown_api_address(request: Request) -> Response:
    """For what no other route under /api takes: 405 where the address exists, else 404."""
    scope = {**request.scope, "path": request.url.path}
    others = (route for route in request.app.routes if getattr(route, "path", None) != UNKNOWN)
    partial = any(route.matches(scope)[0] == Match.PARTIAL for route in others)
    raise HTTPException(405 if partial else 404)


UNKNOWN = "/api/{rest:path}"


def _conversations(router: APIRouter, service: ChatService) -> None:
    @router.get("/conversations", tags=["Conversations"])
    async def list_conversations(query: str = "") -> list[dict[str, Any]]:
        """The conversations, newest first; `query` finds words in titles and messages."""
        return [found.to_dict() for found in await service.list(OWNER, query)]

    @router.post("/conversations", status_code=201, tags=["Conversations"])
    async def create_conversation(
        body: Annotated[NewConversation | None, Body()] = None,
    ) -> dict[str, Any]:
        """Start a conversation."""
        made = await service.create(OWNER, body.title if body else None)
        return {**made.to_dict(), "messages": []}

    @router.get("/conversations/{conversation_id}", tags=["Conversations"])
    async def get_conversation(conversation_id: str) -> dict[str, Any]:
        """A conversation with its messages, oldest first."""
        found = await service.get(OWNER, conversation_id)
        return {**found.to_dict(), "messages": [message.to_dict() for message in found.messages]}

    @router.post("/conversations/{conversation_id}/messages", tags=["Conversations"], responses=STREAM)
    async def post_message(conversation_id: str, body: NewMessage, request: Request) -> Response:
        """Say something. The answer comes as server-sent events (`event` is the kind, `data` the event), the
        last is `turn_ended`; with `Accept: application/json` as one object when it has ended.

        Going away stops nothing. An `Idempotency-Key` makes the same message sent twice one message.
        """
        message_id = await service.post(
            OWNER,
            conversation_id,
            body.text,
            channel="api",
            external_id=request.headers.get("idempotency-key"),
            files=body.files,
        )
        if wants_json(request):
            return JSONResponse(await _collected(service, conversation_id, message_id))
        events = service.follow(OWNER, conversation_id, message_id=message_id)
        return event_stream(_items(events), {"Parlance-Message-Id": message_id})

    @router.get(
        "/conversations/{conversation_id}/messages/{message_id}/events",
        tags=["Conversations"],
        responses=STREAM,
    )
    async def follow_message(conversation_id: str, message_id: str, request: Request) -> Response:
        """An answer's events, from the first or after `Last-Event-ID`, up to `turn_ended`."""
        message = await service.message(OWNER, conversation_id, message_id)
        after = last_event_id(request)
        events = service.follow(OWNER, conversation_id, message_id=message_id, after=after)
        return await _rest(_items(events), message.status != "live")

    @router.post("/conversations/{conversation_id}/stop", tags=["Conversations"], status_code=204)
    async def stop_turn(conversation_id: str) -> None:
        """Stop the turn under way; what was said stays."""
        await service.stop(OWNER, conversation_id)


def _documents(router: APIRouter, service: ChatService) -> None:
    @router.post("/check", tags=["Workflows"])
    async def check_document(body: Check) -> list[dict[str, Any]]:
        """The problems of a document, as `check --json` prints them; none when it can run."""
        checked = await service.check(body.yaml)
        return [{"file": None, **problem.to_dict()} for problem in checked.problems]

    @router.post("/estimate", tags=["Workflows"])
    async def estimate_run(body: EstimateOf) -> dict[str, Any]:
        """What a run would take: tokens, dollars and seconds, each as [least, most], null where not known."""
        return await service.estimate(OWNER, None, await _text_of(service, body), body.inputs)


def _runs(router: APIRouter, service: ChatService) -> None:
    @router.get("/runs", tags=["Runs"])
    async def list_runs(
        limit: int = 50,
        status: RunStatus | None = None,
        workflow: str | None = None,
        since: datetime | None = None,
    ) -> list[dict[str, Any]]:
        """The newest runs: of this status, of this workflow, or not older than a moment in ISO 8601."""
        moment = None if since is None else since.timestamp()
        most = max(1, min(limit, 500))
        return await service.runs(OWNER, limit=most, status=status, workflow=workflow, since=moment)

    @router.post("/runs", status_code=202, tags=["Runs"])
    async def start_run(body: NewRun) -> dict[str, str]:
        """Start a run of a document or of a saved workflow."""
        run_id = await service.start_detached_run(
            OWNER,
            await _text_of(service, body),
            body.inputs,
            limit_usd=body.budget_usd,
            ignore_gates=body.ignore_gates,
            dry=body.dry,
        )
        return {"run_id": run_id}

    @router.post("/branches", tags=["Runs"])
    async def explore_branches(body: EstimateOf) -> dict[str, Any]:
        """Try in dry runs to take every way through a document: which were reached, and what prevents the others."""
        return await service.branches(OWNER, await _text_of(service, body), body.inputs)

    @router.post("/runs/{run_id}/retry", status_code=202, tags=["Runs"])
    async def retry_run(run_id: str, body: Retry) -> dict[str, str]:
        """A new run from a node on, which keeps the rows before it."""
        return {"run_id": await service.retry_run(OWNER, run_id, body.node, body.yaml)}

    @router.post("/runs/{run_id}/replay", status_code=202, tags=["Runs"])
    async def replay_run(run_id: str, body: Replay) -> dict[str, str]:
        """A new run that asks another model on what was recorded; nothing with an effect happens again."""
        return {"run_id": await service.replay_run(OWNER, run_id, body.model)}

    @router.post("/runs/{run_id}/resume", tags=["Runs"])
    async def resume_run(run_id: str) -> dict[str, Any]:
        """Go on now with a run whose process has ended."""
        return await service.resume_run(OWNER, run_id)

    @router.get("/runs/{run_id}", tags=["Runs"])
    async def get_run(run_id: str) -> dict[str, Any]:
        """The run as `run --json` prints it."""
        return await service.view_run(OWNER, run_id)

    @router.get("/runs/{run_id}/events", tags=["Runs"], responses=STREAM)
    async def follow_run(run_id: str, request: Request) -> Response:
        """The run's events, from the first or after `Last-Event-ID`, up to `run_ended`; 204: all seen."""
        run = await service.view_run(OWNER, run_id)
        ended = run["ended_at"] is not None
        return await _rest(_run_items(service, run_id, last_event_id(request)), ended)

    @router.post("/runs/{run_id}/cancel", status_code=202, tags=["Runs"])
    async def cancel_run(run_id: str) -> dict[str, str]:
        """Ask for the run's end. One that has ended stays as it is."""
        await service.cancel_run(OWNER, run_id)
        return {"run_id": run_id}

    @router.delete("/runs/{run_id}", tags=["Runs"], status_code=204)
    async def delete_run(run_id: str) -> None:
        """Forget a run that has ended, with all below it. 409 while it has not ended."""
        await service.delete_run(OWNER, run_id)


def _schedules(router: APIRouter, service: ChatService) -> None:
    @router.get("/schedules", tags=["Schedules"])
    async def list_schedules() -> list[dict[str, Any]]:
        """The schedules, the one that is due next first."""
        return await asyncio.to_thread(schedules_view, await service.timetable.list(OWNER))

    @router.post("/schedules", status_code=201, tags=["Schedules"])
    async def create_schedule(body: NewSchedule) -> dict[str, Any]:
        """Start a document or a saved workflow by the clock, with these inputs."""
        options = body.model_dump(exclude={"id"})
        return schedule_view(await service.timetable.add(OWNER, schedule_id=body.id, **options))

    @router.post("/schedules/{schedule_id}/pause", tags=["Schedules"])
    async def pause_schedule(schedule_id: str) -> dict[str, Any]:
        """Start nothing more until it is resumed."""
        return schedule_view(await service.timetable.pause(OWNER, schedule_id))

    @router.post("/schedules/{schedule_id}/resume", tags=["Schedules"])
    async def resume_schedule(schedule_id: str) -> dict[str, Any]:
        """Go on with the next planned time."""
        return schedule_view(await service.timetable.resume(OWNER, schedule_id))

    @router.delete("/schedules/{schedule_id}", tags=["Schedules"], status_code=204)
    async def remove_schedule(schedule_id: str) -> None:
        """Forget it; runs that it has started go on."""
        await service.timetable.remove(OWNER, schedule_id)

    @router.get("/waiting", tags=["Runs"])
    async def list_waiting(conversation_id: str | None = None) -> list[dict[str, Any]]:
        """The open questions of all runs, or of those of one conversation, oldest first."""
        return await service.waiting(OWNER, conversation_id)

    @router.post("/runs/{run_id}/answers", tags=["Runs"])
    async def answer_run(run_id: str, body: NewAnswer) -> dict[str, Any]:
        """Answer what the run asks; it goes on at once. 409 says who has answered before."""
        return await service.answer_run(OWNER, run_id, body.node, body.value, iteration=body.iteration)


async def _text_of(service: ChatService, body: DocumentOf) -> str:
    """The document that is meant: given, or saved under its name."""
    if body.workflow is not None:
        return (await service.workflows.get(OWNER, body.workflow)).yaml
    return body.yaml or ""


async def _collected(service: ChatService, conversation_id: str, message_id: str) -> dict[str, Any]:
    """The whole answer, once it has ended."""
    async with aclosing(service.follow(OWNER, conversation_id, message_id=message_id)) as events:
        async for _ in events:
            pass
    message = await service.message(OWNER, conversation_id, message_id)
    return {"message_id": message_id, "conversation_id": conversation_id, **message.to_dict()}


async def _items(events: AsyncIterator[tuple[int, Event]]) -> AsyncGenerator[Item]:
    async for number, event in events:
        yield number, event.kind, event.to_dict()


async def _run_items(service: ChatService, run_id: str, after: int) -> AsyncGenerator[Item]:
    async for event in service.run_events(OWNER, run_id, after):
        yield event.id, event.kind, event.data


async def _rest(items: AsyncGenerator[Item], ended: bool) -> Response:
    """The stream; 204 when all is over and seen, which tells an EventSource not to come back."""
    if not ended:
        return event_stream(items)
    seen = [item async for item in items]
    return event_stream(_again(seen)) if seen else Response(status_code=204)


async def _again(items: list[Item]) -> AsyncGenerator[Item]:
    for item in items:
        yield item
