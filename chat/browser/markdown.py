"""Markdown of a model or a run, made harmless: what the page is handed can hold no tag but ours.

The chat component renders Markdown itself and lets HTML through a sanitizer, which drops what it does not like.
Here a tag in a text is text, so it has to show. Therefore blocks are rendered on the server with raw HTML off,
one line of HTML per block and a blank line between, and only code fences go on as they are, to be highlighted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_TICKS = re.compile(r"`{3,}")
_SAFE_LINK = re.compile(r"(?:https?://|mailto:)", re.IGNORECASE)


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])
    parser.add_render_rule("image", _image)
    parser.add_render_rule("link_open", _link_open)
    return parser


def to_blocks(text: str) -> str:
    """The text as blocks for the chat component: HTML lines and code fences, a blank line between each."""
    parser = _parser()
    env: dict[str, Any] = {}
    tokens = parser.parse(text, env)
    blocks = []
    for block in _top_blocks(tokens):
        if block[0].type in ("fence", "code_block"):
            blocks.append(_fence(block[0]))
        else:
            blocks.append(one_line(parser.renderer.render(block, parser.options, env)))
    return "\n\n".join(blocks)


def to_html(text: str) -> str:
    """The text as one piece of harmless HTML, code included."""
    parser = _parser()
    env: dict[str, Any] = {}
    return str(parser.renderer.render(parser.parse(text, env), parser.options, env))


def inline(text: str) -> str:
    """One line of text with its emphasis and code, as harmless HTML."""
    return str(_parser().renderInline(" ".join(text.split())))


def one_line(html: str) -> str:
    """HTML without line ends, so that Markdown takes it for one block; those within become references."""
    return html.strip().replace("\r", "").replace("\n", "&#10;")


def plain(text: str) -> str:
    """Text as HTML that shows it as it is, line ends too."""
    return one_line(escape(text))


def as_words(text: str) -> str:
    """Text for a place that is rendered as inline Markdown, a card's title: every sign of it stays a sign."""
    return "".join(c if c.isalnum() or c in " ,;:'\"?/=%" else f"&#{ord(c)};" for c in " ".join(text.split()))


def _top_blocks(tokens: Sequence[Token]) -> list[list[Token]]:
    blocks: list[list[Token]] = []
    depth = 0
    for token in tokens:
        if depth == 0:
            blocks.append([])
        blocks[-1].append(token)
        depth += token.nesting
    return blocks


def _fence(token: Token) -> str:
    longest = max((len(ticks) for ticks in _TICKS.findall(token.content)), default=2)
    mark = "`" * max(3, longest + 1)
    language = re.sub(r"[^A-Za-z0-9+#-]", "", token.info.split()[0]) if token.info.split() else ""
    if language.lower() == "mermaid":
        language = ""  # the component would load a renderer for it
    return f"{mark}{language}\n{token.content.rstrip(chr(10))}\n{mark}"


def _image(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    """A picture from a text could tell another host what was said, so it is a link that one may follow."""
    source = str(tokens[index].attrGet("src") or "")
    name = tokens[index].content or source
    if not _SAFE_LINK.match(source):
        return escape(name)
    return f'<a href="{escape(source)}" target="_blank" rel="noopener noreferrer">{escape(name)}</a>'


def _link_open(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    target = str(tokens[index].attrGet("href") or "")
    if not _SAFE_LINK.match(target):
        return "<a>"
    return f'<a href="{escape(target)}" target="_blank" rel="noopener noreferrer">'
