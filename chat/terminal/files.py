"""Reading what the command line names: workflow files and inputs."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from chat.terminal.house import OWNER, House
from engine.errors import InputError

if TYPE_CHECKING:
    from engine.workflow import Workflow

PIECE = 1024 * 1024  # bytes


class Word(str):
    """A value as it was typed on the command line, which alone may name a file to be read."""


def read_text(name: str) -> str:
    """The text of a file, or of standard input for `-`. InputError when it can't be read."""
    try:
        raw = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except FileNotFoundError:
        raise InputError(f"{name} does not exist.", "Check the path.") from None
    except IsADirectoryError:
        raise InputError(f"{name} is a folder.", "Name a YAML file in it.") from None
    except OSError as error:
        raise InputError(f"{name} can't be read: {error.strerror}.", "Check its permissions.") from None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{name} is not UTF-8 text (byte {error.start} is not part of any character).",
            "Save it as UTF-8.",
        ) from None


def is_file_name(word: str) -> bool:
    """Whether FILE-or-NAME means a file: it has a path's or a YAML file's form, or there is such a file or folder.
    Names of workflows may have slashes too.
    """
    place = Path(word)
    form = word == "-" or word.startswith(("/", "./", "../", "~")) or word.endswith((".yaml", ".yml"))
    return form or place.is_file() or ("/" in word and place.parent.is_dir())


def parse_inputs(words: Sequence[str]) -> dict[str, Any]:
    """`key=value` words and `@file.json` words as one dict; later ones win. Values of words stay text."""
    inputs: dict[str, Any] = {}
    for word in words:
        if word.startswith("@"):
            inputs.update(_inputs_file(word[1:]))
            continue
        key, equals, value = word.partition("=")
        if not equals or not key.strip():
            raise InputError(f"The input {word!r} has no name.", "Write it as key=value, or @file.json.")
        inputs[key.strip()] = Word(value)
    return inputs


async def read_files(house: House, workflow: Workflow, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs; for a field of type file, `name=@PATH` has the file read into the store. InputError."""
    found = dict(inputs)
    for name, value in inputs.items():
        field = workflow.fields.get(name)
        if field is None or not isinstance(value, Word) or not value.startswith("@"):
            continue
        if field.type.name == "file":
            found[name] = {"file": await _keep(house, Path(value[1:]))}
        elif field.type.name == "list" and field.type.item.name == "file":
            found[name] = [{"file": await _keep(house, Path(path))} for path in value[1:].split(",@")]
    return found


async def _keep(house: House, path: Path) -> str:
    try:
        with path.open("rb") as source:
            return (await house.files.add(OWNER, path.name, _pieces(source))).id
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.", "Check the path.") from None
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}.", "Check its permissions.") from None


async def _pieces(source: BinaryIO) -> AsyncIterator[bytes]:
    while piece := source.read(PIECE):
        yield piece


def _inputs_file(name: str) -> dict[str, Any]:
    try:
        found = json.loads(read_text(name))
    except json.JSONDecodeError as error:
        raise InputError(
            f"{name} is not JSON: line {error.lineno}, column {error.colno}: {error.msg}.",
            'Write one object, for example {"topic": "tea"}.',
        ) from None
    if not isinstance(found, dict):
        raise InputError(f"{name} holds no object.", 'Write one object, for example {"topic": "tea"}.')
    return found
