"""What a model puts around a document, taken off: fences, words, tags, line numbers, escapes, a second copy.

Only what has one reading is taken off; where two are possible the text stays, and the checker says what is wrong.
"""

from __future__ import annotations

import json
import re

from engine.document import read_document

_TOP = r"(?:schema_version|flow|state|nodes|edges|config|memory)"
_TOP_LINE = re.compile(rf"^[ ]*[\"']?{_TOP}[\"']?[ ]*:", re.MULTILINE)
_NEEDED = re.compile(r"^[ ]*[\"']?(flow|state|nodes|steps)[\"']?[ ]*:", re.MULTILINE)
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[^\n`]*\n(.*?)^[ \t]*(?:```|~~~)[ \t]*$", re.DOTALL | re.MULTILINE)
_TAGS = "yaml|yml|workflow|document|code|pre|output|answer|draft|data"
_TAG = re.compile(rf"^[ \t]*</?(?:{_TAGS})(?: [^>\n]*)?>[ \t]*\r?\n?", re.MULTILINE)
_OUTSIDE = re.compile(r"(?:[#\-}\]{\[]|\.\.\.|[\"']?[\w.-]+[\"']?\s*:(?:\s|$))")


def unwrap(text: str) -> tuple[str, list[str]]:
    """The document without what stands around it, and what was taken off, in words."""
    said: list[str] = []
    for mend, words in (
        (_unescaped, "took the document out of the text that it was written in"),
        (_out_of_fences, "left out the code fence and the words around it"),
        (_without_tags, "left out the tags around the document"),
        (_without_numbers, "left out the line numbers"),
        (_without_words, "left out the words around the document"),
        (_one_document, "made one document of several"),
    ):
        mended = mend(text)
        if mended != text:
            text = mended
            said.append(words)
    body = re.sub(r"\A(?:[ \t]*\r?\n)+", "", text).rstrip()
    return body + ("\r\n" if "\r\n" in text else "\n"), said


def _is_workflow(text: str) -> bool:
    data = read_document(text).data
    return isinstance(data, dict) and "nodes" in data


def _unescaped(text: str) -> str:
    """A document written as one JSON text, or with \\n for its line breaks."""
    body = text.strip()
    if body.startswith('"') and body.endswith('"') and "\\n" in body:
        try:
            inner = json.loads(body)
        except ValueError:
            return text
        return inner if isinstance(inner, str) and _TOP_LINE.search(inner) else text
    if "\n" not in body and body.count("\\n") > 3 and not body.startswith("{"):
        plain = body.replace("\\n", "\n").replace('\\"', '"')
        return plain if _is_workflow(plain) else text
    return text


def _out_of_fences(text: str) -> str:
    fenced: list[str] = _FENCE.findall(text)
    blocks = [block for block in fenced if _TOP_LINE.search(block) or block.lstrip().startswith("{")]
    whole = [
        block for block in blocks if len({*_NEEDED.findall(block)}) > 1 and "nodes" in _NEEDED.findall(block)
    ]
    if not whole and len(blocks) > 1 and _is_workflow("".join(blocks)):
        return "".join(blocks)  # one document, a fence for each part
    whole = whole or blocks
    if whole and all(block.strip() == whole[0].strip() for block in whole):
        return whole[0]
    if not whole:
        text = re.sub(r"\A\s*(?:```|~~~)[^\n`]*\n", "", text)
        return re.sub(r"\n[ \t]*(?:```|~~~)[ \t]*\s*\Z", "\n", text)
    return text


def _without_tags(text: str) -> str:
    first = _TOP_LINE.search(text)
    if first is None or not _TAG.search(text):
        return text
    head, body = text[: first.start()], text[first.start() :]
    return _TAG.sub("", head) + re.sub(rf"(?:{_TAG.pattern})+\s*\Z", "", body, flags=re.MULTILINE)


def _without_numbers(text: str) -> str:
    lines = [line for line in text.split("\n") if line.strip()]
    if len(lines) > 3 and all(re.match(r" *\d+(?:\||:(?= )|\t) ?", line) for line in lines):
        return re.sub(r"^ *\d+(?:\||:|\t) ?", "", text, flags=re.MULTILINE)
    return text


def _without_words(text: str) -> str:
    """Without sentences before the first key and after the last part."""
    found = _object(text)
    if found is not None:
        return found
    first = _TOP_LINE.search(text)
    if first is None or text[first.start() :][:1] == " ":
        return text
    head = text[: first.start()]
    lines = [
        line for line in head.splitlines() if line.strip() and not line.lstrip().startswith(("#", "---"))
    ]
    if not all(map(_sentence, lines)):
        return text
    head = "" if lines else head
    return head + _without_end(text[first.start() :])


def _sentence(line: str) -> bool:
    """Whether a line at the margin is words, not YAML; a bare `yaml` is the name of a fence that is gone."""
    line = line.strip()
    if line.lower() in ("yaml", "yml", "json"):
        return True
    return (
        bool(re.match(r"[A-Za-z*#>]", line)) and " " in line and not re.match(r"[\w-]+:(?: \S|$)|#|- ", line)
    )


def _without_end(text: str) -> str:
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if line[:1] in ("", " ", "\t", "\r") or _OUTSIDE.match(line):
            continue
        rest = "\n".join(lines[number:])
        alone = number and not lines[number - 1].strip()
        if alone and _sentence(line) and not _TOP_LINE.search(rest):
            return "\n".join(lines[:number]).rstrip() + "\n"
        return text
    return text


def _object(text: str) -> str | None:
    """The JSON object within words, None where the text is none."""
    start, end = text.find("{"), text.rfind("}")
    first = _TOP_LINE.search(text)
    if start < 0 or end < start or (first and first.start() < start):
        return None
    body = text[start : end + 1]
    try:
        data = json.loads(body)
    except ValueError:
        return None
    if not isinstance(data, dict) or "nodes" not in data or body == text.strip():
        return None
    return body + "\n"


def _one_document(text: str) -> str:
    """Without `---` and `...` at the ends; without a second copy; without `---` between the parts of one document."""
    if read_document(text).root is not None:
        return text
    parts = [
        part
        for part in re.split(r"^(?:---|\.\.\.)[ \t]*\r?$\n?", text, flags=re.MULTILINE)
        if _has_content(part)
    ]
    if len(parts) < 2:
        marked = re.search(r"^(?:---|\.\.\.)[ \t]*\r?$", text.lstrip()[3:], re.MULTILINE)
        return parts[0] if parts and marked else text
    if all(part.strip() == parts[0].strip() for part in parts):
        return parts[0]
    keys = [read_document(part).data for part in parts]
    if not all(isinstance(data, dict) and data for data in keys):
        return text
    names = [name for data in keys for name in data]
    return (
        "".join(parts)
        if len(set(names)) == len(names) and not all("nodes" in data for data in keys)
        else text
    )


def _has_content(part: str) -> bool:
    return any(line.strip() and not line.lstrip().startswith("#") for line in part.splitlines())
