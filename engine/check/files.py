"""Files in a workflow: where their text can be read, and who can give one."""

from __future__ import annotations

from collections.abc import Iterator

from engine.check.draft import Draft
from engine.check.references import target
from engine.check.rules import Found, rule

_GIVE_NONE = ("llm", "tool", "ask")


@rule("file-text-in-condition", "error")
def file_text_in_condition(draft: Draft) -> Iterator[Found]:
    """A condition reads the text of a file, which only nodes can: files are opened when a node runs.

    Let a node read the file and set a field, and ask for that. Conditions can look at a file's name, media_type and
    size.
    """
    for use in draft.uses:
        found = target(draft, use) if use.place == "condition" else None
        if found is None or found.type is None or not found.steps or found.steps[-1] != "text":
            continue
        inner = found.type.at(found.steps[:-1])
        if inner is not None and inner.name == "file":
            message = f"A condition can't read '{use.ref.text}': only nodes open files. "
            yield Found(use.path, f"{message}Let a node read it and set a field, and ask for that.")


@rule("file-not-given", "error")
def file_not_given(draft: Draft) -> Iterator[Found]:
    """A model, a tool or a person is to give a file, which none of them can.

    Make the output a `str`, or let the person choose the file before the run: as an input.
    """
    for node in draft.nodes:
        for name in node.outputs if node.kind in _GIVE_NONE else ():
            field = draft.fields.get(name.text)
            if field is not None and field.type is not None and field.type.holds_files:
                message = f"'{name.text}' is a file, which this node can't give. "
                yield Found(name.path, f"{message}Make it a str, or an input of the workflow.")


RULES = (file_text_in_condition, file_not_given)
