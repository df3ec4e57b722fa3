"""Prompts: the files of `configs/prompts/`, filled with generated parts. What comes from data is marked as
data.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

from chat.turns import PastMessage
from engine.problems import Problem

PROMPTS = Path(__file__).resolve().parent.parent.parent / "configs" / "prompts"


@cache
def _template(name: str) -> Template:
    text = (PROMPTS / f"{name}.md").read_text(encoding="utf-8")
    return Template(re.sub(r"\A<!--.*?-->\n", "", text, flags=re.DOTALL))


def prompt(name: str, /, **parts: str) -> str:
    """The prompt file `name`.md with its `$places` filled. KeyError for a place without a part."""
    return _template(name).substitute(parts).rstrip() + "\n"


def data(name: str, text: str) -> str:
    """Text that is material and never an instruction; it can't close its own mark."""
    safe = re.sub(r"<(/?)data\b", r"<\1 data", text, flags=re.IGNORECASE)
    label = re.sub(r"[^\w.-]+", "_", name)
    return f'<data name="{label}">\n{safe}\n</data>'


def shorten(text: str, limit: int) -> str:
    """The text, or its beginning and end with what was left out said in between."""
    if len(text) <= limit:
        return text
    head, tail = text[: limit * 3 // 4], text[-limit // 4 :]
    return f"{head}\n[… {len(text) - len(head) - len(tail)} characters left out …]\n{tail}"


def problem_lines(problems: Iterable[Problem]) -> str:
    return "\n".join(f"- line {p.line}, {p.rule}: {p.message}" for p in problems)


def past_text(message: PastMessage) -> str:
    """A past message with what happened in it in brackets."""
    if not message.parts:
        return message.text
    lines = [line for part in message.parts if (line := _part(part))]
    if message.status in ("failed", "stopped", "interrupted"):
        lines.append(f"[this answer was {message.status}]")
    return "\n".join(lines)


def _part(part: Mapping[str, Any]) -> str:
    kind = part.get("kind")
    if kind == "text":
        return str(part["text"]).strip()
    if kind == "draft":
        return f"[saved the workflow {part['workflow']}, version {part['version']}: {part['summary']}]"
    if kind == "problems":
        found = "; ".join(f"line {p['line']}: {p['message']}" for p in part["problems"])
        return f"[a draft was not saved, it has problems: {found}]"
    if kind == "question":
        options = ", ".join(option["label"] for option in part.get("options", ()))
        about = part.get("about") or {}
        known = about.get("kind") == "input"  # what else rides on a question is for code, which acts on it
        asked = f"\n{data('asked_about', json.dumps(about, ensure_ascii=False))}" if known else ""
        return f"[asked: {part['text']}{f' Options: {options}' if options else ''}]{asked}"
    if kind == "file":
        return f"[attached a file, {part['media_type']}: {data('name', str(part['name']))}]"
    if kind == "outline" and part.get("open"):
        steps = (f"{n}. {step['id']}: {step['sentence']}" for n, step in enumerate(part["steps"], 1))
        return f"[showed an outline of steps: {'; '.join(steps)}]"
    if kind == "run_started":
        return f"[started a run of {part['workflow']}]"
    if kind == "run_waiting":
        return "\n".join(f"[the run asks: {asked['question']}]" for asked in part["questions"])
    if kind == "run_ended":
        return f"[the run ended: {part['status']}]"
    if kind == "fix":
        world = (
            " It is no fault of the workflow: do not change it for that." if part["cause"] == "world" else ""
        )
        return f"[why it failed:]{world}\n{data('failure', str(part['text']))}"
    if kind == "error":
        return f"[error: {part['message']}]"
    return ""
