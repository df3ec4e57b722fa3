"""What people and models call the keys of the format when they do not know it, and where keys belong."""

from __future__ import annotations

from collections.abc import Mapping

NEEDED = frozenset(
    (
        *("schema_version", "flow", "state", "nodes", "fields", "name", "type", "id", "from"),
        *("condition", "to", "else", "logic", "condition_field", "metric"),
        *("prompt", "tool", "code", "ask", "workflow", "agent"),
    )
)
"""Keys that must have a value; any other key without one is as good as left out."""

_SLIPS: Mapping[str, Mapping[str, str]] = {
    "a node": {
        "name": "id",
        "key": "id",
        "output": "outputs",
        "writes": "outputs",
        "output_fields": "outputs",
        "input": "inputs",
        "system_prompt": "system",
        "system_message": "system",
        "instructions": "prompt",
        "instruction": "prompt",
        "message": "prompt",
        "template": "prompt",
        "parameters": "args",
        "params": "args",
        "arguments": "args",
        "with": "args",
        "schema": "output_schema",
        "response_format": "output_schema",
        "timeout_seconds": "timeout",
        "retries": "retry",
        "foreach": "for_each",
        "choices": "options",
        "question": "ask",
        "python": "code",
        "script": "code",
        "desc": "description",
    },
    "a state field": {
        "desc": "description",
        "values": "enum",
        "choices": "enum",
        "options": "enum",
        "allowed": "enum",
        "reducer": "reduce",
        "fields": "schema",
        "properties": "schema",
        "default_value": "default",
        "initial": "default",
    },
    "an edge": {
        "source": "from",
        "src": "from",
        "start": "from",
        "target": "to",
        "destination": "to",
        "dest": "to",
        "next": "to",
        "goto": "to",
        "conditions": "routes",
        "branches": "routes",
        "cases": "routes",
        "if": "condition",
        "when": "condition",
    },
    "a route": {
        "if": "condition",
        "when": "condition",
        "case": "condition",
        "expression": "condition",
        "then": "to",
        "next": "to",
        "goto": "to",
        "target": "to",
        "default": "else",
        "otherwise": "else",
    },
    "loop": {
        "until": "condition_field",
        "condition": "condition_field",
        "field": "condition_field",
        "max": "max_iterations",
        "limit": "max_iterations",
        "exit": "exit_to",
        "then": "exit_to",
        "to": "exit_to",
    },
    "llm": {"name": "model", "base_url": "api_base", "url": "api_base", "max_output_tokens": "max_tokens"},
    "retry": {"attempts": "max_attempts", "backoff": "backoff_seconds", "delay": "backoff_seconds"},
    "flow": {"title": "name", "id": "name", "desc": "description", "keywords": "tags"},
    "a workflow": {
        "version": "schema_version",
        "workflow": "flow",
        "metadata": "flow",
        "steps": "nodes",
        "tasks": "nodes",
        "transitions": "edges",
        "settings": "config",
    },
    "output_schema": {"properties": "fields"},
    "a field of output_schema": {"id": "name", "desc": "description"},
}
SLIPS: Mapping[tuple[str, str], str] = {
    (where, slip.replace("_", "")): key for where, slips in _SLIPS.items() for slip, key in slips.items()
}
"""(the part, the key without underscores in small letters) to the key that was meant."""

_LLM = "It belongs below `llm`, as in llm: {model: …}."
_EDGES = "What runs after a node is said in `edges`, as in {from: this_node, to: next_node}."
MISPLACED: Mapping[tuple[str, str], str] = {
    **{("a node", key): _LLM for key in ("model", "provider", "temperature", "maxtokens", "apibase")},
    **{
        ("a node", key): _EDGES
        for key in ("to", "next", "from", "routes", "edges", "dependson", "needs", "loop")
    },
    (
        "a node",
        "type",
    ): "A node's kind is told by its key (prompt for a model, tool for a tool); remove `type`.",
    (
        "a node",
        "kind",
    ): "A node's kind is told by its key (prompt for a model, tool for a tool); remove `kind`.",
    ("a workflow", "name"): "The name stands below `flow`.",
    ("a workflow", "description"): "The description stands below `flow`.",
    ("a workflow", "fields"): "The fields stand below `state`.",
    ("a workflow", "inputs"): "Inputs are fields of the state that are `required: true`.",
    ("a workflow", "outputs"): "They stand below `flow`, as in flow: {name: …, outputs: [answer]}.",
    ("a state field", "items"): "The type of a list's elements stands in its type, as in list[str].",
}
"""(the part, the key in small letters) to a sentence that says where the key belongs."""

OPENINGS: Mapping[str | int, str] = {
    "nodes": "Begin every node with `- id:`.",
    "edges": "Begin every edge with `- from:`.",
    "routes": "Begin every route with `- condition:`.",
    "fields": "Write one field per line, as in `answer: {type: str}`.",
    "state": "Below it stands `fields:`.",
    "prompt": "Write it in quotes, or after `|` on lines of its own.",
    "inputs": 'Write a name and a reference per line, as in `text: "{state.ticket}"`.',
    "args": 'Write one argument per line, as in `url: "{state.url}"`.',
}
"""How to begin what stands at a key, for a value of a wrong kind."""

BOOLEANS = {"yes": "true", "on": "true", "true": "true", "no": "false", "off": "false", "false": "false"}
"""Words that are read as true or false in the older YAML, and are text here."""

ONLY_KEYS: Mapping[str, str] = {
    "llm": "model",
    "retry": "max_attempts",
    "output_schema": "type",
    "loop": "condition_field",
    "memory": "enabled",
    "sandbox": "enabled",
    "flow": "name",
}
"""The key below another that a plain value in its place was meant for."""
