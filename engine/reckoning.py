"""The reckoning of an estimate: each node by itself, then over all ways that a run may go. It asks nobody."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from engine.control import fired_by
from engine.errors import RunError
from engine.estimate import Basis, Estimate, Facts, NodeEstimate, candidates
from engine.estimate_history import Past, spread
from engine.estimate_paths import Paths, Targets, Way
from engine.estimate_sizes import NOTHING, Known, Range, Rendering, json_size, plus, size_of, times
from engine.graph import Graph
from engine.models import embedded, pricing, tokens
from engine.models.names import Target
from engine.nodes.llm import reply_schema
from engine.nodes.tool_turns import ROUNDS
from engine.pins import DEEPEST
from engine.ports import Asked
from engine.workflow import MISSING, Edge, Node, Workflow

PARALLEL = 8
RESULT_TOKENS = 500
"""What a tool's result is taken to add to the prompts after it."""
COMPLAINT_TOKENS = 60
CODE_SECONDS = 10.0
TOOL_SECONDS = 30.0
# Seconds of a call beside its tokens, and tokens a second: at best, at worst.
_SPEED = {"hosted": ((0.3, 150.0), (4.0, 20.0)), "local": ((0.1, 120.0), (30.0, 3.0))}


@dataclass(frozen=True, slots=True)
class Need:
    """What one visit of a node takes. None: it can't be known."""

    model: str | None = None
    calls: Range = NOTHING
    prompt: Range | None = NOTHING
    completion: Range | None = NOTHING
    cost: Range | None = NOTHING
    seconds: Range | None = NOTHING
    basis: Basis = "default"
    note: str | None = None


