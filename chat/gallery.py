"""The example workflows of `configs/gallery/`: what people ask for, a sample run, and the document itself.

Each file opens with a comment block that is YAML behind `# `: `title`, `ask` (ways to say it), `example`
(inputs for a first run) and, where a request names its topic, `cue` (the words it follows). Everything else
an example has to say stands in its own document.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

GALLERY = Path(__file__).resolve().parent.parent / "configs" / "gallery"


@dataclass(frozen=True)
class Example:
    """One example. `text` is the whole file, `yaml` the document without the comment block at its head."""

    name: str
    title: str
    description: str
    tags: tuple[str, ...]
    asks: tuple[str, ...]
    inputs: Mapping[str, Any]
    cues: tuple[str, ...]
    text: str
    yaml: str

    @property
    def phrases(self) -> tuple[str, ...]:
        """Everything a request may sound like: what is embedded to find the example."""
        return (self.title, self.description, *self.asks)

    def matches(self, workflow: str) -> bool:
        """Whether a workflow of this name was made from this example (`name`, `name-2`, …)."""
        rest = workflow.removeprefix(self.name)
        return rest == "" or (rest != workflow and rest[0] == "-" and rest[1:].isdigit())


class Gallery:
    """The examples by name, read on first use. ValueError names the file that can't be read."""

    def __init__(self, folder: Path = GALLERY) -> None:
        self._folder = folder

    def __iter__(self) -> Iterator[Example]:
        return iter(self._examples.values())

    def __len__(self) -> int:
        return len(self._examples)

    def names(self) -> list[str]:
        return list(self._examples)

    def get(self, name: str) -> Example | None:
        """The example of this name; `file` names serve too."""
        return self._examples.get(name.strip().removesuffix(".yaml"))

    def of(self, workflow: str) -> Example | None:
        """The example that a workflow of this name was made from, None for one's own work."""
        return next((example for example in self if example.matches(workflow)), None)

    @cached_property
    def _examples(self) -> dict[str, Example]:
        return {path.stem: read_example(path) for path in sorted(self._folder.glob("*.yaml"))}


def read_example(path: Path) -> Example:
    """Read one file of the gallery. ValueError says what is missing."""
    from engine.document import read_document

    text = path.read_text(encoding="utf-8")
    head, body = split_head(text)
    try:
        about, flow = read_document(head).data, read_document(body).data["flow"]
        return Example(
            name=path.stem,
            title=about["title"],
            description=flow["description"],
            tags=tuple(flow.get("tags", ())),
            asks=tuple(about["ask"]),
            inputs=dict(about["example"]),
            cues=tuple(about.get("cue", ())),
            text=text,
            yaml=body,
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"The gallery file {path.name} can't be read: {error}") from error


def split_head(text: str) -> tuple[str, str]:
    """The leading comment block without its `# `, and the rest."""
    lines = text.splitlines(keepends=True)
    count = next((n for n, line in enumerate(lines) if not line.startswith("#")), len(lines))
    head = "".join(line.removeprefix("#").removeprefix(" ") for line in lines[:count])
    return head, "".join(lines[count:])


def listing(examples: Sequence[Example]) -> str:
    """One line per example, for prompts and for people."""
    return "\n".join(f"- {example.name}: {example.description}" for example in examples)
