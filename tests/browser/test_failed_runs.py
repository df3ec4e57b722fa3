"""A run that failed, in a real browser: why, the mend as a difference, and the way on."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Tab
from tests.chat.assistant.test_failures import TYPES

pytestmark = pytest.mark.slow


def test_a_certain_mend_is_looked_at_applied_and_gone_on_with(tab: Tab) -> None:
    made = tab.page.evaluate("name => parlance.call('use_template', {name})", "triage_ticket")
    tab.page.evaluate("id => parlance.open(id)", made["conversation"])
    tab.page.wait_for_selector("body[data-pl-workflow]", state="attached")
    name = str(tab.page.evaluate("parlance.workflow.name"))
    tab.tab("YAML")
    tab.type_yaml(TYPES.replace("name: half", f"name: {name}"))
    expect(tab.work.locator(".pl-verdict")).to_have_text("No problems")
    tab.work.get_by_role("button", name="Save").click()
    tab.page.wait_for_function("() => parlance.workflow?.version === 2")
    tab.page.evaluate("parlance.call('run', {conversation: parlance.conversation, inputs: {text: '2.5'}})")
    card = tab.page.locator(".pl-card.pl-fix").first
    expect(card).to_contain_text("The output 'number' does not fit")
    expect(card).to_contain_text("Why it failed")
    card.get_by_text("Show the change").click()
    expect(card.locator(".pl-fix-diff .add code", has_text="float")).to_be_visible()
    tab.page.get_by_role("button", name="Fix and run from there").last.click()
    expect(tab.page.locator(".pl-card.pl-fix", has_text="applied")).to_be_visible()
    tab.page.wait_for_function("() => parlance.workflow?.version === 3")
    expect(tab.answers.last).to_contain_text(re.compile(r"2\.5"))
