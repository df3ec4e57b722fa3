"""axe-core over the page's states, in light and in dark: nothing serious or critical in our own parts.

Gradio's editor scrolls in a part of CodeMirror that axe wants to be reachable by Tab; its text is, so that part is
left out.
"""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.conftest import OpenTab, Tab
from tests.browser.test_places import DROP, GREET, begin

pytestmark = pytest.mark.slow
WORST = {"serious", "critical"}
STATES = {
    "templates": "parlance.gallery()",
    "palette": "parlance.palette()",
    "shortcuts": "parlance.shortcuts()",
    "workflows": "parlance.library('workflows')",
    "runs": "parlance.library('runs')",
    "model": "parlance.parts.settings.open('model')",
    "assistant": "parlance.parts.settings.open('assistant')",
    "page": "parlance.parts.settings.open('page')",
    "data": "parlance.parts.settings.open('data')",
}


def _found(tab: Tab, state: str) -> list[str]:
    """What is wrong, in a line each, once nothing moves or fades any more."""
    tab.page.wait_for_function(
        "document.getAnimations().every(a => a.playState !== 'running' || a.effect.getTiming().iterations === Infinity)"
    )
    context: dict[str, Any] = {"exclude": [[".cm-scroller"]]}
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    found = Axe().run(tab.page, context=context, options=options).response["violations"]
    return [
        f"{state}: {rule['id']}: {node['target']} {node['html'][:160]} {node['failureSummary']}"
        for rule in found
        if rule["impact"] in WORST
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(open_tab: OpenTab, scheme: str) -> None:
    tab = open_tab(color_scheme=scheme)
    found = _found(tab, "first visit")
    begin(tab)
    found += _found(tab, "begun")
    tab.ask("Triage tickets")
    run = "parlance.call('run', {conversation: parlance.conversation, inputs: {ticket: 'It is broken'}})"
    run_id = tab.page.evaluate(run)["run"]
    tab.page.wait_for_function("id => parlance.run?.run_id === id && parlance.run.ended", arg=run_id)
    for name in ("Graph", "YAML", "Run", "Versions"):
        tab.tab(name)
        tab.page.locator(f"#pl-tab-{name.lower()} [data-island] > *").filter(visible=True).first.wait_for()
        found += _found(tab, name)
    for state, open_it in STATES.items():
        tab.page.evaluate(open_it)
        tab.page.wait_for_selector("dialog[open]")
        found += _found(tab, state)
        tab.page.evaluate("document.querySelector('dialog[open]').close()")
    tab.page.evaluate(DROP, ["greet.yaml", GREET.replace("prompt:", "promt:"), "text/yaml"])
    tab.page.wait_for_selector("#pl-file[open]")
    found += _found(tab, "file")
    tab.page.evaluate("document.querySelector('dialog[open]').close()")
    tab.page.get_by_role("button", name="Export the workflow").click()
    found += _found(tab, "export")
    assert not found, "\n".join(found)


def test_axe_finds_nothing_serious_on_a_phone(open_tab: OpenTab) -> None:
    tab = open_tab(viewport={"width": 390, "height": 844}, has_touch=True)
    begin(tab)
    found = _found(tab, "chat")
    for pane in ("side", "work"):
        tab.page.evaluate("pane => parlance.pane(pane)", pane)
        found += _found(tab, pane)
    for state in ("templates", "workflows", "data"):
        tab.page.evaluate(STATES[state])
        tab.page.wait_for_selector("dialog[open]")
        found += _found(tab, state)
        tab.page.evaluate("document.querySelector('dialog[open]').close()")
    assert not found, "\n".join(found)
