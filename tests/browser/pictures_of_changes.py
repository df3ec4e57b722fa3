"""Scenes of the pictures: tests and proof, why, versions, plans, mends, questions, offers, files, schedules."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image

from tests.browser import pictures_script as script
from tests.browser.test_places import begin

if TYPE_CHECKING:
    from tests.browser.pictures import Camera

CSV = b"order,due,sent\n12 kg of tea,2 May,1 May\n3 lamps,4 May,8 May\n40 chairs,9 May,10 May\n"


def new(camera: Camera) -> None:
    camera.do("parlance.open(null)")
    camera.show("graph")
    camera.chat()


def saved(camera: Camera, yaml: str) -> None:
    """A conversation about this workflow."""
    made = camera.do("yaml => parlance.call('save', {conversation: null, yaml})", yaml)
    camera.do("id => parlance.open(id)", made["conversation"])
    camera.page.wait_for_selector("body[data-pl-workflow]", state="attached")


def choose(camera: Camera, option: str) -> None:
    """Press an option of the last message, and wait for what comes of it."""
    before = camera.tab.answers.count()
    camera.page.locator("#pl-messages button.option", has_text=option).last.click()
    camera.page.wait_for_function(
        "before => document.querySelectorAll('#pl-messages .bot-row').length > before", arg=before
    )
    camera.tab.idle()


def run(camera: Camera, field: str, text: str) -> None:
    camera.show("run")
    camera.tab.field(field).fill(text)
    camera.tab.work.get_by_role("button", name="Run workflow").click()


def wishes(camera: Camera) -> None:
    new(camera)
    camera.tab.ask(script.DESK)
    camera.tab.ask(script.REFUND)
    camera.chat()
    camera.take("test-proposed")
    choose(camera, "Keep it")
    camera.tab.ask(script.THREAT)
    choose(camera, "Only keep it")
    camera.show("versions")
    camera.tab.work.locator(".pl-proof > summary").click()
    camera.tab.work.locator(".pl-proof-foot button").click()
    camera.page.locator(".pl-tests .pl-tag.failed").wait_for()
    camera.tab.work.locator(".pl-about").evaluate("e => e.scrollIntoView({block: 'start'})")
    camera.take("proof")


def reasons(camera: Camera) -> None:
    new(camera)
    tab = camera.tab
    tab.ask("Triage customer tickets: how urgent, what about, and draft a reply")
    tab.ask(script.CALMER)
    camera.page.wait_for_function("parlance.workflow?.version === 2")
    camera.show("graph")
    node = tab.node("apologise")
    node.tap() if camera.mode == "phone" else node.hover()
    camera.page.locator(".pl-why").wait_for()
    camera.take("why-node", still=True)
    camera.page.keyboard.press("Escape")
    camera.show("yaml")
    line = camera.page.locator("#pl-code .cm-line", has_text="very calm reply")
    if camera.mode == "phone":
        line.tap()
        tab.work.locator(".pl-why-bar .pl-quote").wait_for()
    else:
        line.hover()
        camera.page.locator(".pl-why").wait_for()
    camera.take("why-line", still=True)
    camera.show("versions")
    tab.work.locator(".pl-diff-rows .add").first.wait_for()
    if camera.mode != "phone":
        tab.work.get_by_role("button", name="Side by side").click()
        camera.page.locator(".pl-diff-dialog .split .add").first.wait_for()
        camera.take("side-by-side")
        camera.page.keyboard.press("Escape")
    camera.chat()
    tab.ask(script.TRY)
    camera.page.locator(".pl-offer-budget").fill("0.05")
    camera.take("offer")


def plans(camera: Camera) -> None:
    new(camera)
    camera.tab.ask(script.NEWSLETTER)
    rows = camera.page.locator(".pl-outline-edit li")
    rows.nth(1).locator("button").last.click()
    camera.take("outline")
    camera.page.get_by_role("button", name="Build it").last.click()
    camera.page.locator(".pl-outline-steps .pl-dot.ok").nth(1).wait_for()
    camera.take("outline-written")
    camera.tab.idle()


def mends(camera: Camera) -> None:
    saved(camera, script.REMINDERS)
    run(camera, "record", script.RECORD)
    camera.page.locator("#pl-messages button.option", has_text="Fix and run from there").wait_for(
        state="attached"
    )
    camera.chat()
    camera.page.locator(".pl-fix-diff summary").click()
    camera.page.locator(".pl-fix-diff .add").first.wait_for()
    camera.take("fix")
    saved(camera, script.ABROAD)
    run(camera, "record", script.RECORD)
    camera.page.locator("#pl-messages button.option", has_text="Try again from there").wait_for(
        state="attached"
    )
    camera.chat()
    camera.take("fix-world")


def asks(camera: Camera) -> None:
    new(camera)
    camera.tab.ask(script.QUESTIONS)
    camera.page.locator(".pl-choice").nth(1).click()
    camera.take("two-questions")
    new(camera)
    begin(camera.tab, "daily_brief")
    camera.chat()
    camera.tab.ask(script.WEEKLY)
    camera.take("schedule")


def below(camera: Camera) -> None:
    saved(camera, script.LETTER)
    saved(camera, script.ORDER)
    run(camera, "order", "40 chairs for the town hall")
    camera.tab.work.locator(".pl-run-head", has_text="done").wait_for()
    steps = camera.tab.work.locator(".pl-nodes")
    steps.locator("summary").click()
    steps.get_by_role("button", name="its steps").click()
    steps.locator("tr.part", has_text="shorten").wait_for()
    steps.evaluate("e => e.scrollIntoView({block: 'center'})")
    camera.take("sub-workflow")


def files(camera: Camera) -> None:
    new(camera)
    shelf = BytesIO()
    Image.new("RGB", (640, 480), "#8a5a2b").save(shelf, "PNG")
    with camera.page.expect_file_chooser() as chooser:
        camera.page.get_by_role("button", name="Attach files").click()
    chooser.value.set_files(
        [
            {"name": "orders.csv", "mimeType": "text/csv", "buffer": CSV},
            {"name": "shelf.png", "mimeType": "image/png", "buffer": shelf.getvalue()},
        ]
    )
    camera.page.locator(".pl-attachment").nth(1).wait_for()
    camera.page.wait_for_selector(".pl-attachment .pl-dot.running", state="detached")
    camera.tab.box.fill(script.FILES)
    camera.take("attached")
    camera.tab.ask(script.FILES)
    camera.take("attached-said")


SCENES = (wishes, reasons, plans, mends, asks, below, files)
