"""What was changed, why, and the way back; cards that can be worked in; a budget before a run: in a real browser."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from chat.browser.cards import message_entries
from tests.browser.conftest import Tab
from tests.browser.test_cards import answer_of

pytestmark = pytest.mark.slow

STEPS = ("Collect the news", "Sort them", "Find pictures", "Send it")


def _yaml(tab: Tab) -> str:
    return str(tab.page.evaluate("parlance.workflow.yaml"))


def _version(tab: Tab, number: int) -> None:
    tab.page.wait_for_function("number => parlance.workflow?.version === number", arg=number)


def _shows(tab: Tab, *parts: dict[str, Any]) -> None:
    """An answer with these parts is the last message of the page."""
    entries = message_entries(answer_of(*parts))
    tab.page.evaluate("entries => parlance.takeChat({first: parlance.entries.length, entries})", entries)


def _question(text: str, *options: str, kind: str = "asked") -> dict[str, Any]:
    shown = [{"label": option, "value": option} for option in options]
    return {"kind": "question", "text": text, "options": shown, "about": {"kind": kind}}


def test_a_version_says_who_asked_what_changed_and_one_click_takes_it_back(tab: Tab) -> None:
    tab.ask("Triage tickets")
    before = _yaml(tab)
    tab.ask("a bit calmer, please")
    _version(tab, 2)
    after = _yaml(tab)
    assert before != after
    tab.tab("Versions")
    about = tab.work.locator(".pl-about")
    expect(about).to_contain_text("by the assistant")
    expect(about.locator(".pl-changes")).to_contain_text("apologise")
    expect(about.locator(".pl-proof")).to_contain_text("3 of 3 ways reached")
    expect(tab.work.locator(".pl-diff-rows mark")).to_contain_text(["and very"])
    tab.work.get_by_role("button", name="Side by side").click()
    expect(tab.page.locator(".pl-diff-dialog .split .add").first).to_be_visible()
    tab.page.keyboard.press("Escape")
    about.locator("button.pl-quote").click()
    expect(tab.page.locator(".message-row.pl-found")).to_have_text("a bit calmer, please")

    card = tab.page.locator(".pl-card.pl-draft").last
    card.get_by_role("button", name="Undo").click()
    _version(tab, 3)
    assert _yaml(tab) == before
    expect(card.get_by_role("button", name="Undo")).to_be_hidden()
    tab.work.get_by_label("Compare with").select_option("1")
    expect(tab.work.locator(".pl-diff-none")).to_have_text("Both texts are the same.")
    card.get_by_role("button", name="Bring it back").click()
    _version(tab, 4)
    assert _yaml(tab) == after


def test_a_step_and_a_line_say_which_message_asked_for_them(tab: Tab) -> None:
    tab.ask("Triage tickets")
    tab.ask("a bit calmer, please")
    _version(tab, 2)
    why = tab.page.locator(".pl-why")
    tab.node("apologise").hover()
    expect(why.locator(".pl-quote")).to_have_text(["“Triage tickets”", "“a bit calmer, please”"])
    tab.page.keyboard.press("Escape")
    expect(why).to_have_count(0)
    tab.page.get_by_role("region", name="Graph").focus()
    tab.page.keyboard.press("Tab")
    expect(why.locator(".pl-quote")).to_have_text("“Triage tickets”")
    tab.page.keyboard.press("ArrowDown")
    expect(why.get_by_role("button").first).to_be_focused()
    tab.page.keyboard.press("Escape")
    expect(tab.node("classify")).to_be_focused()
    expect(why).to_have_count(0)
    tab.tab("YAML")
    line = tab.page.locator("#pl-code .cm-line", has_text="very calm reply")
    line.hover()
    expect(why.locator(".pl-quote")).to_have_text("“a bit calmer, please”")
    line.click()
    bar = tab.work.locator(".pl-why-bar")
    expect(bar).to_contain_text("a bit calmer, please")
    tab.page.keyboard.type("x")
    expect(bar).to_contain_text("not saved yet")
    tab.page.keyboard.press("Control+Home")
    expect(bar).to_contain_text("“Triage tickets”")
    bar.locator("button.pl-quote").click()
    expect(tab.page.locator(".message-row.pl-found")).to_have_text("Triage tickets")


def test_an_outline_is_reordered_struck_and_added_to(tab: Tab) -> None:
    tab.ask("hello")
    steps = [{"id": str(n), "sentence": step, "status": "planned"} for n, step in enumerate(STEPS)]
    outline = {"kind": "outline", "id": "o", "title": "News", "steps": steps, "open": True}
    _shows(tab, outline, _question("Shall I build it?", "Build it", "Drop the plan", kind="outline"))
    rows = tab.page.locator(".pl-outline-edit li")
    expect(rows).to_have_count(4)
    rows.nth(1).focus()
    tab.page.keyboard.press("Alt+ArrowUp")
    expect(rows.nth(0)).to_be_focused()
    tab.page.get_by_role("button", name="Strike it: Find pictures").click()
    rows.nth(3).locator(".pl-grip").drag_to(rows.nth(1))
    expect(rows.locator(".pl-outline-words")).to_have_text(
        ["Sort them", "Send it", "Collect the news", "Find pictures"]
    )
    tab.page.get_by_label("Add a step").fill("Keep a copy")
    tab.page.keyboard.press("Enter")
    expect(rows).to_have_count(5)
    expect(tab.page.get_by_role("button", name="Drop the plan")).to_be_visible()
    tab.page.get_by_role("button", name="Build it").click()
    expect(tab.asked.last).to_contain_text("Order: 2, 4, 1")
    expect(tab.asked.last).to_contain_text("Add “Keep a copy” after 1")
    tab.idle()


def test_two_questions_are_answered_at_once(tab: Tab) -> None:
    tab.ask("hello")
    _shows(tab, _question("Where to?", "E-mail", "A file"), _question("How often?", "Daily", "Weekly"))
    send = tab.page.get_by_role("button", name="Send answers")
    expect(send).to_be_disabled()
    tab.page.get_by_role("button", name="A file").click()
    tab.page.get_by_label("Answer to: How often?").fill("Twice a year")
    expect(tab.page.locator("#pl-messages button.option")).to_have_count(0)
    send.click()
    expect(tab.asked.last).to_contain_text("Where to? A file")
    expect(tab.asked.last).to_contain_text("How often? Twice a year")
    tab.idle()


def test_a_budget_stops_a_run_and_what_was_typed_outlives_a_new_version(tab: Tab) -> None:
    tab.ask("Triage tickets")
    tab.tab("Run")
    tab.field("ticket").fill("My own words")
    budget = tab.work.get_by_label("Budget of the run")
    budget.fill("0.00002")
    expect(tab.work.locator(".pl-over")).to_contain_text("stops before it does")
    tab.ask("a bit calmer, please")
    name = tab.page.evaluate("parlance.workflow.name")
    expect(tab.work.locator(f"#pl-run.pl-of-{name}-2")).to_be_visible()
    expect(tab.field("ticket")).to_have_value("My own words")
    expect(budget).to_have_value("0.00002")
    tab.work.get_by_role("button", name="Run workflow").click()
    expect(tab.work.locator(".pl-over-budget")).to_contain_text("Nothing more was spent")
    change = tab.work.get_by_role("button", name="Change the budget")
    for _ in range(40):  # news of the run builds its part anew, perhaps while the mouse is down
        change.evaluate("button => button.click()")
        if budget.evaluate("input => input === document.activeElement"):
            break
        tab.page.wait_for_timeout(250)
    expect(budget).to_be_focused()
    budget.fill("no sum")
    tab.work.get_by_role("button", name="Run workflow").click()
    expect(tab.work.locator("#pl-form-trouble")).to_contain_text("is no budget")
