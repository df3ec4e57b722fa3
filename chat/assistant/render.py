"""Results in words: a run's outputs, a workflow explained, lists. Markdown made by code, so it is always the
same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.workflow import Edge, Field, Node, Workflow

LONGEST = 8_000


def run_result(run: Mapping[str, Any]) -> str:
    """What a run gave, or why it gave nothing. `run` is the object that `run --json` prints."""
    if run["status"] == "ok":
        return outputs(run.get("outputs") or {})
    if run["status"] == "cancelled":
        return f"The run was stopped{_at_node(run, 'cancelled')}. Say “run it” to start anew."
    if run["status"] == "failed":
        return _failure(run)
    if run.get("waiting"):
        alone = len(run["waiting"]) == 1
        return "\n\n".join(_question(wait, alone) for wait in run["waiting"])
    return f"The run is {run['status']}."


def _question(wait: Mapping[str, Any], alone: bool) -> str:
    """What a run asks, and what can be said; the next message answers only a question that is alone."""
    options = ", ".join(f"“{option}”" for option in wait["options"])
    free = "Answer it in your next message." if alone else "Answer it in the run's card."
    how = f"Answer {options}." if options else free
    return f"The run waits at `{wait['node']}`: {wait['question']}\n\n{how}"


def _failure(run: Mapping[str, Any]) -> str:
    failed = [node for node in run.get("nodes", ()) if node["status"] == "failed" and node.get("error")]
    if failed:
        return f"The run failed in the step `{failed[-1]['id']}`: {failed[-1]['error']}"
    return f"The run failed: {run.get('error') or 'no reason was recorded.'}"


def _at_node(run: Mapping[str, Any], status: str) -> str:
    found = [node["id"] for node in run.get("nodes", ()) if node["status"] == status]
    return f" in the step `{found[-1]}`" if found else ""


def outputs(values: Mapping[str, Any]) -> str:
    """One output as it is; several under their names."""
    shown = {name: value for name, value in values.items() if value not in (None, "", [], {})}
    if not shown:
        return "The run ended and gave no output."
    if len(shown) == 1:
        return markdown(next(iter(shown.values())))
    return "\n\n".join(f"**{title(name)}**\n\n{markdown(value)}" for name, value in shown.items())


def markdown(value: Any) -> str:
    """A value as Markdown: text as it is, a list as bullets, records as a table, anything else as JSON."""
    if isinstance(value, str):
        return _cut(value.strip())
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        return _cut(_table(value))
    if isinstance(value, list) and all(not isinstance(item, list | Mapping) for item in value):
        return _cut("\n".join(f"- {_inline(item)}" for item in value))
    if isinstance(value, Mapping) and all(not isinstance(item, Mapping) for item in value.values()):
        return _cut("\n".join(f"- {title(key)}: {_inline(item)}" for key, item in value.items()))
    if isinstance(value, list | Mapping):
        return f"```json\n{_cut(json.dumps(value, ensure_ascii=False, indent=2))}\n```"
    return _inline(value)


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [_row(title(column) for column in columns), _row("---" for _ in columns)]
    lines += [_row(_inline(row.get(column)).replace("|", "\\|") for column in columns) for row in rows]
    return "\n".join(lines)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _inline(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "; ".join(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return " ".join(text.split("\n"))


def _cut(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]}…\n\n*(Shortened: the whole output is with the run.)*"


def title(name: str) -> str:
    """`first_steps` as people write it."""
    words = str(name).replace("_", " ").strip()
    return words[:1].upper() + words[1:]


# --- workflows --------------------------------------------------------------------------------------------


def explain(workflow: Workflow) -> str:
    """What a workflow takes, does and gives."""
    lines = [f"**{title(workflow.name)}**: {workflow.description or 'no description'}."]
    lines += ["", "It takes:", *(_field_line(workflow.fields[name]) for name in workflow.inputs)]
    lines += ["", "Its steps:"]
    lines += [
        f"{n}. **{title(node.id)}**: {_step(node)}{_after(node, workflow.edges)}"
        for n, node in enumerate(workflow.nodes.values(), 1)
    ]
    lines += ["", "It gives: " + ", ".join(f"`{name}`" for name in workflow.outputs) + "."]
    return "\n".join(lines)


def _field_line(field: Field) -> str:
    about = f": {field.description}" if field.description else ""
    need = "" if field.required else _default(field)
    return f"- `{field.name}`{about}{need}"


def _default(field: Field) -> str:
    from engine.workflow import MISSING

    if field.default is MISSING or field.default in ("", None):
        return " (may be left out)"
    return f" (otherwise {_inline(field.default)})"


def _step(node: Node) -> str:
    if node.description:
        return node.description
    return f"uses the tool {node.tool}" if node.tool else "asks the model"


def _after(node: Node, edges: Sequence[Edge]) -> str:
    """Where it goes from here, when that is not simply the next step."""
    own = [edge for edge in edges if edge.source == node.id]
    parts: list[str] = []
    for edge in own:
        if edge.loop:
            parts.append(
                f"repeats until `{edge.loop.condition_field}` is true, "
                f"{edge.loop.max_iterations} times at most"
            )
        for route in edge.routes:
            when = f"if `{route.condition.text}`" if route.condition else "otherwise"
            parts.append(f"{when} → {_targets(route.to)}")
        if len(edge.to) > 1:
            parts.append(f"then at the same time {_targets(edge.to)}")
    return f" ({'; '.join(parts)})" if parts else ""


def _targets(names: Sequence[str]) -> str:
    return ", ".join("the end" if name == "END" else title(name) for name in names)
