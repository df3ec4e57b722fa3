"""A workflow's input of type file, in the Run tab."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Tab
from tests.browser.test_places import DROP

pytestmark = pytest.mark.slow
READ = """\
schema_version: "1.0"
flow: {name: read_doc, description: Reads a document}
state:
  fields:
    doc: {type: file, required: true, description: The document to read}
    told: str
nodes:
  - {id: tell, tool: text_template, args: {template: "{state.doc.name}: {state.doc}"}, outputs: [told]}
"""


def test_a_file_is_picked_and_run_with(tab: Tab) -> None:
    tab.page.evaluate(DROP, ["read.yaml", READ, "text/yaml"])
    tab.page.get_by_role("button", name="In a new conversation").click()
    tab.page.wait_for_function("parlance.workflow?.name === 'read_doc'")
    tab.tab("Run")
    with tab.page.expect_file_chooser() as chooser:
        tab.work.get_by_role("button", name="Choose a file for doc").click()
    chooser.value.set_files({"name": "a.zip", "mimeType": "application/zip", "buffer": b"PK\x03\x04\x00\x00"})
    expect(tab.work.get_by_role("alert")).to_contain_text("a.zip")
    with tab.page.expect_file_chooser() as chooser:
        tab.work.get_by_role("button", name="Choose a file for doc").click()
    chooser.value.set_files({"name": "orders.csv", "mimeType": "text/csv", "buffer": b"Ann,tea\n"})
    expect(tab.work.locator(".pl-file-row")).to_have_text(re.compile("orders.csv.*8 bytes"))
    tab.work.get_by_role("button", name="Run workflow").click()
    expect(tab.work.locator(".pl-run-body .pl-output")).to_contain_text("orders.csv: Ann,tea")
