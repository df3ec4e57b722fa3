"""Takes the pictures of the documentation: `python -m tests.browser.pictures [MODE|STATE …]`.

They are of the real program. Each state of the page is taken light, dark and at the width of a phone; with names
only those are made.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from tests.browser.conftest import CHROMIUM, Tab
from tests.browser.pictures_of_changes import SCENES
from tests.browser.pictures_script import said
from tests.browser.server import ROOT, TICKET, Server, answer, example, with_model
from tests.browser.test_places import ARCHIVE, DROP
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
MODES: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1440, "height": 900}},
    "dark": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True},
}
QUALITY = 55
LARGEST = 58_000  # bytes of one
NO_TOASTS = "document.querySelectorAll('.pl-toast').forEach(toast => toast.remove())"
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
BROKEN = example("triage_ticket").replace("to: thank}", "to: thnak}", 1)


def scripted(body: dict[str, Any]) -> Reply:
    """The model of the tests, with better manners."""
    if "with a key" in str(body["messages"][-1].get("content")):
        return Reply(status=401, message="Incorrect API key provided")
    if reply := said(body):
        return reply
    reply = answer(body)
    if body.get("tools"):
        return replace(reply, text=SAID) if "Triage" in str(body["messages"][-1]) else reply
    delay = 1.2
    if reply.value is not None:
        return replace(reply, delay=delay)
    brief = "The office of this customer cannot log in since this morning."
    return Reply(text=brief if "on duty" in str(body["messages"][-1]) else REPLY, delay=delay)


class Camera:
    """One page in one mode, and where it keeps its pictures."""

    def __init__(self, tab: Tab, mode: str, wanted: list[str]) -> None:
        self.tab = tab
        self.page = tab.page
        self.mode = mode
        self._wanted = wanted

    def take(self, state: str, *, still: bool = False) -> None:
        """`still`: the pointer stays where it is, for what shows only as long as it does."""
        if self._wanted and state not in self._wanted:
            return
        if not still:
            self.page.mouse.move(5, 400)
        self.page.wait_for_timeout(500)
        file = FOLDER / f"{state}-{self.mode}.webp"
        picture = Image.open(BytesIO(self.page.screenshot())).convert("RGB")
        for quality in range(QUALITY, 0, -10):  # much text takes much room
            picture.save(file, quality=quality, method=6)
            if file.stat().st_size <= LARGEST:
                break
        print(f"{file.relative_to(ROOT)}  {file.stat().st_size // 1000} kB")

    def take_pane(self, state: str) -> None:
        """What a phone shows in a place of its own; elsewhere it stands beside the rest."""
        if self.mode == "phone":
            self.take(state)

    def do(self, script: str, given: Any = None) -> Any:
        return self.page.evaluate(script, given)

    def show(self, tab: str) -> None:
        self.do("tab => parlance.show(tab)", tab)

    def chat(self) -> None:
        self.do("parlance.pane('chat')")

    def dialog(self, state: str, script: str, ready: str) -> None:
        """A dialog as it is when `ready` is there."""
        self.do(script)
        self.page.locator(f"dialog[open] {ready}").filter(visible=True).first.wait_for()
        self.take(state)
        self.do("document.querySelector('dialog[open]').close()")


def first_visit(camera: Camera) -> None:
    camera.take("first-visit")
    camera.dialog("templates", "parlance.gallery()", ".pl-pick")
    camera.dialog("palette", "parlance.palette()", "[role=option]")
    camera.dialog("shortcuts", "parlance.shortcuts()", "dl")


def drafted(camera: Camera) -> None:
    tab = camera.tab
    tab.ask(ASKED)
    camera.page.wait_for_selector("#pl-tab-graph [data-node=classify]", state="attached")
    camera.do("document.activeElement.blur()")
    camera.take("draft")
    camera.show("graph")
    camera.take_pane("graph")
    camera.show("yaml")
    tab.work.locator(".cm-content").wait_for()
    camera.take("yaml")
    tab.type_yaml(BROKEN)
    camera.page.locator("#pl-problems-island li button").first.click()
    camera.take("yaml-problem")
    tab.work.get_by_role("button", name="Discard").click()


def ran(camera: Camera) -> None:
    tab = camera.tab
    camera.show("run")
    tab.field("ticket").fill(TICKET + " We cannot invoice anybody. Please help at once!")
    tab.work.get_by_role("button", name="Run workflow").click()
    tab.work.locator('.pl-run-graph [data-node="alert"][data-status="running"]').wait_for()
    camera.take("run")
    tab.work.locator(".pl-run-head", has_text="done").wait_for()
    camera.take("result")
    camera.chat()
    camera.take_pane("result-chat")
    tab.ask("calmer, please")
    camera.show("versions")
    tab.work.locator(".pl-diff-rows .add").first.wait_for()
    camera.take("versions")
    camera.chat()
    camera.page.locator(".pl-export").click()
    camera.take("export")
    camera.page.keyboard.press("Escape")


def asked(camera: Camera) -> None:
    tab = camera.tab
    saved = camera.do("yaml => parlance.call('save', {conversation: null, yaml})", ORDERS)
    camera.do("id => parlance.open(id)", saved["conversation"])
    camera.page.wait_for_selector("body[data-pl-workflow]", state="attached")
    camera.take("begun")
    camera.show("run")
    tab.field("orders").fill('["12 kg of tea", "3 lamps", "40 chairs", "a piano"]')
    tab.work.get_by_role("button", name="Run workflow").click()
    tab.work.locator(".pl-asked.open").wait_for()
    tab.work.locator(".pl-asked").evaluate("e => e.scrollIntoView({block: 'start'})")
    camera.take("question")
    camera.chat()
    camera.take_pane("question-chat")


def around(camera: Camera) -> None:
    camera.do("parlance.pane('side')")
    camera.take_pane("conversations")
    camera.chat()
    camera.dialog("workflows", "parlance.library('workflows')", "li")
    camera.dialog("runs", "parlance.library('runs')", "li")
    ready = {"model": ".pl-key", "assistant": ".pl-now", "page": ".pl-setting", "data": ".pl-danger"}
    for section, there in ready.items():
        camera.dialog(f"settings-{section}", f"parlance.parts.settings.open('{section}')", there)
    camera.do(DROP, ["triage.yaml", BROKEN, "text/yaml"])
    camera.page.locator("#pl-file[open] .pl-problem-list").wait_for()
    camera.take("file")
    camera.do("document.querySelector('dialog[open]').close()")


def trouble(camera: Camera, server: Server) -> None:
    """What goes wrong outside, and what the page says to do."""
    camera.do("parlance.open(null)")
    camera.tab.ask("Try it with a key that is refused")
    camera.take("key-refused")
    camera.do("parlance.call('prefer', {changes: {daily_cap_tokens: 1000}})")
    camera.do("parlance.open(null)")
    camera.tab.ask("Go on, please")
    camera.take("cap-reached")
    camera.do(DROP, ["orders.csv", "who,what\nAnn,12 kg of tea\n", "text/csv"])
    camera.do(DROP, ["report.docx", ARCHIVE, "application/zip"])
    camera.page.locator(".pl-attachment.failed").wait_for()
    camera.take("file-refused")
    camera.page.goto(server.url + "/?c=nothing")
    camera.page.locator(".pl-toast").wait_for()
    camera.take("unknown-conversation")
    camera.do(NO_TOASTS)
    server.kill()
    camera.page.wait_for_selector("body[data-pl-lost]", state="attached")
    camera.tab.say("Are you there?")
    camera.page.locator(".pl-toast", has_text="did not answer").wait_for()
    camera.take("server-gone")


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright, FakeOpenAI(scripted) as fake:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        named = [name for name in sys.argv[1:] if name in MODES]
        states = [name for name in sys.argv[1:] if name not in MODES]
        for mode in named or MODES:
            with tempfile.TemporaryDirectory() as home:
                server = Server(Path(home), **with_model(fake)).start()
                try:
                    photograph(browser, server, mode, states)
                finally:
                    server.stop()
        browser.close()


def photograph(browser: Browser, server: Server, mode: str, states: list[str]) -> None:
    context = browser.new_context(**MODES[mode])
    camera = Camera(Tab(context.new_page(), server.url).open(), mode, states)
    for scene in (first_visit, drafted, ran, asked, *SCENES, around):
        scene(camera)
    trouble(camera, server)
    context.close()


if __name__ == "__main__":
    main()
