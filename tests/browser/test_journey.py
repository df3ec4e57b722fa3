"""The main job from end to end: words, a draft, the graph, the YAML, a run, the result; and still there afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import TimeoutError, expect

from tests.browser.conftest import OpenTab, Tab
from tests.browser.server import TICKET, Server

pytestmark = pytest.mark.slow
MODEL_LOADS = 60_000


def test_from_words_to_a_result_that_stays(tab: Tab) -> None:
    expect(tab.page.get_by_role("heading", name="What should happen?")).to_be_visible()
    tab.ask("Triage customer tickets")
    expect(tab.page.locator(".pl-card.pl-draft")).to_contain_text("version 1")
    expect(tab.node("classify")).to_be_visible()
    expect(tab.work.locator('#pl-tab-graph path[data-from="classify"][data-to="alert"]')).to_have_count(1)

    tab.tab("YAML")
    expect(tab.work.locator(".cm-content")).to_contain_text("name: triage_ticket")
    expect(tab.work.locator(".pl-verdict")).to_have_text("No problems")

    tab.tab("Run")
    tab.field("ticket").fill(TICKET)
    tab.work.get_by_role("button", name="Run workflow").click()
    expect(tab.work.locator(".pl-run-head")).to_contain_text("done")
    expect(tab.work.locator(".pl-run-body")).to_contain_text("Dear customer, we are on it.")
    card = tab.page.locator(".pl-card.pl-run")
    expect(card).to_contain_text("apologise")
    expect(card).to_contain_text("Dear customer")
    expect(tab.work.locator('.pl-run-graph [data-node="apologise"]')).to_have_attribute("data-status", "ok")
    expect(tab.work.locator('.pl-run-graph [data-node="thank"]')).to_have_attribute("data-status", "")

    tab.page.reload()
    expect(tab.asked).to_have_text(["Triage customer tickets"])
    expect(card).to_contain_text("Dear customer")
    expect(tab.node("apologise")).to_have_attribute("data-status", "ok")
    tab.tab("Run")
    expect(tab.field("ticket")).to_have_value(TICKET)


def test_a_fresh_machine_without_a_key_and_a_kill_in_mid_run(tmp_path: Path, open_tab: OpenTab) -> None:
    """An empty home, the embedded model, SIGKILL while a run is under way: the conversation and the run go on."""
    server = Server(tmp_path).start()
    try:
        tab = open_tab(url=server.url)
        expect(tab.page.locator(".pl-model")).to_contain_text("Demo model")
        expect(tab.page.locator("#pl-foot-island")).to_contain_text("demo model")
        tab.say("Summarise a text and translate it to German")
        expect(tab.page.locator(".pl-card.pl-draft")).to_be_visible(timeout=MODEL_LOADS)
        tab.idle()
        expect(tab.node("summarise")).to_be_visible()
        tab.tab("YAML")
        expect(tab.work.locator(".cm-content")).to_contain_text("summarise_and_translate")
        tab.tab("Run")
        tab.work.get_by_role("button", name="Fill in an example").click()
        expect(tab.field("text")).not_to_have_value("")
        tab.work.get_by_role("button", name="Run workflow").click()
        running = tab.work.locator('.pl-run-graph [data-status="running"]')
        expect(running.first).to_be_visible()
        server.kill()
        expect(tab.page.get_by_text("The connection was lost.")).to_be_visible()

        server.start()
        again = open_tab(f"/?c={tab.conversation}", url=server.url)
        expect(again.asked.first).to_have_text("Summarise a text and translate it to German")
        expect(again.page.locator(".pl-card.pl-run .pl-tag")).to_have_text("done", timeout=MODEL_LOADS)
        again.tab("Run")
        expect(again.work.locator(".pl-run-head")).to_contain_text("done")
        expect(again.work.locator(".pl-run-body .pl-outcome")).to_be_visible()
        again.work.locator(".pl-nodes summary").click()
        expect(again.work.locator(".pl-nodes tbody tr")).to_have_count(2)
    finally:
        server.stop()


def test_an_open_page_finds_the_server_again(open_tab: OpenTab, mortal: Server) -> None:
    """The page of a server that ends and comes back on the same port goes on by itself."""
    tab = open_tab(url=mortal.url)
    tab.ask("Triage tickets")
    tab.tab("Run")
    tab.field("ticket").fill(TICKET)
    mortal.kill()
    expect(tab.page.get_by_text("The connection was lost.")).to_be_visible()
    mortal.again()
    expect(tab.page.get_by_text("The connection was lost.")).to_be_hidden()
    _run_until_done(tab)
    tab.idle()
    tab.ask("Are you there?")
    expect(tab.answers.last).to_contain_text("You said: Are you there?")


def _run_until_done(tab: Tab, tries: int = 3) -> None:
    """Fill the form of the new process and run. Gradio may open the page anew meanwhile, of its own accord."""
    for left in reversed(range(tries)):
        try:
            tab.tab("Run")
            expect(tab.field("ticket")).to_have_value("")
            tab.field("ticket").fill(TICKET)
            tab.work.get_by_role("button", name="Run workflow").click()
            expect(tab.work.locator(".pl-run-head")).to_contain_text("done", timeout=8000)
        except (AssertionError, TimeoutError):
            if not left:
                raise
            tab.page.reload()
        else:
            return
