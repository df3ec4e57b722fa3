"""What is around the conversation: templates, lists, the palette and its keys, files, exports, settings."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenTab, Tab
from tests.browser.server import Server, example

pytestmark = pytest.mark.slow
GREET = """\
schema_version: "1.0"
flow: {name: greet, description: Says hello}
state:
  fields:
    who: {type: str, required: true}
    line: str
nodes:
  - id: greet
    prompt: "Hello {state.who}"
    outputs: [line]
"""
ARCHIVE = "PK\x03\x04\x14\x00\x00\x00"
DROP = """([name, text, type]) => {
    const data = new DataTransfer();
    data.items.add(new File([text], name, {type}));
    for (const kind of ["dragenter", "dragover", "drop"])
        document.body.dispatchEvent(new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true}));
}"""


def begin(tab: Tab, template: str = "triage_ticket") -> str:
    """A conversation about a template's workflow; the workflow's name, which has a number where it is taken."""
    made = tab.page.evaluate("name => parlance.call('use_template', {name})", template)
    tab.page.evaluate("id => parlance.open(id)", made["conversation"])
    tab.page.wait_for_selector("body[data-pl-workflow]", state="attached")
    return str(tab.page.evaluate("parlance.workflow.name"))


def _dialog(page: Page) -> Locator:
    return page.locator("dialog[open]")


def test_a_template_is_found_by_meaning_looked_at_and_used(tab: Tab) -> None:
    tab.page.get_by_role("button", name="All 30 templates").click()
    dialog = _dialog(tab.page)
    expect(dialog.get_by_role("option")).to_have_count(30)
    dialog.get_by_label("Search templates").fill("job applications")  # no template has these words
    expect(dialog.get_by_role("option").first).to_contain_text(re.compile("CV|applicant", re.I))
    dialog.get_by_label("Search templates").fill("split expenses")
    expect(dialog.get_by_role("option").first).to_contain_text("Split expenses")
    expect(dialog.locator(".pl-preview h3")).to_have_text("Split expenses")
    expect(dialog.locator(".pl-preview svg.graph")).to_be_visible()
    expect(dialog.locator(".pl-needs")).to_contain_text("the sandbox for code")
    dialog.get_by_role("button", name="Use it").click()
    expect(dialog).to_be_hidden()
    expect(tab.page.locator("#pl-tab-graph .pl-work-head strong")).to_contain_text("split_expenses")
    expect(tab.page.get_by_text("The workflow is ready.")).to_be_visible()


def test_the_palette_does_what_it_says_by_keyboard_alone(tab: Tab) -> None:
    begin(tab)
    press = tab.page.keyboard.press
    press("Control+k")
    field = tab.page.get_by_role("combobox", name="Do or open")
    expect(field).to_be_focused()
    tab.page.keyboard.type("show the yaml")
    expect(_dialog(tab.page).locator("[aria-selected=true]")).to_contain_text("Show the YAML")
    press("Enter")
    expect(tab.work.get_by_role("tab", name="YAML")).to_have_attribute("aria-selected", "true")
    press("Alt+4")
    expect(tab.work.get_by_role("tab", name="Versions")).to_have_attribute("aria-selected", "true")
    press("Control+k")
    tab.page.keyboard.type("draft_and_review dark")
    expect(_dialog(tab.page).get_by_role("option")).to_have_text(re.compile("Ask: “draft_and_review dark”"))
    field.fill("dark")
    press("Enter")
    expect(tab.page.locator("body")).to_have_class(re.compile(r"\bdark\b"))
    press("Control+Shift+O")
    expect(tab.page.get_by_role("heading", name="What should happen?")).to_be_visible()
    expect(tab.box).to_be_focused()
    tab.page.keyboard.type("Why? And /")  # shortcuts of one key leave alone who writes
    expect(tab.box).to_have_value("Why? And /")
    tab.page.evaluate("document.activeElement.blur()")
    press("?")
    expect(_dialog(tab.page).get_by_role("heading", name="Keyboard shortcuts")).to_be_visible()
    press("Escape")
    expect(_dialog(tab.page)).to_have_count(0)


def test_workflows_are_renamed_copied_archived_deleted_and_opened(tab: Tab) -> None:
    name = begin(tab, "make_quiz")
    tab.page.get_by_role("button", name="Workflows", exact=True).click()
    dialog = _dialog(tab.page)

    def row(name: str) -> Locator:
        return dialog.locator("li").filter(has=tab.page.get_by_text(name, exact=True))

    row(name).get_by_role("button", name=f"Rename “{name}”").click()
    dialog.get_by_label("New name").fill("pub_quiz")
    tab.page.keyboard.press("Enter")
    expect(row("pub_quiz")).to_be_visible()
    row("pub_quiz").get_by_role("button", name="Duplicate").click()
    expect(row("pub_quiz-copy")).to_be_visible()
    row("pub_quiz-copy").get_by_role("button", name="Archive").click()
    expect(row("pub_quiz-copy")).to_have_count(0)
    dialog.get_by_role("tab", name="Archived").click()
    row("pub_quiz-copy").get_by_role("button", name="Take back").click()
    expect(row("pub_quiz-copy")).to_have_count(0)
    dialog.get_by_role("tab", name="Workflows").click()
    row("pub_quiz-copy").get_by_role("button", name="Delete").click()
    sure = tab.page.get_by_role("dialog", name="Delete this workflow?")
    expect(sure).to_contain_text("1 version will be gone for good")
    sure.get_by_role("button", name="Delete").click()
    expect(row("pub_quiz-copy")).to_have_count(0)
    dialog.get_by_label("Search the list").fill("pub_quiz")
    dialog.locator(".pl-entry").first.click()
    expect(dialog).to_have_count(0)
    expect(tab.page.locator("#pl-tab-graph .pl-work-head strong")).to_have_text("pub_quiz")


def test_a_run_is_found_in_the_list_and_deleted(tab: Tab) -> None:
    name = begin(tab)
    run = tab.page.evaluate(
        "parlance.call('run', {conversation: parlance.conversation, inputs: {ticket: 'It is broken'}})"
    )["run"]
    tab.page.wait_for_function("id => parlance.run?.run_id === id && parlance.run.ended", arg=run)
    tab.page.evaluate("parlance.library('runs')")
    dialog = _dialog(tab.page)
    mine = dialog.locator(f'li[data-id="{run}"]')
    expect(mine).to_contain_text(name)
    mine.get_by_role("button", name="Delete").click()
    tab.page.get_by_role("dialog", name="Delete this run?").get_by_role("button", name="Delete").click()
    expect(mine).to_have_count(0)
    assert run not in json.dumps(tab.page.evaluate("parlance.call('all_runs')"))


def test_a_file_dropped_in_is_checked_shown_and_kept_where_one_says(tab: Tab) -> None:
    tab.page.evaluate(DROP, ["greet.yaml", GREET.replace("prompt:", "promt:"), "text/yaml"])
    dialog = _dialog(tab.page)
    expect(dialog).to_contain_text("Did you mean `prompt`?")
    dialog.get_by_role("button", name="Mend it in the editor").click()
    expect(tab.work.locator(".cm-content")).to_contain_text("promt:")
    tab.page.evaluate(DROP, ["greet.yaml", GREET, "text/yaml"])
    dialog.get_by_role("button", name="In a new conversation").click()
    tab.page.wait_for_function("parlance.workflow?.name.startsWith('greet')")
    tab.page.evaluate(DROP, ["other.yaml", GREET.replace("Hello", "Good day"), "text/yaml"])
    dialog.get_by_role("button", name="Next version of greet").click()
    tab.page.wait_for_function("parlance.workflow?.version === 2")
    assert "Good day" in tab.page.evaluate("parlance.workflow.yaml")


def test_files_go_with_a_message_and_those_that_cannot_say_why(tab: Tab) -> None:
    chips = tab.page.locator(".pl-attachment")
    with tab.page.expect_file_chooser() as chooser:
        tab.page.get_by_role("button", name="Attach files").click()
    chooser.value.set_files({"name": "orders.csv", "mimeType": "text/csv", "buffer": b"who,what\nAnn,tea\n"})
    expect(chips).to_have_text(re.compile("orders.csv *17 bytes"))
    tab.page.evaluate(DROP, ["list.yaml", "- milk\n- eggs\n", "text/yaml"])  # YAML, and no workflow
    expect(chips.nth(1)).to_contain_text("list.yaml")
    tab.page.evaluate(DROP, ["report.docx", ARCHIVE, "application/zip"])
    expect(tab.page.get_by_role("alert")).to_contain_text("report.docx: ")
    expect(tab.page.locator(".pl-attachment .pl-dot.running")).to_have_count(0)
    tab.page.get_by_role("button", name="Remove list.yaml").click()
    tab.page.get_by_role("button", name="Remove report.docx").click()
    tab.ask("What is in it?")
    expect(chips).to_have_count(0)
    attached = tab.asked.last.locator(".pl-file")
    expect(attached).to_have_text("orders.csv 17 bytes")
    with tab.page.expect_download() as download:
        attached.click()
    assert Path(download.value.path()).read_bytes() == b"who,what\nAnn,tea\n"


def test_a_workflow_is_exported_and_a_share_file_comes_back(tab: Tab, tmp_path: Path) -> None:
    name = begin(tab)
    starts = {
        "YAML": "schema_version",
        "Mermaid": "%% Workflow",
        "Picture (SVG)": "<?xml",
        "Picture (PNG)": "\x89PNG",
    }
    for title, start in starts.items():
        tab.page.get_by_role("button", name="Export the workflow").click()
        with tab.page.expect_download() as download:
            tab.page.get_by_role("menuitem", name=re.compile(f"^{re.escape(title)}")).click()
        assert Path(download.value.path()).read_bytes().decode("latin-1").startswith(start), title
    tab.page.get_by_role("button", name="Export the workflow").click()
    with tab.page.expect_download() as download:
        tab.page.get_by_role("menuitem", name="Share file").click()
    assert download.value.suggested_filename == f"{name}.parlance.yaml"
    shared = Path(download.value.path()).read_text(encoding="utf-8")
    assert shared.startswith(tab.page.evaluate("parlance.workflow.yaml"))
    tab.page.evaluate(DROP, [f"{name}.parlance.yaml", shared, "text/yaml"])
    _dialog(tab.page).get_by_role("button", name="In a new conversation").click()
    tab.page.wait_for_function("name => parlance.workflow && parlance.workflow.name !== name", arg=name)
    assert example("triage_ticket").split("nodes:")[1] in tab.page.evaluate("parlance.workflow.yaml")


def test_what_one_prefers_is_kept_and_what_was_spent_is_told(mortal: Server, open_tab: OpenTab) -> None:
    tab = open_tab(url=mortal.url, timezone_id="Asia/Tokyo")
    tab.page.wait_for_function("parlance.preferences?.timezone")  # the first browser that came has set it
    tab.ask("Hello")
    tab.page.keyboard.press("Control+,")
    dialog = _dialog(tab.page)
    dialog.get_by_role("tab", name="Assistant").click()
    expect(dialog.locator(".pl-now")).to_contain_text(re.compile(r"Today .*tokens · \d+ call"))
    dialog.get_by_label("Language of the answers").select_option("de")
    dialog.get_by_label("Tokens").fill("0")
    dialog.get_by_label("Tokens").press("Enter")
    expect(dialog).to_contain_text("The cap is used up.")
    tab.page.keyboard.press("Escape")
    tab.ask("Hello again")
    expect(tab.answers.last).to_contain_text("cap of 0 tokens")
    tab.page.get_by_role("button", name="Change the cap").click()
    expect(dialog.get_by_label("Language of the answers")).to_have_value("de")
    dialog.get_by_label("Tokens").fill("")
    dialog.get_by_label("Tokens").press("Enter")
    expect(dialog.get_by_text("The cap is used up.")).to_have_count(0)


def test_ones_data_is_taken_along_and_erased_after_typing_so(mortal: Server, open_tab: OpenTab) -> None:
    tab = open_tab(url=mortal.url)
    tab.ask("The quick zebra")
    tab.page.evaluate("parlance.parts.settings.open('data')")
    dialog = _dialog(tab.page)
    with tab.page.expect_download() as download:
        dialog.get_by_role("link", name="Download my data").click()
    names = zipfile.ZipFile(download.value.path()).namelist()
    assert any("quick zebra" in name for name in names), names
    erase = dialog.get_by_role("button", name="Erase everything")
    expect(erase).to_be_disabled()
    dialog.get_by_label("Type “erase my data” to confirm").fill("Erase my data")
    erase.click()
    expect(tab.page.locator(".pl-toast")).to_contain_text("Everything was erased.")
    expect(tab.page.locator(".pl-row")).to_have_count(0)
    expect(tab.page.get_by_role("heading", name="What should happen?")).to_be_visible()


def test_what_happens_elsewhere_is_marked_until_it_is_looked_at(tab: Tab) -> None:
    begin(tab)
    run = tab.page.evaluate(
        "parlance.call('run', {conversation: parlance.conversation, inputs: {ticket: 'slowly, please'}})"
    )
    assert "error" not in run
    begun = tab.conversation
    tab.page.get_by_role("button", name="New conversation", exact=True).click()
    row = tab.page.locator(f'.pl-row[data-id="{begun}"]')
    expect(row).to_have_class(re.compile("unread"))
    assert re.match(r"\(\d+\) ", tab.page.title())
    row.locator(".pl-open").click()
    expect(row).not_to_have_class(re.compile("unread"))


def test_what_came_while_no_page_was_open_is_marked_at_the_next_visit(tab: Tab) -> None:
    begin(tab)
    begun = tab.conversation
    tab.page.get_by_role("button", name="New conversation", exact=True).click()
    row = tab.page.locator(f'.pl-row[data-id="{begun}"]')
    expect(row).not_to_have_class(re.compile("unread"))
    tab.page.reload()
    expect(row).not_to_have_class(re.compile("unread"))
    # As if the last visit had been before all that; said as the page begins, since the one that ends may note more.
    tab.page.add_init_script(
        "location.protocol === 'http:' && localStorage.setItem('parlance-newest', '2001-01-01T00:00:00.000Z')"
    )
    tab.page.reload()
    expect(row).to_have_class(re.compile("unread"))
    row.locator(".pl-open").click()
    expect(row).not_to_have_class(re.compile("unread"))
