"""What the format has but this version does not do yet, and what older documents carry that means nothing
any more.

Both are marked in the schema itself (`x-later`, `deprecated`), so that a key becomes available by a change
in one place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.check.draft import Draft
from engine.check.reading import mapping
from engine.check.rules import Found, Path, rule
from engine.schema import Marked

_INSTEAD = {
    "agent": "Agents come with their registry. Give a node with a prompt the agent's instructions in system."
}


def _value(data: Any, path: Path) -> Any:
    for step in path:
        data = data[step]
    return data


def _marked(draft: Draft) -> Iterator[Marked]:
    for marked in draft.marked:
        if mapping(_value(draft.data, marked.path)).get("enabled") is not False:
            yield marked


@rule("not-available", "error")
def not_available(draft: Draft) -> Iterator[Found]:
    """A kind of node or a key that belongs to the format, but that this version of Parlance can't do yet.
    Running without it would give another result, so the workflow can't be run.

    Do it in another way; the message says how.
    """
    for marked in _marked(draft):
        if marked.later == "error":
            key = str(marked.path[-1])
            hint = marked.instead or _INSTEAD.get(key, "Remove it.")
            yield Found(marked.path, f"'{key}' is not available yet. {hint}")


@rule("ignored", "warning")
def ignored(draft: Draft) -> Iterator[Found]:
    """A key that belongs to the format, but that this version of Parlance does not act on yet. The workflow
    runs without it.

    Nothing has to be done.
    """
    for marked in _marked(draft):
        if marked.later == "warning":
            yield Found(
                marked.path, f"'{marked.path[-1]}' is not available yet. The workflow runs without it."
            )


@rule("older-key", "warning")
def older_key(draft: Draft) -> Iterator[Found]:
    """A key of the format's predecessor that means nothing here any more.

    Remove it, or use what the message names.
    """
    for marked in _marked(draft):
        if marked.later is None:
            yield Found(
                marked.path, f"'{marked.path[-1]}' has no effect here. {marked.instead or 'Remove it.'}"
            )
    for path in _old_sandboxes(draft):
        message = "'restrictedpython' is not used any more; the default sandbox takes its place. Remove it."
        yield Found(path, message)


def _old_sandboxes(draft: Draft) -> Iterator[Path]:
    places: list[tuple[Path, Any]] = [
        (("config", "sandbox"), mapping(draft.data.get("config")).get("sandbox"))
    ]
    places += [((*node.path, "sandbox"), node.data.get("sandbox")) for node in draft.nodes]
    for path, sandbox in places:
        for key in ("mode", "runtime"):
            if mapping(sandbox).get(key) == "restrictedpython":
                yield (*path, key)


RULES = (not_available, ignored, older_key)
