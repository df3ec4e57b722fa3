"""Random edits: nothing but what they name changes, every document can still be read, and undo gives back each byte."""

from __future__ import annotations

import copy
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import yaml

from engine.document import path_text, read_document
from engine.edit_fragments import TEXT_KEYS
from engine.edit_paths import read_path
from engine.text_edits import Edit, apply_edits
from sessions.db import open_db
from sessions.workflows import Workflows
from tests.engine.random_yaml import KEYS, WORDS, document, flow, value

GALLERY = sorted((Path(__file__).resolve().parents[2] / "configs" / "gallery").glob("*.yaml"))
EDITS = 1000 if os.environ.get("PARLANCE_SOAK") else 100
SEED = int(os.environ.get("PARLANCE_SEED") or time.time())
Path_ = tuple[str | int, ...]


def paths(data: Any, above: Path_ = ()) -> Iterator[Path_]:
    if above:
        yield above
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, item in items:
        yield from paths(item, (*above, key))


def at(data: Any, path: Path_) -> Any:
    for step in path:
        data = data[step]
    return data


def drawn(draw: Random, text: str) -> tuple[Edit, Any]:
    """An edit of the document, and what the document then says (None: whatever the text says)."""
    data = read_document(text).data
    path = draw.choice(list(paths(data)))
    wanted = copy.deepcopy(data)
    op = draw.choice(
        ("set", "set", "make", "add", "remove", "replace", "insert_after", "insert_before", "delete")
    )
    if op == "set":
        source = read_document(text).source(path)
        textual = source[:1] in ("|", ">") or path[-1] in TEXT_KEYS  # there a value is always a text
        new = draw.choice(WORDS[:4]) if textual else value(draw, 2)
        at(wanted, path[:-1])[path[-1]] = new
        return Edit("set", path_text(path), written(draw, new)), wanted
    if op == "make" or (op == "add" and isinstance(at(data, path), dict)):
        holder = path if isinstance(at(data, path), dict) else ()
        key = next(key for key in (*KEYS, "fresh") if key not in at(data, holder))
        new = value(draw, 2)
        at(wanted, holder)[key] = new
        if op == "make":
            return Edit("set", path_text((*holder, key)), written(draw, new)), wanted
        body = yaml.safe_dump(
            {key: new}, allow_unicode=True, width=1000, default_flow_style=draw.choice((None, False))
        )
        return Edit("add", path_text(holder), body), wanted
    if op == "add" and isinstance(at(data, path), list):
        new = [value(draw, 1) for _ in range(draw.randint(1, 2))]
        at(wanted, path).extend(new)
        body = yaml.safe_dump(new, allow_unicode=True, width=1000, default_flow_style=False)
        return Edit("add", path_text(path), body), wanted
    if op == "remove":
        del at(wanted, path[:-1])[path[-1]]
        return Edit("remove", path_text(path)), wanted
    return by_text(draw, op, text), None


def written(draw: Random, new: Any) -> str:
    if isinstance(new, str) or draw.random() < 0.5:
        return flow(draw, new)
    return str(yaml.safe_dump(new, allow_unicode=True, width=1000, default_flow_style=False)).removesuffix(
        "...\n"
    )


def by_text(draw: Random, op: str, text: str) -> Edit:
    while True:
        start = draw.randrange(len(text))
        found = text[start : start + draw.randint(1, 30)]
        if text.count(found) == 1:
            break
    if op == "replace" or op not in ("insert_after", "insert_before", "delete"):
        return Edit("replace", found, draw.choice(("new words", "", found.upper(), f"{found} # kept")))
    return Edit(op, found, "" if op == "delete" else draw.choice(("# a note", "# two\n# notes")))  # type: ignore[arg-type]


def outside_is_kept(text: str, edited: str, edit: Edit) -> None:
    """The bytes before and after the lines of the place are those from before, found by another parser's marks."""
    if edit.op not in ("set", "add", "remove"):
        start = text.index(edit.at)
        first = text.rfind("\n", 0, start) + 1
        stop = text.find("\n", start + len(edit.at) - 1)
        before, after = text[:first], text[stop + 1 :] if stop >= 0 else ""
    else:
        before, after = around(text, edit)
    assert edited.startswith(before), edit
    assert edited.endswith(after), edit


