"""The mend of a run that failed, where what is kept of the failure leaves one reading: small edits of the document.

Each is only a proposal: whoever offers it checks the edited document, and a person decides.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from engine.failures import Failure, refs_of
from engine.ports import NodeRow, RunRecord
from engine.templates import Ref
from engine.text_edits import Edit
from engine.workflow import MISSING, Field, Node, Workflow

ALIKE = 0.75
"""How like a name must be to one that is there, and no other may be, to be taken for a slip of the pen."""
_TYPES = {"int": "int", "float": "float", "str": "str", "bool": "bool", "list": "list", "dict": "dict"}


def edits_for(failure: Failure, run: RunRecord, rows: Sequence[NodeRow], workflow: Workflow) -> list[Edit]:
    """The edits that mend it; empty where nothing certain is known, or the fault is in a sub-workflow."""
    node = workflow.nodes.get(failure.node)
    find = _MENDS.get(failure.code)
    if node is None or find is None or "workflow" in failure.fault:
        return []
    return find(failure.fault, node, run, rows, workflow)


def _other_name(
    fault: Mapping[str, Any], node: Node, run: RunRecord, rows: Sequence[NodeRow], workflow: Workflow
) -> list[Edit]:
    """A reference to a name that is not there, where one that is there is like it."""
    missing = str(fault.get("missing", ""))
    meant = _meant(missing, [str(name) for name in fault.get("there", ())])
    texts = {ref.text for ref in refs_of(node) if missing in map(str, ref.path)}
    if meant is None or len(texts) != 1:
        return []
    old = texts.pop()
    new = _renamed(next(ref for ref in refs_of(node) if ref.text == old), missing, meant)
    places = _places(node, old)
    return [Edit("replace", f"{{{old}}}", f"{{{new}}}")] if new and places == _count(workflow, old) else []


def _meant(missing: str, there: Sequence[str]) -> str | None:
    plain = {name: "".join(c for c in name.casefold() if c.isalnum()) for name in there}
    wanted = "".join(c for c in missing.casefold() if c.isalnum())
    same = [name for name, text in plain.items() if text == wanted]
    near = same or difflib.get_close_matches(missing, there, n=2, cutoff=ALIKE)
    return near[0] if len(near) == 1 else None


def _renamed(ref: Ref, missing: str, meant: str) -> str | None:
    """The reference with that one step of it changed; None where the name can't be written so."""
    if not meant.isidentifier() or ref.text.count(missing) != 1:
        return None
    return ref.text.replace(missing, meant)


def _places(node: Node, text: str) -> int:
    return sum(ref.text == text for ref in refs_of(node))


def _count(workflow: Workflow, text: str) -> int:
    """How often the reference stands in the document; an edit by its text needs it to be there once."""
    return workflow.text.count(f"{{{text}}}")


def _other_type(
    fault: Mapping[str, Any], node: Node, run: RunRecord, rows: Sequence[NodeRow], workflow: Workflow
) -> list[Edit]:
    """A tool or code gives another type than its field has, which nothing but it sets."""
    field = workflow.fields.get(str(fault.get("field", "")))
    got = _TYPES.get(str(fault.get("got", "")))
    if field is None or got is None or node.kind not in ("tool", "code") or node.each is not None:
        return []
    alone = [other.id for other in workflow.nodes.values() if field.name in other.outputs] == [node.id]
    if not alone or not _is_plain(field, workflow) or got == field.type.name:
        return []
    return [Edit("set", f"state.fields.{field.name}.type", got)]


def _is_plain(field: Field, workflow: Workflow) -> bool:
    """Whether nothing but its type says what the field holds."""
    free = field.enum is None and field.reduce is None and field.default is MISSING
    return free and field.name not in workflow.inputs and str(field.type) == field.type.name


def _empty_list(
    fault: Mapping[str, Any], node: Node, run: RunRecord, rows: Sequence[NodeRow], workflow: Workflow
) -> list[Edit]:
    """A for_each over a list that nobody has set: without a default it is null, which is no list."""
    ref = node.each.items.only_ref if node.each else None
    if ref is None or not fault.get("empty"):
        return []
    path = ref.path if ref.root == "state" else (ref.root, *ref.path)
    field = workflow.fields.get(str(path[0])) if len(path) == 1 else None
    if field is None or field.type.name != "list" or field.default is not MISSING or field.required:
        return []
    if field.name in run.inputs or any(field.name in row.writes for row in rows):
        return []
    return [Edit("set", f"state.fields.{field.name}.default", "[]")]


_Mend = Callable[[Mapping[str, Any], Node, RunRecord, Sequence[NodeRow], Workflow], list[Edit]]
_MENDS: Mapping[str, _Mend] = {"template": _other_name, "misfit": _other_type, "no_list": _empty_list}
