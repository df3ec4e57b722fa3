"""The saved workflows as people see and change them: by hand, in a conversation, in lists; and why they are so.

Every call names the owner. What a turn of the assistant saves goes into the store by itself and is announced by
the turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from engine.errors import Conflict, InputError, WorkflowInvalid
from sessions.workflows import Author, Summaries, Version, Workflows

if TYPE_CHECKING:
    from chat.hub import Hub
    from chat.proof import Proofs
    from engine.blame import Blame
    from engine.check import Checked
    from engine.ports import ModelClient, RunStore
    from engine.timetable import Timetable
    from engine.workflow import Workflow
    from sessions.conversations import Conversations
    from tools.registry import ToolRegistry


@dataclass(frozen=True, slots=True)
class Usage:
    """What goes by a workflow's name: others that start it, schedules' ids, and how much belongs to it."""

    name: str
    parents: tuple[str, ...]
    schedules: tuple[str, ...]
    versions: int
    tests: int
    conversations: int

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "parents": list(self.parents), "schedules": list(self.schedules)}


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


class WorkflowLibrary:
    """Made by the conversation service. `proofs` proves what is saved; pages hear of changes by the hub."""

    def __init__(
        self,
        workflows: Workflows,
        conversations: Conversations,
        timetable: Timetable,
        runs: RunStore,
        models: ModelClient,
        tools: ToolRegistry,
        hub: Hub,
        proofs: Proofs | None = None,
    ) -> None:
        self._workflows = workflows
        self._conversations = conversations
        self._timetable = timetable
        self._runs = runs
        self._models = models
        self._tools = tools
        self._hub = hub
        self._proofs = proofs

    # --- one document ---

    async def current_workflow(self, owner: str, conversation_id: str) -> Version | None:
        """The newest version of the workflow that the conversation is about."""
        head = await self._conversations.head(owner, conversation_id)
        return await self._workflows.get(owner, head.workflow) if head.workflow else None

    async def check(self, yaml: str, owner: str) -> Checked:
        """What the one checker says of a document, and of the models here that it needs."""
        from engine.prepare import check_here

        return await check_here(yaml, self._tools, self._models, self._workflows.of(owner))

    async def checked(self, owner: str, yaml: str) -> Workflow:
        """Of a document that is to be saved: what the machine lacks does not matter yet. WorkflowInvalid."""
        checked = await self.check(yaml, owner)
        if checked.workflow is None:
            raise WorkflowInvalid(checked.problems)
        return checked.workflow

    async def save_yaml(self, owner: str, conversation_id: str, yaml: str, summary: str) -> Version:
        """What the editor saves: the next version of the conversation's workflow, or a new one.

        WorkflowInvalid when the checker finds errors: what is saved can run.
        """
        head = await self._conversations.head(owner, conversation_id)
        await self.checked(owner, yaml)
        name, number = await self._workflows.save(
            owner, head.workflow, yaml, summary, author="editor", conversation_id=conversation_id
        )
        return await self._drafted(owner, conversation_id, name, number)

    async def save_workflow(
        self, owner: str, yaml: str, summary: str, author: Author = "api"
    ) -> dict[str, Any]:
        """Keep a document under its `flow.name`, outside of any conversation: {name, version}. WorkflowInvalid."""
        workflow = await self.checked(owner, yaml)
        known = {each.name for each in await self._workflows.list(owner, archived=None)}
        name = workflow.name if workflow.name in known else None
        saved, version = await self._workflows.save(owner, name, yaml, summary, author=author)
        proof = await self._proofs.prove(owner, saved, version) if self._proofs is not None else None
        return {"name": saved, "version": version, "proof": proof}

    async def use_workflow(self, owner: str, conversation_id: str, name: str) -> Version:
        """Make the conversation about a workflow that is saved already."""
        found = await self._workflows.get(owner, name)
        return await self._drafted(owner, conversation_id, name, found.version)

    async def restore(self, owner: str, conversation_id: str, version: int) -> Version:
        """Go back to an older version of the conversation's workflow: its text becomes the newest version."""
        head = await self._conversations.head(owner, conversation_id)
        if head.workflow is None:
            raise Conflict("This conversation has no workflow yet.", "Ask for one first.")
        name, number = await self._workflows.restore(
            owner, head.workflow, version, conversation_id=conversation_id
        )
        return await self._drafted(owner, conversation_id, name, number)

    async def _drafted(self, owner: str, conversation_id: str, name: str, version: int) -> Version:
        await self._conversations.set_workflow(owner, conversation_id, name)
        found = await self._workflows.get(owner, name, version)

        def announce() -> None:
            self._hub.publish(owner, conversation_id, "draft", workflow=name, version=version)

        announce()
        self._hub.publish(owner, conversation_id, "list_changed")  # it may be titled after the workflow
        if found.proof is None and self._proofs is not None:
            self._proofs.prove_soon(owner, name, version, announce)
        return found

    # --- versions, and why ---

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
        blame = await asyncio.to_thread(_blamed, versions)
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
        blame = await asyncio.to_thread(_blamed, versions)
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

    # --- all of them ---

    async def list(self, owner: str, archived: bool | None = False) -> Summaries:
        """The one changed last comes first."""
        return await self._workflows.list(owner, archived)

    async def usage(self, owner: str, name: str) -> Usage:
        """What goes by its name: to be looked at before it is deleted or renamed."""
        counts = await self._workflows.counts(owner, name)
        parents = await self._workflows.parents(owner, name)
        schedules = [s.id for s in await self._timetable.list(owner) if s.saved and s.workflow == name]
        return Usage(
            name,
            tuple(parent.name for parent in parents if parent.name != name),
            tuple(schedules),
            counts["workflow_versions"],
            counts.get("workflow_tests", 0),
            counts["conversations"],
        )

    async def rename(
        self, owner: str, name: str, new: str, *, author: Author = "api", references: bool = False
    ) -> str:
        """Give it another name, also in its text; conversations, tests, schedules and runs follow. The new name.

        Conflict when the name is taken, the assistant is at work on it, or others start it by its name; with
        `references` those get a version that names the new one.
        """
        renamed = await self._workflows.rename(owner, name, new, author=author, references=references)
        if renamed != name:
            await self._timetable.rename_workflow(owner, name, renamed)
            await self._runs.rename_workflow(owner, name, renamed)
            await self._changed_name(owner, renamed)
        return renamed

    async def duplicate(
        self, owner: str, name: str, new: str | None = None, *, author: Author = "api"
    ) -> dict[str, Any]:
        """{name, version} of a copy of the newest version, with its tests. Conflict when the name is taken."""
        made, version = await self._workflows.duplicate(owner, name, new, author=author)
        self._changed(owner)
        return {"name": made, "version": version}

    async def archive(self, owner: str, name: str, archived: bool = True) -> None:
        """Put it out of the lists, or back. Schedules and workflows that start it go on."""
        await self._workflows.archive(owner, name, archived)
        self._changed(owner)

    async def delete(self, owner: str, name: str, *, force: bool = False) -> Usage:
        """Forget it, with its versions and tests; what went, and what it leaves behind. Its runs stay.

        Conflict while a schedule or another workflow starts it. With `force` the schedules go too, and the other
        workflows stay as they are: they can't run until they are changed.
        """
        usage = await self.usage(owner, name)
        if not force and (usage.schedules or usage.parents):
            raise Conflict(
                _in_use(usage), "Remove or change those first, or delete it all the same, by force."
            )
        await self._workflows.delete(owner, name)
        for schedule_id in usage.schedules:
            await self._timetable.remove(owner, schedule_id)
        self._changed(owner)
        return usage

    def _changed(self, owner: str) -> None:
        self._hub.publish(owner, "", "list_changed")

    async def _changed_name(self, owner: str, name: str) -> None:
        """Tell the pages of the conversations about a workflow what it is called now."""
        newest = await self._workflows.get(owner, name)
        for found in await self._conversations.list(owner):
            if found.workflow == name:
                self._hub.publish(owner, found.id, "draft", workflow=name, version=newest.version)
        self._changed(owner)


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


def _in_use(usage: Usage) -> str:
    by = [f"the schedule {each}" for each in usage.schedules]
    by += [f'the workflow "{each}"' for each in usage.parents]
    return f'"{usage.name}" is started by {", ".join(by)}.'