def around(text: str, edit: Edit) -> tuple[str, str]:
    """The text before the line and after the end of the place, by PyYAML's own tree: a key with a single value that is
    set is a place by itself; of all else the mapping or list that holds it.
    """
    holder, node, first = None, yaml.compose(text, Loader=yaml.SafeLoader), 0
    for step in read_path(edit.at):
        pairs = node.value if isinstance(node, yaml.MappingNode) else enumerate(node.value)
        found = [(k, v) for k, v in pairs if (k.value if isinstance(k, yaml.Node) else k) == step]
        if not found:
            holder = None
            break
        holder, (key, node) = node, found[0]
        first = key.start_mark.index if isinstance(key, yaml.Node) else node.start_mark.index
    if edit.op == "set" and isinstance(node, yaml.ScalarNode) and isinstance(holder, yaml.MappingNode):
        stop = text.find("\n", max(node.end_mark.index - 1, first))
        return text[: text.rfind("\n", 0, first) + 1], text[stop + 1 :] if stop >= 0 else ""
    place = node if holder is None or edit.op == "add" else holder
    begin = text.rfind("\n", 0, max(text.rfind("\n", 0, place.start_mark.index), 0)) + 1
    return text[:begin], text[place.end_mark.index :]


def texts(draw: Random) -> Iterator[str]:
    while True:
        yield draw.choice(GALLERY).read_text(encoding="utf-8") if draw.random() < 0.4 else document(draw)


def run(seed: int, count: int) -> Counter[str]:
    draw = Random(seed)
    told: Counter[str] = Counter()
    source = texts(draw)
    while told["applied"] < count:
        text = next(source)
        edit, wanted = drawn(draw, text)
        edited, problems = apply_edits(text, [edit])
        told["asked"] += 1
        if problems:
            assert edited == text
            told[f"refused {edit.op}"] += 1
            continue
        told["applied"] += 1
        told[edit.op] += 1
        after = read_document(edited)
        assert after.root is not None, (text, edit, edited)
        if wanted is not None:
            assert plain(after.data) == plain(wanted), (text, edit, edited)
        outside_is_kept(text, edited, edit)
        assert ("\r\n" in text) == ("\r\n" in edited) or "\n" not in text.replace("\r\n", "")
    return told


def plain(data: Any) -> Any:
    """Texts without the one line break at their end, which a block of lines has and a line has not."""
    if isinstance(data, dict):
        return {key: plain(item) for key, item in data.items()}
    if isinstance(data, list):
        return [plain(item) for item in data]
    return data.rstrip("\n") if isinstance(data, str) else data


def test_random_edits() -> None:
    told = run(SEED, EDITS)
    print(f"seed {SEED}: {dict(told)}")
    by_path = sum(told[op] for op in ("set", "add", "remove"))
    refused = sum(told[f"refused {op}"] for op in ("set", "add", "remove"))
    assert by_path > EDITS / 3
    assert refused <= max(by_path / 10, 5), told


