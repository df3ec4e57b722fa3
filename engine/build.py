"""From a checked document to the records the engine runs: short forms written out, defaults filled in.

Nothing is checked here: a document comes only after the checker found no error in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from engine.build_edges import build_edges
from engine.build_kinds import answer_default, answer_options, build_each, build_gates, build_sandbox
from engine.document import Document
from engine.schema import cached_type, node_kind
from engine.templates import Template, compile_template
from engine.types import Type, convert
from engine.workflow import (
    END,
    LLM,
    MISSING,
    UNSAID,
    Edge,
    Effect,
    Execution,
    Field,
    Node,
    OutputField,
    OutputSchema,
    Retry,
    ToolUse,
    Workflow,
)

if TYPE_CHECKING:
    from tools.registry import ToolRegistry

_EFFECTS: tuple[Effect, ...] = ("none", "idempotent", "once")


def build_workflow(document: Document, tools: ToolRegistry) -> Workflow:
    """The workflow of a document without errors. `tools` says what the tools' effects are."""
    data = document.data
    flow, config = data["flow"], data.get("config") or {}
    execution = config.get("execution") or {}
    fields = {name: build_field(name, value) for name, value in data["state"]["fields"].items()}
    builder = _NodeBuilder(fields, config, _default_retry(execution), tools)
    nodes = {item["id"]: builder.build(index, item) for index, item in enumerate(data["nodes"])}
    edges = build_edges(data.get("edges"), nodes)
    return Workflow(
        name=flow["name"].strip(),
        text=document.text,
        digest=hashlib.sha256(document.text.encode("utf-8", "surrogatepass")).hexdigest(),
        description=flow.get("description") or "",
        fields=fields,
        nodes=nodes,
        edges=edges,
        inputs=_inputs(fields, nodes.values()) if flow.get("inputs") is None else _names(flow["inputs"]),
        outputs=_outputs(fields, nodes, edges) if flow.get("outputs") is None else _names(flow["outputs"]),
        execution=_execution(execution),
        gates=build_gates(config.get("gates") or {}),
    )


def _names(value: Any) -> tuple[str, ...]:
    """A name or a list of names as a tuple without repeats."""
    return (value,) if isinstance(value, str) else tuple(dict.fromkeys(value or ()))


def _inputs(fields: Mapping[str, Field], nodes: Iterable[Node]) -> tuple[str, ...]:
    """The required fields, and those that no node writes."""
    written = {name for node in nodes for name in node.outputs}
    return tuple(name for name, field in fields.items() if field.required or name not in written)


def _outputs(
    fields: Mapping[str, Field], nodes: Mapping[str, Node], edges: Sequence[Edge]
) -> tuple[str, ...]:
    """The fields written by nodes from which an edge leads to END, or no edge save for a failure."""
    going_on = {edge.source for edge in edges if not edge.failure}
    ending = {edge.source for edge in edges if END in edge.targets} | (nodes.keys() - going_on)
    written = {name for id, node in nodes.items() if id in ending for name in node.outputs}
    return tuple(name for name in fields if name in written)


def _execution(data: Mapping[str, Any]) -> Execution:
    return Execution(
        timeout=_first(data.get("timeout"), data.get("timeout_seconds")),
        max_visits=_first(data.get("max_visits"), 100),
        budget_usd=data.get("budget_usd"),
    )


def _default_retry(execution: Mapping[str, Any]) -> Retry:
    retries = execution.get("max_retries")
    return UNSAID if retries is None else Retry(max_attempts=int(retries) + 1)


def _first(*values: Any) -> Any:
    """The first value that is not None."""
    return next((value for value in values if value is not None), None)


# --- fields and types -------------------------------------------------------------------------------------


def build_field(name: str, data: Any) -> Field:
    """The state field of its data; `ticket: str` is short for `ticket: {type: str}`."""
    data = {"type": data} if isinstance(data, str) else data
    kind = read_type(data)
    default = data["default"] if data.get("default") is not None else MISSING
    return Field(
        name=name,
        type=kind,
        required=bool(data.get("required")),
        default=default if default is MISSING else convert(default, kind, enum=data.get("enum")),
        description=data.get("description") or "",
        enum=tuple(data["enum"]) if data.get("enum") else None,
        reduce=data.get("reduce"),
    )


def read_type(data: Mapping[str, Any]) -> Type:
    """The type of a field or output, with the inner fields of its object where `schema` names them."""
    kind = cached_type(data["type"])
    inner = data.get("schema")
    if not inner:
        return kind
    fields = {key: read_type({"type": v} if isinstance(v, str) else v) for key, v in inner.items()}
    return _with_fields(kind, fields)


def _with_fields(kind: Type, fields: Mapping[str, Type]) -> Type:
    """The type with `fields` for the object in it, be it inside a list or dict."""
    if kind.name == "object":
        return replace(kind, fields=fields)
    return replace(kind, args=tuple(_with_fields(arg, fields) for arg in kind.args)) if kind.args else kind


# --- nodes ------------------------------------------------------------------------------------------------


