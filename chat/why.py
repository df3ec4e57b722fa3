"""Why saved workflows are as they are: what changed in each version, and which version made each line and each key."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.errors import InputError
from sessions.workflows import Version, Workflows

if TYPE_CHECKING:
    from engine.blame import Blame

KEPT = 16
"""So many workflows' origins are kept at hand: 50 versions of 300 lines take 180 ms to go through."""


@dataclass(frozen=True, slots=True)
class Why:
    """Which version made a line as it is. `path` is the key that stands there, `since` the version in which that key
    first was there and `changed` the one in which its value changed last; None where the line has no key.
    """

    name: str
    line: int
    text: str
    path: str | None
    version: Version
    since: int | None
    changed: int | None

    def to_dict(self) -> dict[str, Any]:
        return {
            "workflow": self.name,
            "line": self.line,
            "text": self.text,
            "path": self.path,
            **origin(self.version),
            "since": self.since,
            "changed": self.changed,
        }


class Story:
    """The versions of workflows, told."""

    def __init__(self, workflows: Workflows) -> None:
        self._workflows = workflows
        self._blames: OrderedDict[tuple[object, ...], Blame] = OrderedDict()

    async def history(self, owner: str, name: str) -> list[dict[str, Any]]:
        """Every version, the newest first: `Version.to_dict()` and `changes`, in words, against the one before."""
        versions = await self._workflows.versions(owner, name)
        return await asyncio.to_thread(_with_changes, versions)

    async def changes(self, owner: str, name: str, before: int, after: int) -> list[str]:
        """What differs between two versions, in words."""
        from engine.differences import describe_changes

        old, new = [await self._workflows.get(owner, name, number) for number in (before, after)]
        return await asyncio.to_thread(describe_changes, old.yaml, new.yaml)

    async def why(
        self, owner: str, name: str, line: int | None = None, path: str | None = None, text: str | None = None
    ) -> Why:
        """Why a line (1-based), or what stands at a path such as `nodes[review].prompt`, is as it is.

        `text` is the document that the line was seen in, where that may be another one than the newest version.
        NotFound for an unknown workflow; InputError where there is no such line, or it stands otherwise in the
        newest version.
        """
        versions = await self._workflows.versions(owner, name)
        blame = await self._blamed(owner, name, versions)
        number = blame.line_of(path) if path is not None else line or 0
        if number is None:
            raise InputError(f'"{name}" has nothing at {path}.', "Name a line instead.", "path")
        return _why(name, versions, blame, number, path, text)

    async def blame_view(self, owner: str, name: str) -> dict[str, Any]:
        """Who made what in the newest version, for the page.

        `lines[i]` is the version that made line i + 1; `nodes` are by id {line, since, version}: the version that
        brought the node and the one that changed it last; `paths` likewise for every key, as `nodes[draft].prompt`;
        `versions` are those numbers' {version, author, request, request_id, conversation_id, summary, at}.
        """
        versions = await self._workflows.versions(owner, name)
        blame = await self._blamed(owner, name, versions)
        paths = {key.path: {"since": key.since, "version": key.changed} for key in blame.keys}
        nodes = {
            id: {"line": key.line, "since": key.since, "version": key.changed}
            for id, key in blame.nodes.items()
        }
        return {
            "name": name,
            "version": versions[0].version,
            "lines": list(blame.lines),
            "nodes": nodes,
            "paths": paths,
            "versions": {str(each.version): origin(each) for each in versions},
        }

    async def _blamed(self, owner: str, name: str, versions: Sequence[Version]) -> Blame:
        """The origins of the newest version; kept until there is another one."""
        key = (owner, name, versions[0].version, versions[0].created_at, versions[-1].created_at)
        found = self._blames.pop(key, None)
        if found is None:
            found = await asyncio.to_thread(_blamed, versions)
        self._blames[key] = found
        while len(self._blames) > KEPT:
            self._blames.popitem(last=False)
        return found


def origin(version: Version) -> dict[str, Any]:
    """Who made a version, and why."""
    shown = version.to_dict()
    kept = ("version", "author", "request", "request_id", "conversation_id", "summary")
    return {**{name: shown[name] for name in kept}, "at": shown["created_at"]}


def _with_changes(versions: Sequence[Version]) -> list[dict[str, Any]]:
    from engine.differences import describe_changes

    before = [*(version.yaml for version in versions[1:]), None]
    return [
        {**new.to_dict(), "changes": [] if old is None else describe_changes(old, new.yaml)}
        for new, old in zip(versions, before, strict=True)
    ]


def _blamed(versions: Sequence[Version]) -> Blame:
    from engine.blame import blame

    return blame([(version.version, version.yaml) for version in reversed(versions)])


def _why(
    name: str, versions: Sequence[Version], blame: Blame, line: int, path: str | None, text: str | None
) -> Why:
    from engine.blame import lines_of

    lines = lines_of(versions[0].yaml)
    if text is not None:
        line = _same_line(name, versions[0], text, line)
    if not 1 <= line <= len(lines):
        raise InputError(f'"{name}" has {len(lines)} lines, and no line {line}.', "Name one of them.", "line")
    key = blame.key_at(line) if path is None else blame.key(path)
    by_number = {version.version: version for version in versions}
    made = key.changed if key and path is not None else blame.lines[line - 1]
    return Why(
        name,
        line,
        lines[line - 1],
        key.path if key else None,
        by_number[made],
        key.since if key else None,
        key.changed if key else None,
    )


def _same_line(name: str, newest: Version, text: str, line: int) -> int:
    """Where a line of another text stands in the newest version. InputError."""
    from engine.blame import lines_of, same_line

    if not 1 <= line <= (count := len(lines_of(text))):
        raise InputError(f"There is no line {line}.", f"The document has {count} lines.", "line")
    found = same_line(text, newest.yaml, line)
    if found is None:
        raise InputError(
            f'Line {line} does not stand like this in "{name}", version {newest.version}: it is not saved.',
            f"Ask for a line of the saved workflow: app.py why {name} LINE.",
            "line",
        )
    return found
