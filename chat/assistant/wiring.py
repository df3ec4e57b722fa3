"""A workflow's document made by code from a plan: steps in words, and what each needs. Ids, fields, references,
quoting and edges are wired here, so that no model has to get them right.

Steps that don't need each other run side by side; a step that decides opens a way per case; what comes after such a
branch waits for whichever way was taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from chat.assistant.wiring_names import Names, name_all, slug
from chat.assistant.wiring_text import block, literal, one_line, printable, quoted, sentence, template
from chat.assistant.wiring_ways import Ways, find_ways

MOST_STEPS = 60
LONGEST_BODY = 8000  # characters of a prompt, a question or code
KINDS = ("llm", "ask", "tool", "code")
TYPES = ("str", "int", "float", "bool", "list[str]")


@dataclass(frozen=True, slots=True)
class PlanInput:
    """What the workflow is given. Without `default` it is required; `enum` are the only values allowed."""

    name: str
    description: str = ""
    type: str = "str"
    default: Any = None
    enum: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One step. `sentence` says what it does; `needs` are names of inputs and ids of earlier steps, `after`
    ids of earlier steps whose results it does not read.

    `body` is the prompt, the question or the code, by `kind`; "" makes it of the sentence. Texts, and the values of
    `args`, may hold `{name}` of anything that stands before. `cases`, two or more, make it decide (a person, where
    it asks): `only` = (id, case) puts a step into a case. `each` names a list: the step runs once per element,
    which is `{item}`. `result` names the field that it fills; steps of different cases may fill the same one.
    """

    sentence: str
    id: str = ""
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    kind: str = "llm"
    body: str = ""
    type: str = "str"
    cases: tuple[str, ...] = ()
    only: tuple[str, str] | None = None
    each: str = ""
    tool: str = ""
    args: Mapping[str, Any] = field(default_factory=dict)
    result: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole workflow in words."""

    name: str
    description: str
    inputs: tuple[PlanInput, ...]
    steps: tuple[PlanStep, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON, which rides on a question."""
        return asdict(self)


def plan_from_dict(data: Mapping[str, Any]) -> Plan:
    """The plan whose `to_dict()` this is. KeyError and TypeError for anything else."""
    inputs = tuple(PlanInput(**{**i, "enum": tuple(i.get("enum", ()))}) for i in data["inputs"])
    return Plan(data["name"], data["description"], inputs, tuple(map(step_from_dict, data["steps"])))


def step_from_dict(data: Mapping[str, Any]) -> PlanStep:
    only = data.get("only")
    return PlanStep(
        **{
            **data,
            "needs": tuple(data.get("needs", ())),
            "after": tuple(data.get("after", ())),
            "cases": tuple(data.get("cases", ())),
            "only": (str(only[0]), str(only[1])) if only else None,
        }
    )


def wire(plan: Plan) -> str:
    """The YAML of a plan; it passes the checker as far as code, tools and their arguments are right.

    A need that can't be met (of a later step, of another case of the same decision) is left out. ValueError for a plan
    without steps, or with more than MOST_STEPS.
    """
    if not 0 < len(plan.steps) <= MOST_STEPS:
        raise ValueError(f"a plan has 1 to {MOST_STEPS} steps")
    names = name_all(plan)
    ways = find_ways(plan, names)
    lists = _lists(plan, names, ways)
    lines = [
        'schema_version: "1.0"',
        "flow:",
        f"  name: {quoted(slug(plan.name, 6) or slug(plan.description, 4) or 'my_workflow')}",
        f"  description: {quoted(one_line(plan.description)[:600] or 'Made of steps')}",
        f"  outputs: [{', '.join(_outputs(names, ways))}]",
        "state:",
        "  fields:",
        *_fields(plan, names, lists),
        "nodes:",
    ]
    for number in ways.order:
        lines += _node(plan, number, names, ways, lists)
    return "\n".join([*lines, *ways.edges(names), ""])


@dataclass(frozen=True, slots=True)
class Known:
    """Something that a step may read. `name` is what its texts call it."""

    name: str
    type: str
    description: str


def known_to(plan: Plan) -> list[list[Known]]:
    """For each step what it may read without waiting for more: the inputs, and what comes before it anyway."""
    names = name_all(plan)
    ways = find_ways(plan, names)
    lists = _lists(plan, names, ways)
    inputs = [
        Known(given.name, lists.get(name) or given.type, one_line(given.description))
        for given, name in zip(plan.inputs, names.inputs, strict=True)
    ]
    steps = [
        Known(
            step.id or names.ids[number],
            lists.get(names.fields[number]) or _own_type(step),
            one_line(step.sentence),
        )
        for number, step in enumerate(plan.steps)
    ]
    return [
        [*inputs, *(steps[other] for other in range(number) if ways.precedes(other, number))]
        for number in range(len(plan.steps))
    ]


def steps_in_document(plan: Plan) -> list[int]:
    """The numbers of the plan's steps in the order in which their nodes stand in `wire(plan)`."""
    return find_ways(plan, name_all(plan)).order


def _outputs(names: Names, ways: Ways) -> list[str]:
    return list(dict.fromkeys(names.fields[number] for number in ways.last()))


def _lists(plan: Plan, names: Names, ways: Ways) -> dict[str, str]:
    """The fields that have to be lists because a step runs over them: name to type; of steps that run over one, too."""
    found: dict[str, str] = {}
    for number, step in enumerate(plan.steps):
        source = ways.each(number)
        if source is not None:
            given = ways.giver(number)
            found.setdefault(source, f"list[{'any' if given and given.kind != 'llm' else 'str'}]")
            found[names.fields[number]] = f"list[{_own_type(step)}]"
    return found