class Reckoning:
    """One workflow with what is known of it."""

    def __init__(self, facts: Facts, workflow: Workflow, depth: int = 0) -> None:
        self.facts = facts
        self.workflow = workflow
        self.unknown: dict[str, None] = {}
        self._depth = depth
        self._graph = Graph(workflow)
        self._past = facts.past.get(workflow.name, {})
        self._target = next((t for t in facts.targets.values() if isinstance(t, Target)), None)

    def of(self, inputs: Mapping[str, Any]) -> Estimate:
        known = self._known(inputs)
        needs = [self._need(node, known) for node in self._graph.nodes]
        paths = Paths(self._graph, partial(_decide, known))
        fewest, most = paths.fewest(), paths.most()
        nodes = tuple(self._node(n, needs[n], fewest, most) for n in range(len(needs)))
        whole = partial(_whole, needs, fewest, most)
        prompt, completion = whole("prompt"), whole("completion")
        return Estimate(
            workflow=self.workflow.name,
            nodes=nodes,
            calls=_ints(whole("calls") or NOTHING),
            prompt_tokens=_ints(prompt) if prompt else None,
            completion_tokens=_ints(completion) if completion else None,
            cost_usd=whole("cost"),
            seconds=_time(paths, needs, fewest, most),
            budget_usd=self.workflow.execution.budget_usd,
            unknown=tuple(self.unknown),
        )

    # --- what is known ---

    def _known(self, inputs: Mapping[str, Any]) -> Known:
        """The state before the run, and how long what nodes write will be."""
        written = {name for node in self._graph.nodes for name in node.outputs}
        values: dict[str, Any] = {}
        missing = []
        for name, field in self.workflow.fields.items():
            if name in inputs:
                values[name] = inputs[name]
            elif name not in written and (field.default is not MISSING or not field.required):
                values[name] = None if field.default is MISSING else field.default
            elif name not in written:
                missing.append(name)
                self.unknown[f"The input {name} is not given; its length is assumed."] = None
        values = {name: value for name, value in values.items() if name not in written}
        known = Known(self.workflow, values, self._count, {}, frozenset(missing))
        sizes: dict[str, Range] = {}
        for node in self._graph.nodes:
            if node.kind == "llm" and len(node.outputs) == 1:
                reply, basis = self._reply(node, known)
                if basis != "default":
                    elements = Rendering(node, known).elements
                    sizes[node.outputs[0]] = times(reply, elements)
        known.written = sizes
        return known

    def _count(self, text: str) -> int:
        if self._target is None or self._target.free:
            return tokens.rule_of_thumb(text)
        return tokens.count(text, self._target.provider, self._target.model)

    # --- a node ---

    def _need(self, node: Node, known: Known) -> Need:
        """What a visit takes."""
        if node.kind == "llm":
            return self._model_node(node, known)
        if node.kind == "subflow":
            return self._subflow(node, known)
        if node.kind == "ask":
            self.unknown["How long people take to answer is not counted."] = None
            return Need()
        if node.kind == "agent":
            self.unknown[f"What the agent of {node.id} takes can't be told."] = None
            return Need(None, NOTHING, None, None, None, None)
        most = node.timeout or (CODE_SECONDS if node.kind == "code" else TOOL_SECONDS)
        return Need(seconds=self._seconds(node, Rendering(node, known), (0.0, most)))

    def _model_node(self, node: Node, known: Known) -> Need:
        targets = [self._target_of(asked) for asked in candidates(node.llm, self.facts.force_model)]
        found = [target for target in targets if isinstance(target, Target)]
        for reason in (target for target in targets if isinstance(target, str)):
            self.unknown[f"The model of {node.id} can't be reached: {reason}"] = None
        rendering = Rendering(node, known)
        if rendering.items is None and node.each is not None:
            self.unknown[f"How many elements {node.id} will have is not known; up to 10 are assumed."] = None
        turns = ROUNDS if node.tools or node.sandbox.enabled else 1
        attempts = node.retry.max_attempts
        past = self._past.get(node.id, Past())
        reply, basis = self._reply(node, known)
        completion, prompt = (reply[0], reply[1] * turns * 2 * attempts), self._prompt(node, rendering)
        prompt = prompt[0], attempts * _conversation(prompt[1], reply[1], turns)
        if past.completion:
            completion = reply[0], reply[1] * attempts
            if turns > 1 and past.prompt:
                middle, high = spread(past.prompt)
                prompt = middle, high * attempts
        calls = times((1, turns * 2 * attempts), rendering.elements)
        cost = self._cost(node, found, prompt, completion) if found and len(found) == len(targets) else None
        seconds = _call_seconds(found[0], completion, turns * 2 * attempts) if found else None
        return Need(
            model=found[0].name if found else None,
            calls=calls,
            prompt=times(prompt, rendering.elements),
            completion=times(completion, rendering.elements),
            cost=None if cost is None else times(cost, rendering.elements),
            seconds=self._seconds(node, rendering, seconds),
            basis=basis,
            note=_note(node, rendering, turns, attempts),
        )

    def _reply(self, node: Node, known: Known) -> tuple[Range, Basis]:
        """Tokens of one reply: from earlier runs, as far as the document allows, else by what is to be given back."""
        past = self._past.get(node.id)
        most = node.llm.max_tokens
        if past is not None and past.completion:
            low, high = spread(past.completion)
            return (min(low, most or low), min(high, most) if most and not node.tools else high), "history"
        sizes = [self._output_size(node, name, known) for name in node.outputs] or [(1, 800)]
        low, high = plus(*sizes)
        if reply_schema(node, self.workflow) is not None:
            low, high = low + 4 * len(sizes), high + 10 * len(sizes)
        if most is not None:
            return (min(low, most), most), "max_tokens"
        target = self._first(node)
        if target is not None and target.wire == "embedded":
            high = min(high, embedded.MAX_TOKENS_JSON)
        return (min(low, high), high), "default"

    def _output_size(self, node: Node, name: str, known: Known) -> Range:
        field = self.workflow.fields[name]
        kind = field.type.item if node.each is not None and field.type.name == "list" else field.type
        return size_of(kind, field.enum, known.count)

    def _target_of(self, asked: Asked) -> Target | str:
        return self.facts.targets.get(asked, f"nothing is known of {asked[0] or 'it'}.")

    def _first(self, node: Node) -> Target | None:
        found = [self._target_of(asked) for asked in candidates(node.llm, self.facts.force_model)]
        return found[0] if found and isinstance(found[0], Target) else None

    def _prompt(self, node: Node, rendering: Rendering) -> Range:
        """Tokens of the first prompt: the texts, the schema and the tools."""
        fixed = tokens.PER_REPLY + tokens.PER_MESSAGE * (2 if node.system else 1)
        schema = reply_schema(node, self.workflow)
        if schema is not None:
            fixed += json_size(schema, self._count)
        for use in node.tools:
            if use.name in self.facts.tools:
                tool = self.facts.tools.get(use.name)
                fixed += json_size([tool.description, tool.parameters], self._count)
        return plus((fixed, fixed), rendering.size(node.system), rendering.size(node.prompt))

    def _cost(self, node: Node, targets: Sequence[Target], prompt: Range, completion: Range) -> Range | None:
        """Dollars: at least those of the first model, at most those of the dearest."""
        found: list[Range] = []
        for target in targets:
            if target.free:
                found.append(NOTHING)
                continue
            entry = pricing.entry(target.provider, target.model)
            low, high = pricing.prices(entry, int(prompt[0])), pricing.prices(entry, int(prompt[1]))
            if None in (*low, *high):
                self.unknown[f"What {target.name} costs is not known."] = None
                return None
            found.append(
                (
                    prompt[0] * (low[0] or 0) + completion[0] * (low[1] or 0),
                    prompt[1] * (high[0] or 0) + completion[1] * (high[1] or 0),
                )
            )
        return found[0][0], max(high for _, high in found)

    def _seconds(self, node: Node, rendering: Rendering, one: Range | None) -> Range | None:
        """Of a visit: elements run side by side; earlier runs know best."""
        past = self._past.get(node.id)
        if past is not None and past.seconds:
            low, high = spread(past.seconds)
            one = low, high * node.retry.max_attempts
        if one is None:
            return None
        beside = (node.each.max_parallel or PARALLEL) if node.each is not None else 1
        low, high = rendering.elements
        return one[0] * math.ceil(low / beside), one[1] * math.ceil(high / beside)

    def _subflow(self, node: Node, known: Known) -> Need:
        """A sub-workflow with what of its inputs is known."""
        workflow = self.facts.workflows.get(node.subflow or "")
        if workflow is None or self._depth >= DEEPEST:
            self.unknown[f"What the workflow {node.subflow} takes can't be told: it is not there."] = None
            return Need(None, NOTHING, None, None, None, None)
        rendering = Rendering(node, known)
        inputs = {name: rendering.value(template) for name, template in node.inputs.items()}
        inner = Reckoning(self.facts, workflow, self._depth + 1)
        given = {n: v for n, v in inputs.items() if v is not None and n in workflow.inputs}
        found = inner.of(given)
        self.unknown |= {f"In {node.id}: {said}": None for said in found.unknown}
        elements, attempts = rendering.elements, node.retry.max_attempts
        many = (elements[0], elements[1] * attempts)
        return Need(
            calls=times(found.calls, many),
            prompt=times(found.prompt_tokens, many) if found.prompt_tokens else None,
            completion=times(found.completion_tokens, many) if found.completion_tokens else None,
            cost=None if found.cost_usd is None else times(found.cost_usd, many),
            seconds=self._seconds(node, rendering, found.seconds),
            note=f"the workflow {workflow.name}",
        )

    def _node(self, n: int, need: Need, fewest: Sequence[Way], most: Sequence[Way]) -> NodeEstimate:
        """A node with all its visits."""
        node = self._graph.nodes[n]
        visits = (
            float(all(n in way.nodes for way in fewest)),
            float(max((way.again[n] for way in most if n in way.nodes), default=0)),
        )
        prompt = None if need.prompt is None else _ints(times(need.prompt, visits))
        completion = None if need.completion is None else _ints(times(need.completion, visits))
        rounds = f"{visits[0]:.0f} to {visits[1]:.0f} visits" if visits[1] > 1 else None
        skipped = "may be left out" if visits == (0, 1) else None
        return NodeEstimate(
            id=node.id,
            kind=node.kind,
            model=need.model,
            calls=_ints(times(need.calls, visits)),
            prompt_tokens=prompt,
            completion_tokens=completion,
            cost_usd=None if need.cost is None else times(need.cost, visits),
            seconds=None if need.seconds is None else times(need.seconds, visits),
            basis=need.basis,
            note="; ".join(filter(None, [need.note, rounds, skipped])) or None,
        )


