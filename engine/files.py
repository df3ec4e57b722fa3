"""Files as values: the state holds a reference, `{"file": id, "name", "media_type", "size"}`, never what stands in it.

A node that refers to a file sees it opened, as a FileValue with `text`; a template shows its text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.ports import FileContent, FileInfo, Image

FILE_KEYS = ("file", "name", "media_type", "size")
MADE = "made-up"
"""The id of a file that a dry run makes up."""
_ID = re.compile(rf"[0-9a-f]{{32}}|{MADE}")


class FileValue(dict[str, Any]):
    """A file as a node sees it: its reference and `text`; `image` is what a model is sent of an image."""

    image: Image | None = None

    @property
    def shown(self) -> str:
        """What stands for it in a text."""
        return str(self["text"]) if self.image is None else f"[image: {self.get('name')}]"


def is_file_id(value: Any) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def reference(value: Any) -> str | None:
    """The id of the file that a value is a reference to; None for any other value."""
    if isinstance(value, Mapping) and is_file_id(value.get("file")):
        return str(value["file"])
    return None


def ids_in(value: Any) -> Iterator[str]:
    """The files that stand in a value, at any depth."""
    if (id := reference(value)) is not None:
        yield id
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from ids_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from ids_in(inner)


def described(value: Any, infos: Mapping[str, FileInfo]) -> Any:
    """The value with every reference in it saying what the file is."""
    if (id := reference(value)) is not None:
        info = infos.get(id)
        if info is None:
            return value
        return {"file": id, "name": info.name, "media_type": info.media_type, "size": info.size}
    return _each(value, lambda inner: described(inner, infos))


def opened(value: Any, contents: Mapping[str, FileContent]) -> Any:
    """The value with every file in it that was read opened."""
    if (id := reference(value)) is not None:
        return _open(id, contents[id]) if id in contents else value
    return _each(value, lambda inner: opened(inner, contents))


def closed(value: Any) -> Any:
    """The value with every file in it as its reference alone."""
    if isinstance(value, FileValue):
        return {key: value[key] for key in FILE_KEYS if key in value}
    return _each(value, closed)


def made_file(name: str) -> dict[str, Any]:
    """A file that is made up."""
    return {
        "file": MADE,
        "name": f"{name}.txt",
        "media_type": "text/plain",
        "size": len(made_text(f"{name}.txt")),
    }


def made_text(name: str) -> str:
    """What stands in a file that is made up."""
    return f"example of the text of {name}"


def images_in(values: Sequence[Any]) -> Iterator[FileValue]:
    """The opened images among the values, and in lists of them."""
    for value in values:
        if isinstance(value, FileValue):
            if value.image is not None:
                yield value
        elif isinstance(value, list):
            yield from images_in(value)


def _open(id: str, content: FileContent) -> FileValue:
    info = content.info
    found = FileValue(file=id, name=info.name, media_type=info.media_type, size=info.size, text=content.text)
    if content.image is not None:
        from engine.ports import Image

        found.image = Image(content.image_type or info.media_type, content.image)
    return found


def _each(value: Any, change: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: change(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [change(inner) for inner in value]
    return value
