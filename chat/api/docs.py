"""`/api/docs`: the API's own description as one page of plain HTML, to be read without a network."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

STYLE = """
:root { color-scheme: light dark; --page: #f5f6f9; --card: #fff; --ink: #1b2130; --faint: #596275;
  --line: #e3e6ed; --accent: #4453d0; --code: #f1f3f7 }
@media (prefers-color-scheme: dark) { :root { --page: #0e1117; --card: #141821; --ink: #e7eaf1;
  --faint: #a3acbd; --line: #272d3a; --accent: #8f9bff; --code: #1b202b } }
body { margin: 0 auto; max-width: 60rem; padding: 2rem 1.25rem 4rem; background: var(--page);
  color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif }
h1 { font-size: 1.6rem } h2 { margin-top: 2.2rem; font-size: 1.15rem } p { margin: .4rem 0 }
details { margin: .6rem 0; border: 1px solid var(--line); border-radius: 12px; background: var(--card) }
summary { display: flex; gap: .8rem; align-items: baseline; padding: .7rem 1rem; flex-wrap: wrap;
  cursor: pointer }
details > div { padding: 0 1rem 1rem } .faint { color: var(--faint) }
.method { min-width: 4rem; font-weight: 700; color: var(--accent) }
code, pre { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; font-size: .88rem }
pre { overflow-x: auto; padding: .8rem 1rem; border-radius: 10px; background: var(--code) }
table { border-collapse: collapse; width: 100% } td, th { padding: .3rem .8rem .3rem 0; text-align: left;
  vertical-align: top } a { color: var(--accent) }
"""
INTRODUCTION = """
<p>Everything the page does can be done from a program. Bodies and answers are JSON. An error is
<code>{"error": {"code", "message", "fix"}}</code> with a fitting status. Where a password is set, send it as
<code>Authorization: Bearer …</code>.</p>
<p>Streams are server-sent events: <code>id</code> rises by one, <code>event</code> is the kind,
<code>data</code> is JSON. A GET again with <code>Last-Event-ID</code> goes on after that event. The
description for programs is at <a href="/api/openapi.json">/api/openapi.json</a>. What changes in a conversation
is told by the WebSocket <code>/api/events?conversation=…</code>.</p>
"""


def docs_page(openapi: Mapping[str, Any], base: str) -> str:
    """The page for an OpenAPI description; `base` is the address that the examples call."""
    body = "".join(_groups(openapi, base))
    title = html.escape(f"{openapi['info']['title']} {openapi['info']['version']}")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title} · API</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<style>{STYLE}</style></head><body><h1>{title} · HTTP API</h1>{INTRODUCTION}{body}</body></html>"
    )


def _groups(openapi: Mapping[str, Any], base: str) -> Iterator[str]:
    groups: dict[str, list[str]] = {}
    for path, operations in openapi["paths"].items():
        for method, operation in operations.items():
            group = operation.get("tags", ["Other"])[0]
            groups.setdefault(group, []).append(_operation(openapi, base, path, method, operation))
    for group, entries in groups.items():
        yield f"<h2>{html.escape(group)}</h2>{''.join(entries)}"


def _operation(
    openapi: Mapping[str, Any], base: str, path: str, method: str, operation: Mapping[str, Any]
) -> str:
    text = _code(html.escape(" ".join(operation.get("description", "").split())))
    example = html.escape(_example(openapi, base, path, method, operation))
    return (
        f'<details><summary><span class="method">{method.upper()}</span><code>{html.escape(path)}</code>'
        f'<span class="faint">{text.partition(". ")[0].rstrip(".")}</span></summary><div><p>{text}</p>'
        f"{_table(openapi, operation)}<pre>{example}</pre></div></details>"
    )


def _code(text: str) -> str:
    """Words in backticks as code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", text)


def _table(openapi: Mapping[str, Any], operation: Mapping[str, Any]) -> str:
    rows = [
        (each["name"], each["in"], each["required"], each["schema"], each.get("description", ""))
        for each in operation.get("parameters", ())
    ]
    body = _body(openapi, operation)
    required = body.get("required", ())
    rows += [
        (name, "body", name in required, schema, schema.get("description", ""))
        for name, schema in body.get("properties", {}).items()
    ]
    cells = "".join(
        f"<tr><td><code>{html.escape(name)}</code></td><td>{where}</td><td>{html.escape(_type(schema))}"
        f"{'' if needed else ', optional'}</td><td>{_code(html.escape(text))}</td></tr>"
        for name, where, needed, schema, text in rows
    )
    return f"<table>{cells}</table>" if cells else ""


def _body(openapi: Mapping[str, Any], operation: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema of the JSON body, {} where there is none."""
    content = operation.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    schema = next((option for option in schema.get("anyOf", ()) if "$ref" in option), schema)
    name = schema.get("$ref", "").rpartition("/")[2]
    found: Mapping[str, Any] = openapi["components"]["schemas"].get(name, {})
    return found


def _type(schema: Mapping[str, Any]) -> str:
    options = [option["type"] for option in schema.get("anyOf", (schema,)) if "type" in option]
    return " or ".join(option for option in options if option != "null") or "any"


def _example(
    openapi: Mapping[str, Any], base: str, path: str, method: str, operation: Mapping[str, Any]
) -> str:
    parts = ["curl"] + ([] if method == "get" else ["-X", method.upper()])
    body = _body(openapi, operation)
    if body:
        samples = {name: f"…{name}…" for name in body.get("required", ())}
        parts += ["-H 'Content-Type: application/json'", f"-d '{json.dumps(samples, ensure_ascii=False)}'"]
    return " ".join([*parts, base + path])
