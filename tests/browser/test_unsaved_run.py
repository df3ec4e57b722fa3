"""The Run tab while the editor holds text that is not saved: what runs is what stands there."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Tab

pytestmark = pytest.mark.slow

GREET = """\
schema_version: "1.0"
flow: {name: greet_by_hand}
state:
  fields:
    who: {type: str, required: true}
    greeting: str
nodes:
  - {id: greet, tool: text_template, args: {template: "Hello {state.who}"}, outputs: [greeting]}
"""


def _open(tab: Tab) -> None:
    """A conversation with this workflow, and an edit of it that is not saved."""
    saved = tab.page.evaluate("yaml => parlance.call('save', {conversation: null, yaml})", GREET)
    tab.page.evaluate("id => parlance.open(id)", saved["conversation"])
    tab.tab("Run")
    expect(tab.work.get_by_role("button", name="Run workflow")).to_be_visible()
    expect(tab.work.get_by_role("button", name="Save and run")).to_be_hidden()


def _edit(tab: Tab, text: str) -> None:
    tab.tab("YAML")
    tab.type_yaml(text)
    expect(tab.work.locator("#pl-yaml-island")).to_contain_text("not saved")
    tab.tab("Run")


def test_run_means_the_text_in_the_editor_which_is_saved_first(tab: Tab) -> None:
    _open(tab)
    tab.field("who").fill("Ann")
    _edit(tab, GREET.replace("Hello {state.who}", "Good day {state.who}"))
    expect(tab.work.locator(".pl-unsaved")).to_contain_text("not saved. Running it saves it first")
    expect(tab.work.get_by_role("button", name="Run workflow")).to_be_hidden()
    tab.work.get_by_role("button", name="Save and run").click()
    expect(tab.work.locator(".pl-outcome")).to_have_text("Good day Ann")
    expect(tab.work.locator(".pl-unsaved")).to_be_empty()
    expect(tab.work.get_by_role("button", name="Run workflow")).to_be_visible()
    assert tab.page.evaluate("parlance.workflow.version") == 2
    assert len(tab.page.evaluate("parlance.runs")) == 1


def test_what_has_problems_is_neither_saved_nor_run(tab: Tab) -> None:
    _open(tab)
    tab.field("who").fill("Ann")
    _edit(tab, GREET.replace("{state.who}", "{state.whom}"))
    tab.work.get_by_role("button", name="Save and run").click()
    expect(tab.page.locator(".pl-toast")).to_contain_text("Nothing was run, as the text was not saved.")
    expect(tab.page.get_by_role("tab", name="YAML")).to_have_attribute("aria-selected", "true")
    expect(tab.work.locator("#pl-problems-island")).to_contain_text("whom")
    assert tab.page.evaluate("parlance.workflow.version") == 1
    assert not tab.page.evaluate("parlance.runs")


def test_a_new_input_is_asked_for_after_the_text_was_saved(tab: Tab) -> None:
    _open(tab)
    tab.field("who").fill("Ann")
    more = GREET.replace("    greeting", "    title: {type: str, required: true}\n    greeting")
    _edit(tab, more.replace("{state.who}", "{state.title} {state.who}"))
    tab.work.get_by_role("button", name="Save and run").click()
    expect(tab.work.locator("#pl-form-trouble")).to_contain_text("“title” is empty")
    expect(tab.field("who")).to_have_value("Ann")
    assert not tab.page.evaluate("parlance.runs")


def test_text_before_any_workflow_is_to_be_saved_first(tab: Tab) -> None:
    _edit(tab, GREET)
    expect(tab.work.locator(".pl-unsaved")).to_contain_text("Save it, and its inputs are asked for here")
    tab.work.locator(".pl-unsaved").get_by_role("button", name="Open the editor").click()
    tab.work.locator("#pl-yaml-island").get_by_role("button", name="Save").click()
    tab.tab("Run")
    expect(tab.work.get_by_role("button", name="Run workflow")).to_be_visible()
