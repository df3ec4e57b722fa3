"""Runs that wait for a person, what they will take, and their course over time, in a real browser."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenTab, Tab
from tests.browser.server import EVIL, Server

pytestmark = pytest.mark.slow

HEAD = 'schema_version: "1.0"\nflow: {name: %s}\nstate:\n  fields:\n'
APPROVE = (
    HEAD % "approve_orders"
    + """\
    orders: {type: "list[str]", required: true}
    checked: "list[str]"
    fine: bool
    note: str
nodes:
  - id: look
    for_each: state.orders
    as: order
    tool: text_template
    args: {template: "{order} is fine"}
    outputs: [checked]
  - {id: approve, ask: "Shall {state.orders} be **paid**?", outputs: [fine]}
  - {id: tell, tool: text_template, args: {template: "It is {state.fine}"}, outputs: [note]}
"""
)
NAME = (
    HEAD % "ask_a_name"
    + """\
    name: str
    note: str
nodes:
  - {id: who, ask: "What is it called?", options: [], outputs: [name]}
  - {id: tell, tool: text_template, args: {template: "It is {state.name}"}, outputs: [note]}
"""
)
NAME_MEANWHILE = (
    HEAD % "ask_a_name_meanwhile"
    + """\
    name: str
    note: str
    words: str
nodes:
  - {id: other, prompt: "Speak slowly", outputs: [words]}
  - {id: who, ask: "What is it called?", options: [], outputs: [name]}
  - {id: tell, tool: text_template, args: {template: "It is {state.name}"}, outputs: [note]}
edges:
  - {from: START, to: other}
  - {from: START, to: who}
  - {from: who, to: tell}
"""
)
EVIL_QUESTION = (
    HEAD % "evil_question"
    + """\
    words: {type: str, required: true}
    said: str
nodes:
  - {id: who, ask: "Say {state.words}", options: ["{state.words}", "no"], outputs: [said]}
"""
)
ONCE = (
    HEAD % "pay_once"
    + """\
    answer: any
nodes:
  - {id: pay, tool: http_get, effect: once, args: {url: "http://127.0.0.1:%d/pay"}, outputs: [answer]}
