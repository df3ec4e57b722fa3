"""The right side in a real browser: editor, versions, run form, live run."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenTab, Tab
from tests.browser.server import example

pytestmark = pytest.mark.slow


def _broken() -> str:
    """One mistake with a certain mend (line 47 or so), one without."""
    text = example("triage_ticket")
    return text.replace("to: thank}", "to: thnak}", 1)


def _line_jumped_to(tab: Tab, line: int) -> str:
    """The text of the line that the cursor is on; it has to be in view and marked, and the editor focused."""
    mark = tab.page.locator(f'.pl-marks .here[data-line="{line}"]')
    expect(mark).to_be_in_viewport()
    expect(tab.page.locator("#pl-code .cm-content")).to_be_focused()
    return str(
        tab.page.evaluate(
            """() => {
                const range = document.getSelection().getRangeAt(0);
                const node = range.startContainer;
                return (node.nodeType === 1 ? node : node.parentElement).closest(".cm-line").textContent;
            }"""
        )
    )


def test_the_editor_checks_as_one_types_and_jumps_to_the_line(tab: Tab) -> None:
    tab.ask("Triage tickets")
    tab.tab("YAML")
    expect(tab.work.locator(".pl-verdict")).to_have_text("No problems")
    tab.type_yaml(_broken())
    problem = tab.work.locator("#pl-problems-island li button").first
    expect(problem).to_contain_text("thnak")
    expect(problem).to_contain_text("Did you mean")
    expect(tab.work.get_by_role("button", name="Save")).to_be_disabled()
    expect(tab.work.locator(".pl-marks .error").first).to_be_attached()
    line = int(str(problem.locator(".pl-line").inner_text()).split()[1])
    tab.page.keyboard.press("Control+Home")
    problem.click()
    assert "thnak" in _line_jumped_to(tab, line)
    tab.work.get_by_role("button", name="Apply fix").click()
    expect(tab.work.locator(".pl-verdict")).to_have_text("No problems")


def test_a_click_on_a_node_goes_to_its_line(tab: Tab) -> None:
    tab.ask("Triage tickets")
    node = tab.node("explain_bill")
    line = node.get_attribute("data-line")
    node.click()
    assert "id: explain_bill" in _line_jumped_to(tab, int(str(line)))
    tab.tab("Graph")
    tab.node("thank").focus()
    line = tab.node("thank").get_attribute("data-line")
    tab.page.keyboard.press("Enter")
    assert "id: thank" in _line_jumped_to(tab, int(str(line)))


def test_a_certain_mend_is_applied_saved_and_gone_back_on(tab: Tab) -> None:
    tab.ask("Triage tickets")
    tab.tab("YAML")
    tab.type_yaml(_broken())
    tab.work.get_by_role("button", name="Apply").click()
    expect(tab.work.locator(".pl-verdict")).to_have_text("No problems")
    tab.type_yaml(example("triage_ticket").replace("short, calm", "short, warm"))
    expect(tab.work.locator(".pl-verdict")).to_have_text("No problems")
    tab.work.get_by_role("button", name="Save").click()
    expect(tab.work.locator("#pl-yaml-island")).to_contain_text("version 2")
    expect(tab.work.locator("#pl-yaml-island")).not_to_contain_text("not saved")

    tab.tab("Versions")
    expect(tab.work.locator(".pl-version")).to_have_count(2)
    expect(tab.work.locator(".pl-version").first).to_contain_text("by hand")
    expect(tab.work.locator(".pl-diff .add code", has_text="short, warm")).to_be_visible()
    expect(tab.work.locator(".pl-diff .del code", has_text="short, calm")).to_be_visible()
    tab.work.locator(".pl-version-pick").last.click()
    tab.work.get_by_role("button", name="Go back to this").click()
    expect(tab.work.locator(".pl-version")).to_have_count(3)
    expect(tab.work.locator(".pl-version").first).to_contain_text("Back to version 1")
    tab.tab("YAML")
    expect(tab.work.locator(".cm-content")).to_contain_text("short, calm")


def test_a_version_from_the_chat_does_not_overwrite_what_one_is_typing(tab: Tab) -> None:
    tab.ask("Triage tickets")
    tab.tab("YAML")
    tab.type_yaml(example("triage_ticket").replace("Judge urgency", "Weigh urgency"))
    expect(tab.work.locator("#pl-yaml-island")).to_contain_text("not saved")
    tab.ask("calmer, please")
    expect(tab.work.locator("#pl-yaml-island")).to_contain_text("Version 2 came while you were editing")
    expect(tab.work.locator(".cm-content")).to_contain_text("Weigh urgency")
    tab.work.get_by_role("button", name="Show it").click()
    expect(tab.work.locator(".cm-content")).to_contain_text("very calm")
    expect(tab.work.locator("#pl-yaml-island")).not_to_contain_text("not saved")


def test_a_draft_that_never_got_right_is_mended_by_hand(tab: Tab) -> None:
    tab.ask("never right")
    card = tab.page.locator(".pl-card.pl-problems")
    expect(card).to_contain_text("Draft not saved")
    expect(card).to_contain_text("the_moon")
    expect(tab.page.locator(".pl-card.pl-draft")).to_have_count(0)
    card.get_by_role("button", name="Open in editor").click()
    expect(tab.work.locator(".pl-verdict")).to_contain_text("error")
    tab.type_yaml(example("triage_ticket"))
    expect(tab.work.locator(".pl-verdict")).to_have_text("No problems")
    tab.work.get_by_role("button", name="Save").click()
    expect(tab.work.locator("#pl-yaml-island")).to_contain_text("version 1")


def test_a_workflow_can_be_written_by_hand_alone(tab: Tab) -> None:
    tab.tab("YAML")
    tab.type_yaml(example("triage_ticket"))
    expect(tab.work.locator(".pl-verdict")).to_have_text("No problems")
    tab.work.get_by_role("button", name="Save").click()
    expect(tab.work.locator("#pl-yaml-island")).to_contain_text("version 1")
    tab.tab("Graph")
    expect(tab.node("classify")).to_be_visible()
    assert tab.conversation


def test_the_form_has_a_field_for_every_kind_of_input(tab: Tab) -> None:
    tab.ask("every kind of input")
    tab.tab("Run")
    tab.work.get_by_role("button", name="Run workflow").click()
    expect(tab.work.locator("#pl-form-trouble")).to_contain_text("title")
    tab.field("title").fill("A <b>title</b>")
    tab.work.locator("#pl-input-size input").click()
    tab.page.get_by_role("option", name="large").click()
    expect(tab.work.locator("#pl-input-count input")).to_have_value("2")
    tab.work.locator("#pl-input-count input").fill("7")
    tab.work.locator("#pl-input-urgent input").check()
    tab.field("tags").fill("not a list")
    tab.work.get_by_role("button", name="Run workflow").click()
    expect(tab.work.locator("#pl-form-trouble")).to_contain_text("tags")
    tab.field("tags").fill('["one", "two"]')
    tab.work.get_by_role("button", name="Run workflow").click()
    expect(tab.work.locator(".pl-run-body")).to_contain_text('A <b>title</b> large 7 0.5 true ["one","two"]')
    expect(tab.work.locator("#pl-form-trouble")).to_have_count(0)


def test_a_run_colours_the_graph_live_and_can_be_cancelled(tab: Tab) -> None:
    tab.ask("Triage tickets")
    tab.tab("Run")
    tab.field("ticket").fill("slowly, slowly")
    tab.work.get_by_role("button", name="Run workflow").click()
    node = tab.work.locator('.pl-run-graph [data-node="classify"]')
    expect(node).to_have_attribute("data-status", "running")
    expect(tab.page.locator(".pl-card.pl-run .pl-tag")).to_have_text("running")
    tab.work.get_by_role("button", name="Cancel").click()
    expect(tab.work.locator(".pl-run-head")).to_contain_text("stopped")
    expect(node).not_to_have_attribute("data-status", "running")
    expect(tab.page.locator(".pl-card.pl-run .pl-tag")).to_have_text("stopped")
    tab.tab("Graph")
    expect(tab.node("classify")).not_to_have_attribute("data-status", "running")


def test_a_run_tells_time_tokens_cost_model_and_gives_its_outputs_as_json(tab: Tab) -> None:
    tab.ask("Triage tickets")
    tab.ask("run it")
    tab.page.locator(".pl-card.pl-run").get_by_role("button", name="Details").click()
    facts = tab.work.locator(".pl-facts-list")
    for word in ("Time", "Tokens", "Cost", "Model", "gpt-5.4-mini"):
        expect(facts).to_contain_text(word)
    tab.work.locator(".pl-nodes summary").click()
    expect(tab.work.locator(".pl-nodes tbody tr")).to_have_count(3)
    with tab.page.expect_download() as download:
        tab.work.get_by_role("button", name="Download").click()
    outputs = json.loads(download.value.path().read_text(encoding="utf-8"))
    assert outputs["answer"].startswith("**Dear customer**")


def test_the_run_goes_on_when_the_page_is_closed(open_tab: OpenTab) -> None:
    tab = open_tab()
    tab.ask("Triage tickets")
    tab.say("run slowly")
    expect(tab.page.locator(".pl-card.pl-run .pl-tag")).to_have_text("running")
    conversation = tab.conversation
    tab.page.context.close()
    again = open_tab(f"/?c={conversation}")
    expect(again.page.locator(".pl-card.pl-run .pl-tag")).to_have_text("done")
    expect(again.answers.last).to_contain_text("Dear customer")