class _NodeBuilder:
    """Builds nodes with the workflow's defaults."""

    def __init__(
        self, fields: Mapping[str, Field], config: Mapping[str, Any], retry: Retry, tools: ToolRegistry
    ) -> None:
        self.fields, self.retry, self.tools = fields, retry, tools
        self.llm, self.sandbox = config.get("llm") or {}, config.get("sandbox") or {}

    def build(self, index: int, data: Mapping[str, Any]) -> Node:
        kind = node_kind(data) or "llm"
        outputs = _names(data.get("outputs"))
        uses = tuple(map(_tool_use, data.get("tools") or ())) if kind in ("llm", "code") else ()
        tool = data.get("tool") if kind == "tool" else None
        said = data.get("effect")
        node = Node(
            id=data["id"],
            kind=kind,
            index=index,
            description=data.get("description") or (kind == "code" and data.get("prompt")) or "",
            inputs={name: compile_template(v, bare=True) for name, v in (data.get("inputs") or {}).items()},
            outputs=outputs,
            output_schema=self._output_schema(data, kind, outputs),
            prompt=_template(data, "prompt") if kind == "llm" else None,
            system=_template(data, "system") if kind == "llm" else None,
            llm=_llm(self.llm, data.get("llm") or {}),
            tools=uses,
            tool=tool,
            args=compile_template(data.get("args") or {}) if kind == "tool" else None,
            retry=_retry(data.get("retry"), self.retry),
            timeout=data.get("timeout"),
            effect=self._effect(said, [*(u.name for u in uses), *([tool] if tool else ())]),
            said_effect=said,
            each=build_each(data),
            on_error=data.get("on_error") or "fail",
            sandbox=build_sandbox(self.sandbox, data.get("sandbox"), kind),
        )
        return self._of_its_kind(node, data)

    def _of_its_kind(self, node: Node, data: Mapping[str, Any]) -> Node:
        """The node with what only nodes of its kind have."""
        if node.kind == "ask":
            output = self.fields.get(node.outputs[0]) if node.outputs else None
            if output is not None and node.each is not None and output.type.name == "list":
                output = replace(output, type=output.type.item, enum=None)
            options = answer_options(data, output)
            default = answer_default(data, options)
            return replace(
                node, ask=_template(data, "ask"), options=compile_template(options), default=default
            )
        if node.kind == "code":
            return replace(node, code=data["code"])
        if node.kind == "subflow":
            return replace(node, subflow=data["workflow"])
        return replace(node, agent=data["agent"]) if node.kind == "agent" else node

    def _effect(self, given: Effect | None, names: Iterable[str]) -> Effect:
        """At least the strongest effect of the tools; a tool that is not registered has none to know of."""
        found = [given or "none", *(self.tools.get(name).effect for name in names if name in self.tools)]
        return max(found, key=_EFFECTS.index)

    def _output_schema(
        self, data: Mapping[str, Any], kind: str, outputs: Sequence[str]
    ) -> OutputSchema | None:
        """What one run of the node gives: with `for_each` that is one element of its outputs."""
        each = data.get("for_each") is not None
        if data.get("output_schema"):
            return self._given_schema(data["output_schema"], () if each else outputs)
        if kind != "llm" or not outputs:
            return None
        fields = tuple(map(self._element if each else self._output_field, outputs))
        if len(fields) == 1:
            return OutputSchema(fields[0].type, description=fields[0].description, enum=fields[0].enum)
        return OutputSchema(Type("object", fields={f.name: f.type for f in fields}), fields)

    def _given_schema(self, data: Mapping[str, Any], outputs: Sequence[str]) -> OutputSchema:
        description = data.get("description") or ""
        if not data.get("fields"):
            return OutputSchema(read_type(data), description=description, enum=self._enum(outputs))
        fields = tuple(
            OutputField(
                f["name"],
                read_type(f),
                f.get("description") or "",
                self._enum([f["name"]] if outputs else ()),
            )
            for f in data["fields"]
        )
        return OutputSchema(Type("object", fields={f.name: f.type for f in fields}), fields, description)

    def _output_field(self, name: str) -> OutputField:
        field = self.fields[name]
        return OutputField(name, field.type, field.description, field.enum)

    def _element(self, name: str) -> OutputField:
        field = self.fields[name]
        return OutputField(name, field.type.item, field.description)

    def _enum(self, names: Sequence[str]) -> tuple[Any, ...] | None:
        """The values that the state field of this one name allows."""
        field = self.fields.get(names[0]) if len(names) == 1 else None
        return field.enum if field else None


def _template(data: Mapping[str, Any], key: str) -> Template | None:
    return None if data.get(key) is None else compile_template(data[key])


def _tool_use(data: Any) -> ToolUse:
    if isinstance(data, str):
        return ToolUse(data)
    config = compile_template(data["config"]) if data.get("config") else None
    return ToolUse(data["name"], config, data.get("on_error") or "continue")


def _retry(data: Mapping[str, Any] | None, default: Retry) -> Retry:
    if not data:
        return default
    return Retry(
        max_attempts=int(_first(data.get("max_attempts"), default.max_attempts)),
        backoff_seconds=_first(data.get("backoff_seconds"), default.backoff_seconds),
    )


def _llm(defaults: Mapping[str, Any], own: Mapping[str, Any]) -> LLM:
    """The node's choice over the workflow's. Another provider leaves the default model and address behind."""
    if own.get("provider") is not None and own["provider"] != defaults.get("provider"):
        defaults = {key: value for key, value in defaults.items() if key not in ("model", "api_base")}
    merged = {**defaults, **{key: value for key, value in own.items() if value is not None}}
    fallbacks = merged.get("fallbacks") or ()
    return LLM(
        provider=merged.get("provider"),
        model=merged.get("model"),
        temperature=merged.get("temperature"),
        max_tokens=None if merged.get("max_tokens") is None else int(merged["max_tokens"]),
        api_base=merged.get("api_base"),
        fallbacks=tuple(LLM(model=f) if isinstance(f, str) else _llm({}, f) for f in fallbacks),
    )
