"""The page as a whole: nothing leaves it, nothing runs in it, it works by keyboard and on a phone."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import PASSWORD, OpenTab, Tab
from tests.browser.server import EVIL, Server

pytestmark = pytest.mark.slow
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}


def test_text_stays_text_wherever_it_comes_from(tab: Tab) -> None:
    """A message, an answer, a title, a draft's summary, node names, descriptions, inputs, outputs of a run."""
    tab.ask(f"nasty {EVIL}")
    expect(tab.asked.last).to_have_text(f"nasty {EVIL}")
    expect(tab.answers.last.locator("p").first).to_have_text(EVIL)
    expect(tab.answers.last.locator("pre")).to_contain_text(EVIL)
    expect(tab.answers.last.locator("p code")).to_have_text(EVIL)
    tab.ask("evil workflow")
    expect(tab.page.locator(".pl-card.pl-draft")).to_contain_text(EVIL)
    expect(tab.node("speak")).to_be_visible()
    assert EVIL in str(tab.node("speak").get_attribute("aria-label"))
    tab.tab("YAML")
    expect(tab.work.locator(".cm-content")).to_contain_text("<script>window.hit = 1</script>")
    tab.tab("Run")
    expect(tab.work.locator("#pl-form")).to_contain_text("window.hit = 1")
    tab.field("words").fill(EVIL)
    tab.work.get_by_role("button", name="Run workflow").click()
    expect(tab.work.locator(".pl-run-body .pl-output")).to_contain_text(EVIL)
    expect(tab.page.locator(".pl-card.pl-run .pl-output")).to_contain_text(EVIL)
    tab.tab("Versions")
    expect(tab.work.locator(".pl-version")).to_contain_text("window.hit")
    expect(tab.work.locator(".pl-diff-rows")).to_contain_text("<script>window.hit = 1</script>")
    tab.page.locator(".pl-row.open").hover()
    tab.page.locator(".pl-row.open").get_by_role("button", name="Rename").click()
    tab.page.get_by_label("New name").fill(EVIL[:60])
    tab.page.keyboard.press("Enter")
    expect(tab.page.locator(".pl-head-title")).to_have_text(EVIL[:60])
    tab.page.reload()
    expect(tab.page.locator(".pl-card.pl-run .pl-output")).to_contain_text(EVIL)
    assert tab.page.evaluate("window.hit") is None
    assert tab.page.locator("#pl-app img").count() == 0
    assert tab.page.locator("#pl-app script").count() == 0


def test_no_request_leaves_for_another_host(tab: Tab) -> None:
    """Also not for a picture in an answer; and if one got through the page, the server's policy stops it."""
    tab.ask("nasty picture")
    expect(tab.answers.last.get_by_role("link", name="a picture")).to_be_visible()
    for name in ("YAML", "Run", "Versions", "Graph"):
        tab.tab(name)
    tab.page.locator(".pl-model").click()
    expect(tab.page.get_by_role("dialog")).to_be_visible()
    tab.page.wait_for_timeout(500)
    assert tab.foreign == []
    violation = tab.page.evaluate(
        """() => new Promise(resolve => {
            document.addEventListener("securitypolicyviolation", event => resolve(event.effectiveDirective));
            document.body.append(Object.assign(new Image(), {src: "http://pictures.example/x.png"}));
            setTimeout(() => resolve("none"), 3000);
        })"""
    )
    assert violation == "img-src"
    tab.foreign.clear()


def test_everything_can_be_done_by_keyboard(tab: Tab) -> None:
    expect(tab.box).to_be_focused()
    tab.page.keyboard.type("Triage tickets")
    tab.page.keyboard.press("Shift+Enter")
    tab.page.keyboard.type("and be quick")
    expect(tab.box).to_have_value("Triage tickets\nand be quick")
    tab.page.keyboard.press("Enter")
    expect(tab.box).to_have_value("")
    expect(tab.page.locator(".pl-card.pl-draft")).to_be_visible()
    tab.idle()
    expect(tab.asked.last).to_have_text("Triage tickets\nand be quick")
    seen = set()
    for _ in range(250):
        tab.page.keyboard.press("Tab")
        seen.add(
            tab.page.evaluate(
                """() => {
                    const e = document.activeElement;
                    if (e === document.body) return "|true";
                    const style = getComputedStyle(e);
                    const visible = style.outlineStyle !== "none" || style.boxShadow !== "none"
                        || e.matches(".node, textarea, .cm-content") || !!e.closest(".pl-search");
                    const name = e.getAttribute("aria-label") || e.textContent.trim() || e.title || e.placeholder || "";
                    return `${name.slice(0, 40)}|${visible}`;
                }"""
            )
        )
    names = {entry.rsplit("|", 1)[0] for entry in seen}
    for wanted in ("New conversation", "Graph", "Send", "Show"):
        assert any(wanted in name for name in names), (wanted, names)
    assert any(name.startswith("classify: model step") for name in names), names
    assert not [entry for entry in seen if entry.endswith("|false")], seen


def test_every_control_has_a_name(tab: Tab) -> None:
    tab.ask("Triage tickets")
    for name in ("Graph", "YAML", "Run", "Versions"):
        tab.tab(name)
        tab.page.wait_for_timeout(150)
        nameless = tab.page.evaluate(
            """() => [...document.querySelectorAll("#pl-app :is(button, input, textarea, [role=button])")]
                .filter(e => e.offsetParent && !e.closest('[aria-hidden="true"]'))
                .filter(e => !(e.getAttribute("aria-label") || e.textContent.trim() || e.title || e.labels?.length
                    || e.closest(".thought-group")))
                .map(e => e.outerHTML.slice(0, 200))"""
        )
        assert nameless == []