def _conversation(prompt: float, reply: float, turns: int) -> float:
    """Tokens of all prompts of an attempt in which every turn is used, and every reply has to be asked for twice."""
    grown = [prompt + turn * (reply + RESULT_TOKENS) for turn in range(turns)]
    return sum(2 * each + reply + COMPLAINT_TOKENS for each in grown)


def _call_seconds(target: Target, completion: Range, most_calls: int) -> Range:
    (pause, fast), (late, slow) = _SPEED["local" if target.free else "hosted"]
    return pause + completion[0] / fast, late * most_calls + completion[1] / slow


def _note(node: Node, rendering: Rendering, turns: int, attempts: int) -> str | None:
    said = []
    if node.each is not None:
        low, high = rendering.elements
        said.append(f"{high:.0f} elements" if low == high else f"{low:.0f} to {high:.0f} elements")
    if turns > 1:
        said.append(f"up to {turns} turns with tools")
    if attempts > 1:
        said.append(f"up to {attempts} attempts")
    return ", ".join(said) or None


def _decide(known: Known, edge: Edge) -> Targets | None:
    """Where routes go that depend on the inputs alone."""
    refs = [ref for route in edge.routes if route.condition is not None for ref in route.condition.refs]
    names = {str(ref.path[0]) if ref.root == "state" else ref.root for ref in refs}
    if not names <= known.values.keys():
        return None
    try:
        return tuple(target for _, target in fired_by([edge], known.values))
    except RunError:
        return None


def _whole(needs: Sequence[Need], fewest: Sequence[Way], most: Sequence[Way], name: str) -> Range | None:
    """The sum over the way on which it is least, and over the one on which it is most."""
    found: list[Range | None] = [getattr(need, name) for need in needs]
    if any(found[n] is None for way in most for n in way.nodes):
        return None
    spans = [span or NOTHING for span in found]
    return (
        min((sum(spans[n][0] for n in way.nodes) for way in fewest), default=0),
        max((sum(spans[n][1] * way.again[n] for n in way.nodes) for way in most), default=0),
    )


def _time(paths: Paths, needs: Sequence[Need], fewest: Sequence[Way], most: Sequence[Way]) -> Range | None:
    """Seconds: the longest chain of nodes, since branches run side by side."""
    if any(needs[n].seconds is None for way in most for n in way.nodes):
        return None
    low = [(need.seconds or NOTHING)[0] for need in needs]
    high = [(need.seconds or NOTHING)[1] for need in needs]
    return (
        min((paths.longest(way, low) for way in fewest), default=0.0),
        max(
            (
                paths.longest(way, [h * again for h, again in zip(high, way.again, strict=True)])
                for way in most
            ),
            default=0.0,
        ),
    )


def _ints(range: Range) -> tuple[int, int]:
    return math.floor(range[0]), math.ceil(range[1])