"""
)


def _open(tab: Tab, yaml: str) -> None:
    """A conversation with this workflow, at its Run tab."""
    saved = tab.page.evaluate("yaml => parlance.call('save', {conversation: null, yaml})", yaml)
    assert "error" not in saved, saved
    tab.page.evaluate("id => parlance.open(id)", saved["conversation"])
    tab.tab("Run")
    expect(tab.work.locator("#pl-run")).to_be_visible()


def _run(tab: Tab) -> None:
    tab.work.get_by_role("button", name="Run workflow").click()


def test_a_question_is_answered_and_who_comes_second_is_told(open_tab: OpenTab) -> None:
    tab = open_tab()
    _open(tab, APPROVE)
    tab.field("orders").fill('["tea", "milk", "bread"]')
    _run(tab)
    asked = tab.work.locator(".pl-run-asks .pl-asked")
    expect(asked).to_contain_text('Shall ["tea","milk","bread"] be paid?')
    expect(tab.work.locator(".pl-run-head")).to_contain_text("waits for you")
    expect(tab.work.locator('.pl-run-graph [data-node="approve"]')).to_have_attribute(
        "data-status", "waiting"
    )
    card = tab.page.locator(".pl-card.pl-asked")
    expect(card).to_contain_text("A question to you")
    late = open_tab(f"/?c={tab.conversation}")
    late.tab("Run")
    expect(late.work.locator(".pl-run-asks .pl-asked.open")).to_be_visible()
    late.page.evaluate("parlance.takeRun = parlance.takeChat = () => {}")  # it hears of nothing any more
    asked.get_by_role("button", name="approve").click()
    expect(tab.work.locator(".pl-run-head")).to_contain_text("done")
    expect(tab.work.locator(".pl-outcome")).to_contain_text("It is true")
    for shown in (asked, card):
        expect(shown).to_contain_text("approve · answered by you")
        expect(shown.get_by_role("button")).to_have_count(0)
    late.work.locator(".pl-run-asks").get_by_role("button", name="reject").click()
    told = late.work.locator(".pl-run-asks [role=alert]")
    expect(told).to_contain_text("This was answered by you already: “approve”. It was at ")
    expect(told).not_to_contain_text("UTC")
    tab.page.reload()
    expect(card).to_contain_text("approve · answered by you")


def test_a_question_is_answered_in_words_from_the_conversation_after_a_restart(
    open_tab: OpenTab, mortal: Server
) -> None:
    tab = open_tab(url=mortal.url)
    _open(tab, NAME)
    _run(tab)
    card = tab.page.locator(".pl-card.pl-asked")
    expect(card).to_contain_text("What is it called?")
    mortal.kill()
    mortal.again()
    expect(tab.page.get_by_text("The connection was lost.")).to_be_hidden()
    card.get_by_role("button", name="Answer").click()
    dialog = tab.page.get_by_role("dialog")
    dialog.get_by_label("Your answer").fill("Zebra: 100%")
    dialog.get_by_role("button", name="Send the answer").click()
    expect(dialog).to_have_count(0)
    expect(card).to_contain_text("Zebra: 100% · answered by you")
    expect(tab.work.locator(".pl-outcome")).to_contain_text("It is Zebra: 100%")


def test_a_question_is_text_wherever_it_is_shown(tab: Tab) -> None:
    _open(tab, EVIL_QUESTION)
    tab.field("words").fill(EVIL)
    _run(tab)
    asked = tab.work.locator(".pl-run-asks .pl-asked")
    card = tab.page.locator(".pl-card.pl-asked")
    for shown in (asked, card):
        expect(shown).to_contain_text(f"Say {EVIL}")
        expect(shown.get_by_role("button", name=EVIL)).to_be_visible()
    card.get_by_role("button", name=EVIL).click()
    expect(asked).to_contain_text(f"{EVIL} · answered by you")
    expect(card).to_contain_text(f"{EVIL} · answered by you")
    assert tab.page.evaluate("window.hit") is None
    assert tab.page.locator("#pl-app img, #pl-app script").count() == 0


def test_what_is_half_typed_outlives_news_of_the_run(tab: Tab) -> None:
    _open(tab, NAME_MEANWHILE)
    _run(tab)
    area = tab.work.get_by_label("Your answer")
    area.fill("Half of")
    other = tab.work.locator('.pl-run-graph [data-node="other"]')
    expect(other).to_have_attribute("data-status", "ok")
    expect(area).to_have_value("Half of")
    area.fill("Half of it")
    area.press("Enter")
    expect(tab.work.locator(".pl-outcome")).to_contain_text("It is Half of it")


@pytest.fixture
def silent_server() -> Iterator[socket.socket]:
    """Takes calls and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def test_what_may_have_happened_is_asked_about(
    open_tab: OpenTab, mortal: Server, silent_server: socket.socket
) -> None:
    tab = open_tab(url=mortal.url)
    _open(tab, ONCE % silent_server.getsockname()[1])
    _run(tab)
    conversation = tab.conversation
    silent_server.settimeout(20)
    call, _ = silent_server.accept()
    assert call.recv(1000).startswith(b"GET /pay")
    mortal.kill()
    call.close()
    mortal.again()
    # Gradio loads the page anew when one of its calls was cut, as may be here, and then its first tab is open.
    tab.open(f"/?c={conversation}")
    tab.tab("Run")
    asked = tab.work.locator(".pl-run-asks .pl-asked.unknown")
    expect(asked).to_contain_text("May have happened", timeout=40_000)
    expect(tab.work.locator(".pl-run-head")).to_contain_text("may have happened")
    expect(tab.work.locator('.pl-run-graph [data-node="pay"]')).to_have_attribute("data-status", "unknown")
    expect(tab.page.locator(".pl-card.pl-asked.unknown")).to_contain_text("May have happened")
    asked.get_by_role("button", name="It did happen").click()
    expect(tab.work.locator(".pl-run-head")).to_contain_text("done")
    expect(asked).to_contain_text("answered by you")


