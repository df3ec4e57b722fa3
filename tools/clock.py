"""current_time: the date and the time in a time zone."""

from __future__ import annotations

import difflib
import zoneinfo
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any

from tools.errors import ToolError
from tools.tool import ToolContext, tool


@tool(
    description="The present date and time.",
    parameters={
        "time_zone": {
            "type": "string",
            "maxLength": 64,
            "default": "UTC",
            "description": "A name such as Europe/Berlin or America/New_York",
        },
        "format": {
            "type": ["string", "null"],
            "maxLength": 200,
            "default": None,
            "description": "How to write it, for example '%A, %d %B %Y, %H:%M'; otherwise ISO 8601",
        },
    },
    returns="A text, for example 2026-03-01T09:30:00+01:00.",
)
async def current_time(args: Mapping[str, Any], context: ToolContext) -> Any:
    moment = datetime.fromtimestamp(context.now(), _zone(args.get("time_zone") or "UTC"))
    layout = args.get("format")
    if not layout:
        return moment.isoformat(timespec="seconds")
    try:
        return moment.strftime(layout)
    except ValueError as error:
        raise ToolError(
            f"The format {layout!r} can't be used: {error}.", "Try '%Y-%m-%d %H:%M'.", code="tool_argument"
        ) from None


def _zone(name: str) -> tzinfo:
    if name.upper() in ("UTC", "Z"):
        return UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ToolError(
            f"There is no time zone {name!r} on this machine.", _near_zone(name), code="tool_argument"
        ) from None


def _near_zone(name: str) -> str:
    known = sorted(zoneinfo.available_timezones())
    near = difflib.get_close_matches(name.replace(" ", "_"), known, n=1, cutoff=0.5)
    ends = [zone for zone in known if zone.rpartition("/")[2].lower() == name.replace(" ", "_").lower()]
    best = ends or near
    return f"Did you mean {best[0]}?" if best else "Use UTC, or a name such as Europe/Berlin."
