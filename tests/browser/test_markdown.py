"""Markdown made harmless: what is text stays text, and no piece of it can reach another host."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat.browser.markdown import as_words, inline, one_line, plain, to_blocks, to_html

OURS = {
    *("p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "code"),
    *("strong", "em", "s", "a", "table", "thead", "tbody", "tr", "th", "td"),
}


class _Tags(HTMLParser):
    def __init__(self, markup: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data


def _without_fences(blocks: str) -> str:
    kept, fence = [], ""
    for line in blocks.split("\n"):
        ticks = line[: len(line) - len(line.lstrip("`"))]
        if fence:
            fence = "" if line == fence else fence
        elif len(ticks) >= 3:
            fence = ticks
        else:
            kept.append(line)
    assert not fence, "a fence was left open"
    return "\n".join(kept)


markup = st.text(
    alphabet=st.sampled_from(list("<>/&\"'`*_[]()!#|-\n ~=:;.abhprescitmgonx1{}$\\")), max_size=80
) | st.sampled_from(
    [
        "<script>alert(1)</script>",
        "![x](http://evil.example/x.png)",
        "[x](javascript:alert(1))",
        "[x](data:text/html,<script>)",
        "```\n</code><script>\n```",
        "<div\n\nonclick=x>",
        "[a]: javascript:x\n\n[a]",
        "<http://a.example/?q='><img src=x>",
        "~~~html\n```\n<b>\n~~~",
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(markup, max_size=5).map("\n\n".join))
def test_only_our_tags_come_out_and_links_lead_to_the_web_alone(text: str) -> None:
    for shown in (_without_fences(to_blocks(text)), to_html(text), inline(text)):
        for tag, attributes in _Tags(shown).found:
            assert tag in OURS
            assert set(attributes) <= {"href", "target", "rel", "class", "start", "style"}
            assert (attributes.get("href") or "https://").startswith(("http://", "https://", "mailto:"))
            assert attributes.get("style") in (
                None,
                "text-align:left",
                "text-align:right",
                "text-align:center",
            )


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_plain_text_says_exactly_what_it_was(text: str) -> None:
    text = text.replace("\r", "")
    assert _Tags(plain(text)).words == text.strip()
    assert "\n" not in plain(text)


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=["C"]), max_size=60))
def test_words_of_a_title_hold_no_sign_that_markdown_reads(text: str) -> None:
    assert _Tags(as_words(text)).words == " ".join(text.split())
    assert not set(as_words(text)) & set("<>*_`[]()!|{}$\\~")


def test_every_block_is_one_line_between_blank_ones() -> None:
    blocks = to_blocks("# A\n\nb\nc\n\n- d\n- e\n\n| f | g |\n|---|---|\n| h | i |").split("\n\n")
    assert [block[:4] for block in blocks] == ["<h1>", "<p>b", "<ul>", "<tab"]
    assert not any("\n" in block for block in blocks)


def test_a_fence_is_passed_on_with_its_language_and_cannot_be_left() -> None:
    assert to_blocks("```yaml title\na: 1\n\nb: 2\n```") == "```yaml\na: 1\n\nb: 2\n```"
    assert to_blocks("````\n```\n<b>\n````") == "````\n```\n<b>\n````"
    assert to_blocks('```"><img\nx\n```').startswith("```img\n")


def test_no_diagram_renderer_is_loaded() -> None:
    assert to_blocks("```mermaid\ngraph TD\n```") == "```\ngraph TD\n```"


def test_a_picture_is_a_link_to_follow() -> None:
    shown = to_blocks("![a cat](https://cats.example/1.png)")
    assert shown.startswith('<p><a href="https://cats.example/1.png"')
    assert ">a cat</a>" in shown
    assert to_blocks("![a cat](/local.png)") == "<p>a cat</p>"


@pytest.mark.parametrize("text", ["", "\n\n", "   "])
def test_nothing_gives_nothing(text: str) -> None:
    assert to_blocks(text) == ""
    assert one_line(text) == ""