def test_on_a_phone_one_pane_shows_at_a_time(open_tab: OpenTab) -> None:
    tab = open_tab(**PHONE)
    switch = tab.page.get_by_role("navigation", name="Parts of the page")
    expect(tab.page.get_by_role("heading", name="What should happen?")).to_be_visible()
    expect(tab.work).to_be_hidden()
    tab.ask("Triage tickets")
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= 390
    tab.page.get_by_role("button", name="Show").click()
    expect(tab.node("classify")).to_be_visible()
    expect(tab.box).to_be_hidden()
    for name in ("YAML", "Run", "Versions"):
        tab.tab(name)
        tab.page.wait_for_timeout(200)
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= 390
    switch.get_by_role("button", name="Chats").click()
    expect(tab.page.locator(".pl-row.open")).to_be_visible()
    switch.get_by_role("button", name="Chat", exact=True).click()
    expect(tab.box).to_be_visible()


def test_light_and_dark_follow_the_system(open_tab: OpenTab) -> None:
    def brightness() -> int:
        colour = tab.page.evaluate("getComputedStyle(document.querySelector('#pl-chat')).backgroundColor")
        return sum(int(part) for part in colour[4:-1].split(","))

    tab = open_tab(color_scheme="light")
    assert brightness() > 600
    tab.page.emulate_media(color_scheme="dark")
    tab.page.reload()
    tab.page.wait_for_selector("body[data-pl-ready]", state="attached")
    assert brightness() < 150


def test_conversations_are_made_found_named_and_deleted(tab: Tab) -> None:
    tab.ask("The quick zebra")
    tab.page.get_by_role("button", name="New conversation", exact=True).click()
    expect(tab.page.get_by_role("heading", name="What should happen?")).to_be_visible()
    tab.ask("A slow walrus")
    tab.page.get_by_label("Search conversations").fill("zebra")
    expect(tab.page.locator(".pl-row")).to_have_count(1)
    tab.page.locator(".pl-row .pl-open").click()
    expect(tab.asked).to_have_text(["The quick zebra"])
    tab.page.get_by_label("Search conversations").fill("")
    tab.page.go_back()
    expect(tab.asked).to_have_text(["A slow walrus"])
    row = tab.page.locator(".pl-row.open")
    row.hover()
    row.get_by_role("button", name="Delete").click()
    tab.page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(row.locator(".pl-title")).to_have_text("A slow walrus")
    row.hover()
    row.get_by_role("button", name="Delete").click()
    tab.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(tab.page.get_by_role("heading", name="What should happen?")).to_be_visible()
    expect(tab.page.locator(".pl-row", has_text="A slow walrus")).to_have_count(0)


def test_an_example_of_the_first_screen_is_sent_by_a_click(tab: Tab) -> None:
    chip = tab.page.locator(".pl-example").first
    text = chip.locator("span").inner_text()
    chip.click()
    expect(tab.asked.first).to_have_text(text)


def test_a_model_is_tested_picked_and_a_key_pasted(tab: Tab) -> None:
    tab.page.locator(".pl-model").click()
    dialog = tab.page.get_by_role("dialog")
    expect(dialog).to_contain_text("openai/gpt-5.4-mini")
    dialog.get_by_role("button", name="Test").click()
    expect(dialog.locator(".pl-try")).to_contain_text("answered in")
    dialog.get_by_label("Pick a model").fill("nonsense/model")
    dialog.get_by_role("button", name="Use it").click()
    expect(dialog.locator(".pl-try")).to_contain_text("There is no provider")
    dialog.get_by_label("OpenAI", exact=True).fill("sk-a-key-that-is-not-real")
    dialog.get_by_role("button", name="Save the key of OpenAI").click()
    expect(dialog.get_by_role("button", name="Forget the key of OpenAI")).to_be_visible()
    expect(dialog.get_by_label("OpenAI", exact=True)).to_have_value("")
    assert "sk-a-key" not in tab.page.content()
    dialog.get_by_role("button", name="Forget the key of OpenAI").click()
    expect(dialog.get_by_role("button", name="Forget the key of OpenAI")).to_have_count(0)
    tab.page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_a_conversation_that_does_not_exist_leads_to_a_new_one(open_tab: OpenTab) -> None:
    tab = open_tab("/?c=no-such-conversation")
    expect(tab.page.get_by_role("heading", name="What should happen?")).to_be_visible()
    tab.page.wait_for_function("!location.search")


def test_with_a_password_the_page_and_its_socket_ask_for_it(browser: Browser, guarded: Server) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(guarded.url)
    page.wait_for_url("**/login**")
    refused = page.evaluate(
        """() => new Promise(resolve => {
            const socket = new WebSocket(`ws://${location.host}/page/socket`);
            socket.onopen = () => resolve("open");
            socket.onclose = () => resolve("closed");
        })"""
    )
    assert refused == "closed"
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("body[data-pl-ready]", state="attached")
    tab = Tab(page, guarded.url)
    tab.ask("Hello")
    expect(tab.answers.last).to_contain_text("You said: Hello")
    context.clear_cookies()
    page.evaluate("parlance.disconnect()")
    page.wait_for_url("**/login**")
    context.close()
