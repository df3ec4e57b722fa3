"""Text in the editor that is not saved: no draft, no other conversation, no reload may cost a line of it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import OpenTab, Tab
from tests.browser.server import example

pytestmark = pytest.mark.slow


def _mine() -> str:
    return example("triage_ticket").replace("Judge urgency", "Weigh urgency")


def _head(tab: Tab) -> Locator:
    return tab.work.locator("#pl-yaml-island")


def _text(tab: Tab) -> Locator:
    return tab.work.locator("#pl-code .cm-content")


def _edit(tab: Tab) -> None:
    tab.ask("Triage tickets")
    tab.tab("YAML")
    tab.type_yaml(_mine())
    expect(_head(tab)).to_contain_text("not saved")


def test_a_draft_of_another_name_leaves_it_alone_and_both_can_be_had(tab: Tab) -> None:
    _edit(tab)
    tab.ask("every kind of input")
    expect(_head(tab)).to_contain_text(
        re.compile(r"Version 1 of all_kinds(-\d+)? came while you were editing")
    )
    expect(_text(tab)).to_contain_text("Weigh urgency")
    _head(tab).get_by_role("button", name="Show it").click()
    expect(_text(tab)).to_contain_text("all_kinds")
    expect(_head(tab)).to_contain_text("Your own text is kept")
    tab.page.reload()
    tab.tab("YAML")
    expect(_head(tab)).to_contain_text("Your own text is kept")
    _head(tab).get_by_role("button", name="Take it back").click()
    expect(_text(tab)).to_contain_text("Weigh urgency")
    expect(_head(tab)).to_contain_text(re.compile(r"Version 1 of all_kinds(-\d+)? came"))


def test_it_is_there_after_another_conversation(tab: Tab) -> None:
    _edit(tab)
    first = tab.conversation
    tab.page.get_by_role("button", name="New conversation", exact=True).click()
    expect(_head(tab)).not_to_contain_text("not saved")
    tab.ask("every kind of input")
    expect(_text(tab)).to_contain_text("all_kinds")
    tab.page.locator(f'.pl-row[data-id="{first}"] .pl-open').click()
    expect(_text(tab)).to_contain_text("Weigh urgency")
    expect(_head(tab)).to_contain_text("not saved")
    _head(tab).get_by_role("button", name="Discard").click()
    expect(_text(tab)).to_contain_text("Judge urgency")
    assert tab.page.evaluate("Object.keys(localStorage).filter(n => n.startsWith('parlance-unsaved'))") == []


def test_it_is_there_after_a_reload_and_then_saved(tab: Tab) -> None:
    _edit(tab)
    tab.page.reload()
    tab.tab("YAML")
    expect(_text(tab)).to_contain_text("Weigh urgency")
    expect(_head(tab)).to_contain_text("not saved")
    expect(_head(tab)).not_to_contain_text("came while")
    _head(tab).get_by_role("button", name="Save").click()
    expect(_head(tab)).to_contain_text("version 2")
    tab.page.reload()
    tab.tab("YAML")
    expect(_head(tab)).to_contain_text("version 2")
    expect(_text(tab)).to_contain_text("Weigh urgency")


def test_what_was_written_before_the_first_message_stays(tab: Tab) -> None:
    tab.tab("YAML")
    tab.type_yaml(_mine())
    expect(_head(tab)).to_contain_text("not saved")
    tab.ask("Just a question")
    expect(_text(tab)).to_contain_text("Weigh urgency")
    tab.page.reload()
    tab.tab("YAML")
    expect(_text(tab)).to_contain_text("Weigh urgency")
    tab.page.get_by_role("button", name="New conversation", exact=True).click()
    expect(_head(tab)).not_to_contain_text("not saved")


def test_a_version_from_another_page_is_told_of_after_a_reload(open_tab: OpenTab) -> None:
    tab = open_tab()
    _edit(tab)
    conversation = tab.conversation
    tab.page.goto("about:blank")
    other = open_tab(f"/?c={conversation}")
    other.ask("calmer, please")
    tab.open(f"/?c={conversation}")
    tab.tab("YAML")
    expect(_text(tab)).to_contain_text("Weigh urgency")
    expect(_head(tab)).to_contain_text("Version 2 came while you were editing")


def test_leaving_asks_only_where_the_browser_keeps_nothing(tab: Tab) -> None:
    tab.page.evaluate("void (Storage.prototype.setItem = () => { throw new Error('full'); })")
    _edit(tab)
    asked: list[str] = []
    tab.page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    tab.page.reload()
    tab.page.wait_for_selector("body[data-pl-ready]", state="attached")
    assert asked == ["beforeunload"]
    tab.page.close()  # a page that answers dialogs by itself is none for other tests
