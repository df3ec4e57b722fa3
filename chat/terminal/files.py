"""Reading what the command line names: workflow files and inputs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.errors import InputError


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
    """Whether FILE-or-NAME means a file: it has a path's or a YAML file's form, or there is such a file."""
    return word == "-" or "/" in word or word.endswith((".yaml", ".yml")) or Path(word).is_file()


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
        inputs[key.strip()] = value
    return inputs


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
