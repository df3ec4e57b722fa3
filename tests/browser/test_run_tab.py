"""The Run tab: what its form takes, what it says of older runs, long results, and while the server is away."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenTab, Tab
from tests.browser.server import TICKET, Server

pytestmark = pytest.mark.slow
ZOOMED = "than => Number(document.querySelector('#pl-tab-graph .pl-picture').dataset.zoom) > than"


def _run(tab: Tab) -> None:
    tab.work.get_by_role("button", name="Run workflow").click()


def test_what_is_required_starts_empty_and_is_asked_for(tab: Tab) -> None:
    tab.ask("only numbers, please")
    tab.tab("Run")
    trouble = tab.work.locator("#pl-form-trouble")
    expect(tab.field("pages")).to_have_value("")
    expect(tab.field("size")).to_have_value("")
    _run(tab)
    expect(trouble).to_contain_text("“pages” is empty")
    tab.field("pages").fill("2.7")
    tab.work.locator("#pl-input-size input").click()
    tab.page.get_by_role("option", name="large").click()
    _run(tab)
    expect(trouble).to_contain_text("'2.7' is not a whole number")
    tab.field("pages").fill("0")
    _run(tab)
    expect(tab.work.locator(".pl-run-body")).to_contain_text("0 pages, large")


def test_an_older_run_stands_apart_from_a_newer_workflow(tab: Tab) -> None:
    tab.ask("Triage tickets")
    tab.ask("run it")
    tab.tab("Run")
    expect(tab.work.locator(".pl-run-facts")).to_contain_text("done")
    tab.ask("calmer, please")
    earlier = tab.work.locator(".pl-earlier-run")
    expect(earlier.locator("summary").first).to_have_text("The last run was of version 1")
    expect(tab.work.locator(".pl-run-facts")).not_to_contain_text("done")
    expect(earlier.locator(".pl-outcome")).to_be_hidden()
    earlier.locator("summary").first.click()
    expect(earlier.locator(".pl-outcome")).to_contain_text("Dear customer")
    tab.ask("every kind of input")
    expect(earlier.locator("summary").first).to_contain_text("The last run was of triage_ticket")
    tab.page.get_by_role("button", name="Details").click()
    expect(earlier.locator(".pl-outcome")).to_be_visible()


def test_a_long_result_shows_its_beginning_and_all_on_demand(tab: Tab) -> None:
    tab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab.ask("great length")
    tab.tab("Run")
    _run(tab)
    outcome = tab.work.locator(".pl-outcome")
    expect(outcome).to_contain_text("Line number 0 of")
    expect(outcome).to_contain_text("The first 7,")
    expect(outcome).not_to_contain_text("Line number 3999")
    card = tab.page.locator(".pl-card.pl-run")
    expect(card).to_contain_text("Line number 0 of")
    assert len(card.inner_text()) < 5000
    outcome.get_by_role("button", name="Copy all of long").click()
    assert tab.page.evaluate("navigator.clipboard.readText()").endswith("Line number 3999 of a long result.")
    outcome.get_by_role("button", name="Show all").click()
    expect(outcome).to_contain_text("Line number 3999")
    outcome.get_by_role("button", name="Show less").click()
    expect(outcome).not_to_contain_text("Line number 3999", use_inner_text=True)
    tab.tab("Graph")
    card.get_by_role("button", name="Show all").click()
    expect(outcome).to_be_visible()


def test_a_wide_graph_is_fitted_and_sized_by_buttons_keys_and_wheel(tab: Tab) -> None:
    tab.ask("a wide one")
    picture = tab.page.locator("#pl-tab-graph .pl-picture")
    expect(picture).to_have_attribute("data-zoom", "0.60")  # smaller can't be read
    sizes = "e => [e.scrollWidth > e.clientWidth + 1, e.scrollHeight, e.clientHeight]"
    assert picture.evaluate(sizes)[0]
    tab.page.get_by_role("button", name="Fit the graph").click()
    assert not picture.evaluate(sizes)[0]
    fitted = float(str(picture.get_attribute("data-zoom")))
    tab.page.get_by_role("button", name="larger").click()
    tab.page.wait_for_function(ZOOMED, arg=fitted)
    tab.page.get_by_role("button", name="own size").click()
    expect(picture).to_have_attribute("data-zoom", "1.00")
    picture.focus()
    tab.page.keyboard.press("-")
    expect(picture).to_have_attribute("data-zoom", "0.80")
    picture.hover()
    tab.page.keyboard.down("Control")
    tab.page.mouse.wheel(0, -60)
    tab.page.keyboard.up("Control")
    tab.page.wait_for_function(ZOOMED, arg=1)
    tab.tab("Run")
    _run(tab)
    expect(tab.work.locator(".pl-run-body .pl-outcome")).to_contain_text("done")
    small = tab.work.locator(".pl-run-graph .pl-picture")
    assert small.evaluate("e => e.clientHeight") <= 460


def test_while_the_server_is_away_the_clock_stands(open_tab: OpenTab, mortal: Server) -> None:
    tab = open_tab(url=mortal.url)
    tab.ask("Triage tickets")
    tab.tab("Run")
    tab.field("ticket").fill("slowly " + TICKET)
    _run(tab)
    expect(tab.work.locator(".pl-run-head")).to_contain_text("running")
    mortal.kill()
    lost = tab.page.get_by_text("The connection was lost.")
    expect(lost).to_be_visible()
    time = tab.work.locator(".pl-facts-list dd").first
    stands = time.inner_text()
    tab.page.wait_for_timeout(1600)  # what is looked for is that nothing happens
    assert time.inner_text() == stands
    pill, chip = lost.bounding_box(), tab.page.locator(".pl-model").bounding_box()
    assert pill
    assert chip
    assert pill["y"] >= chip["y"] + chip["height"]