def _own_type(step: PlanStep) -> str:
    """The type of what a step gives back once."""
    if step.kind in ("tool", "code"):
        return "any"
    if len(step.cases) > 1 or step.kind == "ask":
        return "str"
    return step.type if step.type in TYPES else "str"


def _fields(plan: Plan, names: Names, lists: Mapping[str, str]) -> list[str]:
    lines = []
    for given, name in zip(plan.inputs, names.inputs, strict=True):
        kind = lists.get(name) or (given.type if given.type in TYPES else "str")
        parts = [f"type: {quoted(kind) if '[' in kind else kind}"]
        enum = names.input_enums.get(name, ()) if kind == "str" else ()
        if enum:
            parts.append(f"enum: [{', '.join(map(quoted, enum))}]")
        default = _fitting(given.default, kind, enum)
        parts.append("required: true" if default is None else f"default: {quoted(default)}")
        lines.append(_field(name, parts, given.description or given.name))
    for number, step in enumerate(plan.steps):
        name = names.fields[number]
        if name in names.fields[:number]:
            continue
        kind = lists.get(name) or _own_type(step)
        parts = [f"type: {quoted(kind) if '[' in kind else kind}"]
        if names.cases[number] and kind == "str":
            parts.append(f"enum: [{', '.join(map(quoted, names.cases[number]))}]")
        lines.append(_field(name, parts, step.sentence))
    return lines


def _field(name: str, parts: Sequence[str], description: str) -> str:
    return f"    {name}: {{{', '.join([*parts, f'description: {quoted(one_line(description)[:300] or name)}'])}}}"


def _fitting(value: Any, kind: str, enum: Sequence[str]) -> Any:
    """A default that is of the type, else None, which makes the input required."""
    if enum:
        return value if value in enum else None
    if kind == "float" and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) if abs(value) < 1e15 else None
    if kind == "list[str]":
        whole = isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
        return [one_line(item) for item in value] if whole else None
    wanted = {"str": str, "int": int, "bool": bool}.get(kind)
    if wanted is None or not isinstance(value, wanted) or (kind == "int" and isinstance(value, bool)):
        return None
    return one_line(value) if isinstance(value, str) else value


def _node(plan: Plan, number: int, names: Names, ways: Ways, lists: Mapping[str, str]) -> list[str]:
    step = plan.steps[number]
    known = ways.known(number)
    lines = [
        f"  - id: {names.ids[number]}",
        f"    description: {quoted(sentence(step.sentence)[:300] or 'A step')}",
    ]
    source = ways.each(number)
    if source is not None:
        lines.append(f"    for_each: state.{source}")
        known = {**known, "item": "item"}
    if step.kind == "tool":
        lines += [f"    tool: {quoted(step.tool)}", *_arguments(step, known)]
    elif step.kind == "code":
        lines += [*block("code", step.body[:LONGEST_BODY], 4), *_inputs(known, ways.needed(number))]
    elif step.kind == "ask":
        lines += block("ask", _text(step, known, names, ways, number), 4)
        lines.append(f"    options: [{', '.join(map(quoted, names.cases[number]))}]")
    else:
        lines += block("prompt", _text(step, known, names, ways, number), 4)
    return [*lines, f"    outputs: [{names.fields[number]}]"]


def _text(step: PlanStep, known: Mapping[str, str], names: Names, ways: Ways, number: int) -> str:
    """A prompt or a question: its words, then every value that is needed and not named in them."""
    words = printable(step.body[:LONGEST_BODY]).strip()
    said = ""
    if not words:
        words = sentence(step.sentence) or "Go on"
        said = "." if step.kind == "ask" or names.cases[number] else ". Answer with the result only."
    text, used = template(words, known)
    choice = (
        f"\n\nAnswer with one of: {', '.join(map(literal, names.cases[number]))}."
        if _decides(step, names, number)
        else ""
    )
    lines = [f"{label}: {{{where}}}" for where, label in ways.labels(number, names) if where not in used]
    if known.get("item") == "item" and "item" not in used:
        lines.append("Item: {item}")
    return f"{text}{said}{choice}" + ("\n\n" + "\n".join(lines) if lines else "")


def _decides(step: PlanStep, names: Names, number: int) -> bool:
    return step.kind == "llm" and bool(names.cases[number])


def _arguments(step: PlanStep, known: Mapping[str, str]) -> list[str]:
    if not step.args:
        return []
    return [
        "    args:",
        *(
            f"      {quoted(str(name)[:200])}: {quoted(_filled(value, known))}"
            for name, value in step.args.items()
        ),
    ]


def _filled(value: Any, known: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return template(value, known)[0]
    if isinstance(value, Mapping):
        return {str(key): _filled(below, known) for key, below in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(below, known) for below in value]
    return value


def _inputs(known: Mapping[str, str], needed: Sequence[str]) -> list[str]:
    """What code reads, by the names of the plan."""
    wanted: dict[str, str] = {}
    for name, where in known.items():
        if (where in needed or name == "item") and where not in wanted.values():
            wanted[slug(name, 9) or name] = where
    pairs = ", ".join(
        f"{name}: {quoted(where if where != 'item' else '{item}')}" for name, where in wanted.items()
    )
    return [f"    inputs: {{{pairs}}}"] if pairs else []
