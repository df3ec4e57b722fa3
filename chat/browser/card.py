"""What every card of the conversation is made of: a head, a body, buttons. One line of HTML, all text escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from chat.browser.markdown import one_line, plain


def card(
    kind: str, head: str, body: str = "", *, role: str = "group", label: str = "", identity: str = ""
) -> str:
    """`kind` names its class; `identity` is an id for the page's script, where it adds to the card."""
    name = f' id="{escape(identity)}"' if identity else ""
    return one_line(
        f'<div class="pl-card pl-{kind}"{name} role="{role}" title="{escape(label)}">'
        f'<div class="pl-card-head">{head}</div>{body}</div>'
    )


def act(text: str, value: str, kind: str = "") -> str:
    """A button of a card; the page's script does what `value` says."""
    return f'<button type="button" class="pl-act {kind}" value="{escape(value)}">{escape(text)}</button>'


def acts(*buttons: str) -> str:
    """Buttons at the right end of a head."""
    return f'<span class="pl-card-acts">{"".join(buttons)}</span>'


def tag(text: str, kind: str = "") -> str:
    return f'<span class="pl-tag {escape(kind)}">{escape(text)}</span>'


def glyph(kind: str) -> str:
    return f'<span class="pl-glyph {kind}"></span>'


def bullets(lines: Iterable[str], most: int = 8) -> str:
    """Sentences as a list, of many the first ones."""
    lines = list(lines)
    rows = "".join(f"<li>{plain(line)}</li>" for line in lines[:most])
    more = f"<li>… and {len(lines) - most} more</li>" if len(lines) > most else ""
    return f'<ul class="pl-changes">{rows}{more}</ul>' if lines else ""


def proof_state(proof: Mapping[str, Any]) -> str:
    """The worst of what was found, as a status: failed, waiting for what is open or could not be judged, or ok."""
    dry, tests = proof.get("dry_run") or {}, [test["status"] for test in proof.get("tests") or ()]
    if not proof["checked"]["ok"] or dry.get("status") == "failed" or "failed" in tests:
        return "failed"
    open_ = dry.get("not_reached") or dry.get("unverified") or dry.get("status") == "partial"
    return "waiting" if open_ or "unknown" in tests or proof["checked"]["warnings"] else "ok"