def test_the_course_of_a_run_has_a_bar_for_each_step_and_groups_elements(tab: Tab) -> None:
    _open(tab, APPROVE)
    tab.field("orders").fill('["tea", "milk", "bread"]')
    _run(tab)
    steps = tab.work.locator(".pl-nodes")
    expect(steps.locator("summary")).to_have_text("2 steps")
    steps.locator("summary").click()
    rows = steps.locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first.locator(".pl-bar i.ok")).to_have_count(1)
    expect(rows.last.locator(".pl-bar i.waiting")).to_have_count(1)
    rows.first.get_by_role("button", name="3 parts").click()
    expect(rows).to_have_count(5)
    expect(steps.locator("tr.part th")).to_contain_text(["look[0]", "look[1]", "look[2]"])
    _run(tab)  # a run that waits does not keep the next one from starting
    runs = tab.work.locator(".pl-runs")
    expect(runs.locator("summary")).to_contain_text("All 2 runs")
    runs.locator("summary").click()
    expect(runs.locator("li .pl-tag")).to_have_text(["waits for you", "waits for you"])


CALLED = (
    HEAD % "greet_one"
    + """\
    who: {type: str, required: true}
    line: str
nodes:
  - {id: hello, tool: text_template, args: {template: "Hello {state.who}"}, outputs: [line]}
  - {id: again, tool: text_template, args: {template: "{state.line}!"}, outputs: [line]}
"""
)
CALLS = (
    HEAD % "greet_all"
    + """\
    names: {type: "list[str]", required: true}
    line: "list[str]"
nodes:
  - {id: each, for_each: state.names, as: one, workflow: greet_one, inputs: {who: "{one}"}, outputs: [line]}
"""
)


def test_the_steps_of_a_workflow_that_runs_for_each_element_are_below_the_elements(tab: Tab) -> None:
    _open(tab, CALLED)
    _open(tab, CALLS)
    tab.field("names").fill('["Ann", "Bob"]')
    _run(tab)
    steps = tab.work.locator(".pl-nodes")
    expect(tab.work.locator(".pl-run-head .pl-tag")).to_have_text("done")
    steps.locator("summary").click()
    steps.get_by_role("button", name="2 parts").click()
    expect(steps.locator("tr.part th")).to_contain_text(
        ["each[0]", "hello", "again", "each[1]", "hello", "again"]
    )


def test_what_a_run_takes_is_said_before_it_and_unknown_is_unknown(tab: Tab) -> None:
    tab.ask("Triage tickets")
    tab.tab("Run")
    estimate = tab.work.locator(".pl-estimate")
    expect(estimate.locator("summary")).to_contain_text("$")
    before = estimate.locator("summary").inner_text()
    tab.field("ticket").fill("A very long ticket. " * 400)
    expect(estimate.locator("summary")).not_to_have_text(before, use_inner_text=True)
    estimate.locator("summary").click()
    expect(estimate.locator("tbody th")).to_contain_text(["classify", "alert"])
    text = tab.page.evaluate("parlance.workflow.yaml").replace(
        "  - id: classify\n",
        "  - id: classify\n    llm: {provider: openai, model: a-model-without-a-price}\n",
        1,
    )
    saved = tab.page.evaluate(
        "yaml => parlance.call('save', {conversation: parlance.conversation, yaml})", text
    )
    assert "error" not in saved, saved
    expect(estimate.locator("summary .unknown-value").first).to_contain_text("cost unknown")
