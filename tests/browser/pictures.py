"""Takes the pictures of the documentation: `python -m tests.browser.pictures`. They are of the real program."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.conftest import CHROMIUM, Tab
from tests.browser.server import ROOT, TICKET, Server, answer, example, with_model
from tests.fakes.openai_server import FakeOpenAI, Reply

FOLDER = ROOT / "docs" / "images"
ASKED = "Triage customer tickets: how urgent, what about, and draft a reply"
SAID = (
    "Here is a workflow for that. It reads the ticket, judges **how urgent** it is and **what it is about**, "
    "briefs the team on duty when it burns, and drafts the answer to the customer. "
)
REPLY = (
    "Dear customer,\n\nwe are sorry that nobody in your office can log in. Our **technical team** is working on it "
    "now and will write to you within the hour.\n\nKind regards,\nthe support team"
)
DESKTOP = {"viewport": {"width": 1440, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "device_scale_factor": 2}


def scripted(body: dict[str, Any]) -> Reply:
    """The model of the tests, with better manners."""
    reply = answer(body)
    if body.get("tools"):
        return replace(reply, text=SAID) if "Triage" in str(body["messages"][-1]) else reply
    delay = 1.2
    if reply.value is not None:
        return replace(reply, delay=delay)
    brief = "The office of this customer cannot log in since this morning."
    return Reply(text=brief if "on duty" in str(body["messages"][-1]) else REPLY, delay=delay)


def save(page: Page, name: str) -> None:
    page.mouse.move(5, 400)
    page.wait_for_timeout(400)
    Image.open(BytesIO(page.screenshot())).convert("RGB").save(FOLDER / f"{name}.png", optimize=True)
    print(f"docs/images/{name}.png")


def draft(tab: Tab) -> None:
    tab.ask(ASKED)
    tab.page.wait_for_selector("#pl-tab-graph [data-node=classify]", state="attached")
    tab.page.evaluate("document.activeElement.blur()")


def run(tab: Tab) -> None:
    tab.tab("Run")
    tab.field("ticket").fill(TICKET + " We cannot invoice anybody. Please help at once!")
    tab.work.get_by_role("button", name="Run workflow").click()
    tab.work.locator('.pl-run-graph [data-node="alert"][data-status="running"]').wait_for()


def desktop(tab: Tab) -> None:
    save(tab.page, "first-visit")
    draft(tab)
    save(tab.page, "draft")
    tab.tab("YAML")
    tab.type_yaml(example("triage_ticket").replace("to: thank}", "to: thnak}", 1))
    tab.page.locator("#pl-problems-island li button").first.click()
    save(tab.page, "yaml-problem")
    tab.work.get_by_role("button", name="Discard").click()
    run(tab)
    save(tab.page, "run")
    tab.work.locator(".pl-run-head", has_text="done").wait_for()
    save(tab.page, "page-light")
    tab.ask("calmer, please")
    tab.tab("Versions")
    tab.work.locator(".pl-diff-rows .add").wait_for()
    save(tab.page, "versions")
    tab.page.locator(".pl-model").click()
    tab.page.locator(".pl-key").last.wait_for()
    save(tab.page, "settings")


ORDERS = """\
schema_version: "1.0"
flow: {name: approve_orders, description: Look at each order and ask before it is paid}
state:
  fields:
    orders: {type: "list[str]", required: true, description: What was ordered}
    checked: {type: "list[str]", description: A word on each}
    total: {type: int, description: How many there are}
    fine: {type: bool, description: Whether to pay}
    note: {type: str, description: What was done}
nodes:
  - id: look
    for_each: state.orders
    as: order
    max_parallel: 3
    prompt: "Say in a word whether this order looks right: {order}"
    outputs: [checked]
  - id: count
    code: result = len(inputs["checked"])
    outputs: [total]
  - id: approve
    ask: "{state.total} orders are ready. Shall they be **paid**?"
    outputs: [fine]
  - id: pay
    tool: text_template
    args: {template: "Paid {state.total} orders."}
    outputs: [note]
  - id: keep
    tool: text_template
    args: {template: "Nothing was paid."}
    outputs: [note]
edges:
  - {from: look, to: count}
  - {from: count, to: approve}
  - from: approve
    routes:
      - {condition: state.fine, to: pay}
      - {condition: default, to: keep}
"""


def question(tab: Tab) -> None:
    saved = tab.page.evaluate("yaml => parlance.call('save', {conversation: null, yaml})", ORDERS)
    tab.page.evaluate("id => parlance.open(id)", saved["conversation"])
    tab.tab("Run")
    tab.field("orders").fill('["12 kg of tea", "3 lamps", "40 chairs", "a piano"]')
    tab.work.locator(".pl-estimate summary").wait_for()
    tab.work.get_by_role("button", name="Run workflow").click()
    tab.work.locator(".pl-asked.open").wait_for()
    tab.work.locator(".pl-nodes summary").click()
    tab.work.locator(".pl-parts").click()
    tab.work.locator(".pl-asked").evaluate("e => e.scrollIntoView({block: 'start'})")
    save(tab.page, "question")


def dark(tab: Tab) -> None:
    draft(tab)
    run(tab)
    save(tab.page, "page-dark")


def phone(tab: Tab) -> None:
    draft(tab)
    save(tab.page, "phone-chat")
    tab.page.locator(".pl-switch button[value=work]").click()
    save(tab.page, "phone-graph")


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    scenes: list[tuple[Callable[[Tab], None], dict[str, Any]]] = [
        (desktop, DESKTOP),
        (question, DESKTOP),
        (dark, {**DESKTOP, "color_scheme": "dark"}),
        (phone, PHONE),
    ]
    with sync_playwright() as playwright, FakeOpenAI(scripted) as fake:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for scene, options in scenes:
            with tempfile.TemporaryDirectory() as home:
                server = Server(Path(home), **with_model(fake)).start()
                scene(opened(browser, server, options))
                server.stop()
        browser.close()


def opened(browser: Browser, server: Server, options: dict[str, Any]) -> Tab:
    return Tab(browser.new_context(**options).new_page(), server.url).open()


if __name__ == "__main__":
    main()
