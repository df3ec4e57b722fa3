"""Every error of the API is `{error: {code, message, fix}}`, a fault of ours tells nothing."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from engine.errors import (
    Conflict,
    InputError,
    ModelAuthError,
    ModelError,
    ModelMissing,
    ModelRateLimited,
    NotFound,
    ParlanceError,
    StoreError,
    WorkflowInvalid,
)

# The first that fits counts, so the special ones stand before their parents.
STATUSES: tuple[tuple[type[ParlanceError], int], ...] = (
    (NotFound, 404),
    (Conflict, 409),
    (WorkflowInvalid, 422),
    (InputError, 422),
    (ModelMissing, 503),
    (ModelAuthError, 503),
    (ModelRateLimited, 503),
    (ModelError, 502),
    (StoreError, 503),
    (ParlanceError, 500),
)
# What HTTP itself refuses, in words: code and fix.
REFUSALS: Mapping[int, tuple[str, str, str | None]] = {
    404: ("not_found", "There is nothing at this address.", "GET /api/docs lists the addresses."),
    405: (
        "method_not_allowed",
        "This address does not take this method.",
        "GET /api/docs lists the methods.",
    ),
    413: ("too_large", "The request is too large.", "Send less than 2 MiB."),
    415: (
        "wrong_type",
        "The body has a type that is not read here.",
        "Send JSON with Content-Type: application/json.",
    ),
}


def error_body(code: str, message: str, fix: str | None) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "fix": fix}}


def error_response(
    status: int, code: str, message: str, fix: str | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    return JSONResponse(error_body(code, message, fix), status, headers=headers)


def status_of(error: ParlanceError) -> int:
    return next(status for kind, status in STATUSES if isinstance(error, kind))


def install(app: FastAPI) -> None:
    """Answer every error of the application's own routes in the one shape."""
    app.exception_handler(ParlanceError)(_ours)
    app.exception_handler(RequestValidationError)(_wrong_request)
    app.exception_handler(HTTPException)(_refused)
    app.exception_handler(Exception)(_fault)


def _ours(request: Request, error: ParlanceError) -> JSONResponse:
    body = error_body(error.code, error.message, error.fix)
    if isinstance(error, WorkflowInvalid):
        body["problems"] = [problem.to_dict() for problem in error.problems]
    return JSONResponse(body, status_of(error))


def _wrong_request(request: Request, error: RequestValidationError) -> JSONResponse:
    first = error.errors()[0]
    place = ".".join(str(step) for step in first["loc"] if step != "body")
    what = f"`{place}`" if place else "The body"
    if first["type"] == "json_invalid":
        return error_response(422, "bad_json", "The body is not JSON.", "Send one JSON object.")
    message = f"{what}: {first['msg'][:1].lower()}{first['msg'][1:]}."
    return error_response(422, "input_invalid", message, "GET /api/docs shows what is expected.")


def _refused(request: Request, error: HTTPException) -> JSONResponse:
    known = REFUSALS.get(error.status_code)
    code, message, fix = known or ("refused", HTTPStatus(error.status_code).phrase + ".", None)
    return error_response(error.status_code, code, message, fix, error.headers)


def _fault(request: Request, error: Exception) -> JSONResponse:
    """The server logs the traceback; the caller learns no more than that it happened."""
    return error_response(500, "internal_error", "Something went wrong in the server.", "Its log tells what.")
