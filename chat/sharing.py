"""Handing workflows out and taking them in: exports of every format, and imports of share files."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from chat.exports import MEDIA, Export, checked_format, export, file_name
from chat.share import read_share, share_text
from engine.errors import WorkflowInvalid
from engine.prepare import check_text
from sessions.workflow_tests import WorkflowTest

if TYPE_CHECKING:
    from chat.proof import Proofs
    from sessions.workflows import Author, Workflows
    from tools.registry import ToolRegistry


class Sharing:
    """Made by the conversation service."""

    def __init__(self, workflows: Workflows, proofs: Proofs, tools: ToolRegistry) -> None:
        self._workflows = workflows
        self._proofs = proofs
        self._tools = tools

    async def export(self, owner: str, name: str, format_: str, version: int | None = None) -> Export:
        """A version of a workflow as a file, the newest unless one is named. NotFound; InputError for the format.

        A share file carries the version's proof, which is made now where there is none or its tests have changed.
        """
        checked_format(format_)
        found = await self._workflows.get(owner, name, version)
        if format_ != "share":
            return await asyncio.to_thread(export, found.name, found.yaml, format_)
        tests = await self._proofs.tests.list(owner, found.name)
        known = [test["id"] for test in (found.proof or {}).get("tests", ())]
        if found.proof is None or known != [test.id for test in tests]:
            await self._proofs.prove(owner, found.name, found.version)
            found = await self._workflows.get(owner, found.name, found.version)
        content = await asyncio.to_thread(share_text, found, tests)
        return Export(
            file_name(found.name, format_), MEDIA[format_], content.encode("utf-8", "surrogatepass")
        )

    async def import_text(self, owner: str, text: str, author: Author = "api") -> dict[str, Any]:
        """Take in a share file, or a plain document, as a new workflow: {name, version, tests, whole, proof}.

        WorkflowInvalid when the document has errors, InputError when the file can't be read; then nothing is saved. A
        name that is taken gets a number.
        """
        shared = await asyncio.to_thread(read_share, text)
        checked = await check_text(shared.yaml, self._tools, self._workflows.of(owner))
        if checked.workflow is None:
            raise WorkflowInvalid(checked.problems)
        name, version = await self._workflows.save(
            owner, None, shared.yaml, "Imported from a file", author=author
        )
        if shared.tests:
            await self._proofs.tests.add_all(owner, name, list(shared.tests))
        proof = await self._proofs.prove(owner, name, version)
        return {
            "name": name,
            "version": version,
            "tests": len(shared.tests),
            "whole": shared.whole,
            "proof": proof,
        }

    async def try_file(self, owner: str, text: str) -> list[dict[str, Any]]:
        """How the tests go on a document that is not saved: those in its share file, and those of the saved workflow of
        its name. WorkflowInvalid when it has errors, InputError when the share file can't be read.
        """
        shared = await asyncio.to_thread(read_share, text)
        checked = await check_text(shared.yaml, self._tools, self._workflows.of(owner))
        if checked.workflow is None:
            raise WorkflowInvalid(checked.problems)
        name = checked.workflow.name
        saved = [dict(test.case) for test in await self._proofs.tests.list(owner, name)]
        more = [
            WorkflowTest(f"file-{number}", name, title, quote, case, None, 0.0)
            for number, (title, quote, case) in enumerate(shared.tests, 1)
            if case not in saved
        ]
        return await self._proofs.tried(owner, name, shared.yaml, more=more)
