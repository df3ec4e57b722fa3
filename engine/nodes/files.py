"""Opening the files that a node refers to, before it runs; only in workflows with a field of type file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engine.errors import InputError, NodeError, NotFound
from engine.files import MADE, described, ids_in, images_in, made_text, opened, reference
from engine.ports import FileContent, FileInfo, Files, Image
from engine.unreal import fields_seen

if TYPE_CHECKING:
    from engine.nodes.step import Step

MOST_IMAGES = 20
"""Images of one prompt."""


async def told(
    files: Files | None, inputs: Mapping[str, Any], owner: str, conversation_id: str | None, *, keep: bool
) -> dict[str, Any]:
    """Inputs with what is known of the files they name. InputError for one that is not there."""
    found: dict[str, Any] = {}
    for name, value in inputs.items():
        ids = [id for id in ids_in(value) if id != MADE]
        try:
            infos = await files.take(owner, ids, conversation_id, keep=keep) if files and ids else {}
        except NotFound as error:
            raise InputError(f"The input '{name}' names a file that is not there.", error.fix, name) from None
        found[name] = described(value, infos) if ids else value
    return found


async def open_files(step: Step) -> None:
    """Let the step see the files that it refers to, with their texts. NodeError where one is gone."""
    state, contents = dict(step.state), dict[str, FileContent]()
    for name in fields_seen(step.node, step.workflow):
        value = state.get(name)
        ids = list(ids_in(value))
        for id in ids:
            if id not in contents:
                contents[id] = await _read(step, id, value)
        if ids:
            state[name] = opened(value, contents)
    if contents:
        step.state = state


async def _read(step: Step, id: str, value: Any) -> FileContent:
    if id == MADE:
        name = str(value.get("name")) if reference(value) else "made.txt"
        return FileContent(FileInfo(id, name, "text/plain", len(made_text(name))), made_text(name))
    if step.services.files is None:
        raise NodeError(step.node.id, "No files can be read here.", "Start it where the file is kept.")
    try:
        return await step.services.files.read(step.host.record.owner, id)
    except NotFound as error:
        raise NodeError(step.node.id, error.message, error.fix, fault={"code": "file_gone"}) from None


def images_of(step: Step) -> tuple[Image, ...]:
    """The images that the prompt and the system text refer to, each once, in order."""
    templates = [t for t in (step.node.system, step.node.prompt) if t is not None]
    values = [step.value_of(ref) for template in templates for ref in template.refs]
    found = {str(value["file"]): value.image for value in images_in(values) if value.image is not None}
    return tuple(found.values())[:MOST_IMAGES]
