"""The templates: found by words and by meaning, looked at, and begun with."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from chat.browser.actions.area import Answer, Area, Given, identity
from chat.gallery import Example
from chat.graph_picture import from_data
from chat.graph_svg import graph_svg
from engine.check import Checked
from engine.errors import NotFound

NEAR = 0.34  # a template less like the words than this is not shown
MOST_NEAR = 8


class Templates(Area):
    """What is done in the gallery."""

    async def templates(self, owner: str, given: Given) -> Answer:
        """All of them with their titles, in the gallery's order."""
        return {"templates": [_listed(example) for example in self.house.gallery]}

    async def near(self, owner: str, given: Given) -> Answer:
        """The names of those whose meaning is near to some words, the nearest first."""
        found = await self.house.nearest.find(str(given.get("query") or "")[:400])
        names = [match.example.name for match in found.examples if match.score >= NEAR]
        return {"names": names[:MOST_NEAR]}

    async def template(self, owner: str, given: Given) -> Answer:
        """One of them with its picture, its text and what it needs."""
        example = self._example(given)
        checked = await self.service.check(example.yaml, owner)
        return await asyncio.to_thread(_shown, example, checked)

    async def use_template(self, owner: str, given: Given) -> Answer:
        """A new conversation that has the template as its workflow."""
        example = self._example(given)
        conversation = await self.service.create(owner, example.title)
        await self.service.save_yaml(owner, conversation.id, example.yaml, f"The template “{example.title}”")
        return {"conversation": conversation.id}

    def _example(self, given: Given) -> Example:
        name = identity(given, "name")
        if found := self.house.gallery.get(name):
            return found
        raise NotFound(f'There is no template "{name}".', "Pick one of the list.")


def _listed(example: Example) -> dict[str, Any]:
    return {
        "name": example.name,
        "title": example.title,
        "description": example.description,
        "tags": list(example.tags),
        "asks": list(example.asks),
    }


def _shown(example: Example, checked: Checked) -> dict[str, Any]:
    data = checked.document.data or {}
    fields = checked.workflow.fields if checked.workflow else {}
    names = checked.workflow.inputs if checked.workflow else ()
    return {
        **_listed(example),
        "svg": graph_svg(data),
        "yaml": example.yaml,
        "inputs": [{"name": name, "description": fields[name].description or ""} for name in names],
        "needs": needs(data),
        "problems": [problem.message for problem in checked.problems],
    }


def needs(data: Mapping[str, Any]) -> list[str]:
    """What a document takes to run, in words: how many steps, and of which kinds."""
    steps = from_data(data).steps
    kinds = [step.kind for step in steps]
    tools = sorted(
        {str(node["tool"]) for node in data.get("nodes", ()) if isinstance(node, Mapping) and "tool" in node}
    )
    said = [f"{len(steps)} step{'s' if len(steps) != 1 else ''}"]
    if "llm" in kinds or "agent" in kinds:
        said.append("a model")
    if "ask" in kinds:
        said.append("your answer while it runs")
    if "code" in kinds:
        said.append("the sandbox for code")
    if any(tool.startswith("http") for tool in tools):
        said.append("the internet")
    return said