async def test_undo_gives_back_each_byte(tmp_path: Path) -> None:
    """Versions are the exact text, with its line ends, odd characters and the missing last line break."""
    draw = Random(SEED)
    db = open_db(tmp_path / "parlance.db", synchronous="NORMAL")
    saved = Workflows(db)
    for _ in range(EDITS // 10):
        text = draw.choice(GALLERY).read_text(encoding="utf-8").rstrip("\n") + draw.choice(
            ("", "\n", "  # é\u2028 漢\n")
        )
        text = text.replace("\n", "\r\n") if draw.random() < 0.5 else text
        name, first = await saved.save("local", None, text, "made")
        kept = (await saved.get("local", name, first)).yaml
        edited, problems = apply_edits(kept, [Edit("set", "flow.description", "changed")])
        assert not problems
        await saved.save("local", name, edited, "changed")
        assert (await saved.get("local", name)).yaml == edited
        assert (await saved.get("local", name, first)).yaml == kept
        assert (
            kept == text or kept.replace(f"name: {name}", "name: x") != text
        )  # a second of its name is numbered
    db.close()


def told_of(text: str, *edits: Edit) -> list[str]:
    edited, problems = apply_edits(text, edits)
    assert edited == text
    return problems


TEXT = """\
flow: {name: a, tags: []}   # inline
nodes:
  # first
  - id: sort   # c1
    prompt: "How urgent?"
    outputs: [kind]

  - id: draft
    prompt: |  # kept
      Line one
      Line two
    outputs:
      - answer
edges:
- {from: START, to: sort}
- from: sort
  to: draft"""


def after(*edits: Edit) -> list[tuple[str, str]]:
    """What an edit of TEXT takes away and brings, as lines."""
    edited, problems = apply_edits(TEXT, edits)
    assert problems == []
    old, new = TEXT.split("\n"), edited.split("\n")
    return [("-", line) for line in old if line not in new] + [("+", line) for line in new if line not in old]


def test_a_block_of_text_stays_one_with_its_comment() -> None:
    assert after(Edit("set", "nodes.draft.prompt", "Say: {state.kind}\n\n  indented")) == [
        ("-", "      Line one"),
        ("-", "      Line two"),
        ("+", "      Say: {state.kind}"),
        ("+", "        indented"),
    ]


def test_a_text_on_one_line_gets_the_quotes_that_it_needs() -> None:
    assert after(Edit("set", "nodes.sort.prompt", "Say: {state.kind}")) == [
        ("-", '    prompt: "How urgent?"'),
        ("+", '    prompt: "Say: {state.kind}"'),
    ]


def test_items_are_added_in_the_style_that_stands_there() -> None:
    assert after(
        Edit("add", "nodes", "id: thank\nprompt: |\n  Thanks\n  you"),
        Edit("add", "edges", "{from: draft, to: END}"),
        Edit("add", "flow.tags", "mail"),
        Edit("add", "flow.tags", "- sort"),
    ) == [
        ("-", "flow: {name: a, tags: []}   # inline"),
        ("+", "flow: {name: a, tags: [mail, sort]}   # inline"),
        ("+", "  - id: thank"),
        ("+", "    prompt: |"),
        ("+", "      Thanks"),
        ("+", "      you"),
        ("+", "- {from: draft, to: END}"),
    ]


def test_what_is_removed_leaves_the_rest_valid() -> None:
    assert after(
        Edit("remove", "nodes[draft].outputs[0]"), Edit("remove", "nodes.sort.id"), Edit("remove", "edges[1]")
    ) == [
        ("-", "  - id: sort   # c1"),
        ("-", '    prompt: "How urgent?"'),
        ("-", "    outputs:"),
        ("-", "      - answer"),
        ("-", "- from: sort"),
        ("-", "  to: draft"),
        ("+", '  - prompt: "How urgent?"'),
        ("+", "    outputs: []"),
    ]


def test_sentences_say_what_stands_there() -> None:
    assert told_of(TEXT, Edit("set", "nodes.sorted.prompt", "x")) == [
        "Edit 1: There is no `sorted` in nodes. It has items: sort, draft. Did you mean sort?"
    ]
    assert told_of(TEXT, Edit("remove", "nodes.sort.outputz")) == [
        "Edit 1: There is no `outputz` in nodes[0]. It has keys: id, prompt, outputs. Did you mean outputs?"
    ]
    assert told_of(TEXT, Edit("set", "edges[5].to", "x")) == [
        "Edit 1: There is no `5` in edges. It has 2 items (0 to 1)."
    ]
    assert "stands there already. Change it with set." in told_of(TEXT, Edit("add", "flow", "name: b"))[0]
    assert (
        "line 17: The bracket [ that opens here"
        in told_of(TEXT, Edit("replace", "to: draft", "to: [draft"))[0]
    )
    assert "no path" in told_of(TEXT, Edit("set", "nodes[", "x"))[0]
    assert "Use replace" in told_of("a: [", Edit("set", "a", "x"))[0]


def test_what_an_alias_shares_is_not_changed_by_path() -> None:
    shared = "a: &x {k: 1}\nb: *x\n"
    assert "shared by an alias" in told_of(shared, Edit("set", "b.k", "2"))[0]
    assert apply_edits(shared, [Edit("set", "b", "3")]) == ("a: &x {k: 1}\nb: 3\n", [])
