"""The conversation in a real browser: streaming, stopping, editing, asking anew, two pages at once."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenTab, Tab
from tests.fakes.openai_server import FakeOpenAI

pytestmark = pytest.mark.slow


def _until_asked(tab: Tab, model: FakeOpenAI, before: int) -> None:
    """Wait until the model has had more requests than before."""
    deadline = time.monotonic() + 15
    while len(model.requests) == before and time.monotonic() < deadline:
        tab.page.wait_for_timeout(20)
    assert len(model.requests) > before


def test_the_first_words_are_shown_while_the_model_still_speaks(tab: Tab, model: FakeOpenAI) -> None:
    tab.say("wait for it")
    expect(tab.answers.last).to_contain_text("The first words")
    assert model.paused.wait(5)
    expect(tab.answers.last).not_to_contain_text("and the rest")
    expect(tab.page.get_by_role("button", name="Stop")).to_be_visible()
    model.release()
    expect(tab.answers.last).to_contain_text("The first words and the rest.")
    tab.idle()
    expect(tab.page.get_by_role("button", name="Stop")).to_have_count(0)
    expect(tab.page.get_by_role("button", name="Send")).to_be_visible()
    expect(tab.answers.last).to_contain_text("tokens")


def test_markdown_is_rendered(tab: Tab) -> None:
    tab.ask("markdown please")
    row = tab.answers.last
    expect(row.locator("h1")).to_have_text("Head")
    expect(row.locator("td")).to_have_text(["1", "2"])
    expect(row.locator("li")).to_have_text(["one", "two"])
    expect(row.locator("pre code.language-yaml")).to_contain_text("key: value")
    expect(row.locator("strong")).to_have_text("weight")


def test_the_turn_goes_on_when_the_page_is_closed(open_tab: OpenTab, model: FakeOpenAI) -> None:
    first = open_tab()
    first.say("wait, I am leaving")
    expect(first.answers.last).to_contain_text("The first words")
    conversation = first.conversation
    first.page.context.close()
    assert model.paused.wait(5)
    model.release()
    second = open_tab(f"/?c={conversation}")
    expect(second.answers.last).to_contain_text("The first words and the rest.")


def test_a_page_that_comes_in_the_middle_joins_the_turn(open_tab: OpenTab, model: FakeOpenAI) -> None:
    first = open_tab()
    first.say("wait for company")
    expect(first.answers.last).to_contain_text("The first words")
    second = open_tab(f"/?c={first.conversation}")
    expect(second.answers.last).to_contain_text("The first words")
    expect(second.page.locator("#pl-box .stop-button")).to_be_visible()
    model.release()
    for tab in (first, second):
        expect(tab.answers.last).to_contain_text("The first words and the rest.")
        tab.idle()


def test_two_pages_on_one_conversation_agree(open_tab: OpenTab) -> None:
    first = open_tab()
    first.ask("Hello from the first")
    second = open_tab(f"/?c={first.conversation}")
    expect(second.answers).to_have_count(1)
    second.ask("Triage tickets, says the second")
    expect(first.asked.last).to_contain_text("says the second")
    expect(first.page.locator(".pl-card.pl-draft")).to_contain_text("triage_ticket")
    expect(first.node("classify")).to_be_visible()
    first.ask("run it from the first")
    expect(second.answers.last).to_contain_text("Dear customer")
    expect(second.node("apologise")).to_have_attribute("data-status", "ok")
    texts = [tab.page.locator("#pl-messages [role=log]").inner_text().split("\n") for tab in (first, second)]
    assert texts[0] == texts[1]
    first.page.locator(".pl-row.open").hover()
    first.page.locator(".pl-row.open").get_by_role("button", name="Rename").click()
    first.page.get_by_label("New name").fill("Both see it")
    first.page.keyboard.press("Enter")
    expect(second.page.locator(".pl-head-title")).to_have_text("Both see it")
    expect(second.page.locator(".pl-row.open .pl-title")).to_have_text("Both see it")


def test_a_turn_can_be_stopped_by_button_and_by_escape(tab: Tab) -> None:
    tab.say("a long one")
    expect(tab.answers.last).to_contain_text("word1")
    tab.page.get_by_role("button", name="Stop").click()
    expect(tab.answers.last).to_contain_text("Stopped.")
    expect(tab.answers.last).not_to_contain_text("word399")
    tab.say("another long one")
    expect(tab.answers).to_have_count(2)
    expect(tab.answers.last).to_contain_text("word1")
    tab.page.keyboard.press("Escape")
    expect(tab.answers.last).to_contain_text("Stopped.")
    tab.idle()


def test_a_message_is_edited_and_sent_again(tab: Tab) -> None:
    tab.ask("The first <b>try</b>")
    tab.ask("A second message")
    tab.asked.first.hover()
    tab.page.get_by_role("button", name="Edit").first.click()
    field = tab.page.locator("#pl-messages textarea")
    expect(field).to_have_value("The first <b>try</b>")
    field.fill("The better try & more")
    field.press("Enter")
    expect(tab.asked).to_have_count(1)
    expect(tab.asked.first).to_have_text("The better try & more")
    expect(tab.answers.last).to_contain_text("You said: The better try & more")
    tab.page.reload()
    expect(tab.asked).to_have_text(["The better try & more"])


def test_an_edit_is_given_up_by_escape(tab: Tab) -> None:
    tab.ask("It stays")
    tab.asked.first.hover()
    tab.page.get_by_role("button", name="Edit").first.click()
    tab.page.locator("#pl-messages textarea").fill("something else")
    tab.page.keyboard.press("Escape")
    expect(tab.page.locator("#pl-messages textarea")).to_have_count(0)
    expect(tab.asked).to_have_text(["It stays"])


def test_an_answer_is_asked_for_anew(tab: Tab, model: FakeOpenAI) -> None:
    tab.ask("Something to repeat")
    before = len(model.requests)
    tab.page.get_by_role("button", name="Retry").click()
    _until_asked(tab, model, before)
    tab.idle()
    expect(tab.answers).to_have_count(1)
    expect(tab.answers.last).to_contain_text("You said: Something to repeat")
    assert len(model.requests) == before + 1


def test_options_are_buttons_that_answer(tab: Tab) -> None:
    tab.ask("which one")
    expect(tab.answers.last).to_contain_text("Which one do you mean?")
    options = tab.page.locator("#pl-messages .options")
    options.get_by_role("button", name="The second").click()
    expect(tab.asked.last).to_have_text("The second")
    expect(tab.answers.last).to_contain_text("You said: The second")
    expect(options).to_have_count(0)


def test_an_error_says_the_fix_and_offers_to_try_again(tab: Tab, model: FakeOpenAI) -> None:
    tab.ask("break off, please")
    expect(tab.answers.last).to_contain_text("This will")
    card = tab.page.locator(".pl-card.pl-error")
    expect(card).to_be_visible()
    before = len(model.requests)
    card.get_by_role("button", name="Try again").click()
    _until_asked(tab, model, before)
    expect(tab.answers).to_have_count(1)


def test_copying_gives_the_words_and_not_our_markup(tab: Tab) -> None:
    tab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab.ask("markdown to copy")
    tab.answers.last.hover()
    tab.page.get_by_role("button", name="Copy message").last.click()
    copied = tab.page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("# Head\n\n| a | b |")
    assert copied.endswith("End with **weight**.")


def test_two_messages_at_once_go_into_one_new_conversation(tab: Tab) -> None:
    tab.page.evaluate("parlance.send('One at once'); parlance.send('Two at once')")
    expect(tab.asked).to_have_text(["One at once", "Two at once"])
    expect(tab.answers.last).to_contain_text("You said: Two at once")
    expect(tab.page.locator(".pl-row", has_text="Two at once")).to_have_count(0)


def test_what_is_typed_is_kept_when_sending_fails(tab: Tab) -> None:
    tab.page.route(re.compile("component_server"), lambda route: route.abort())
    tab.say("Do not lose me")
    expect(tab.page.locator(".pl-toast")).to_contain_text("The server did not answer")
    expect(tab.box).to_have_value("Do not lose me")


def test_keys_typed_right_after_enter_belong_to_the_next_message(tab: Tab) -> None:
    """In one task of the browser, so that nothing gets a chance in between."""
    tab.ask("Hello")
    tab.page.evaluate(
        """() => {
            const area = document.querySelector("#pl-box textarea");
            const write = (text) => {
                area.value += text;
                area.dispatchEvent(new InputEvent("input", {bubbles: true}));
            };
            const enter = () => area.dispatchEvent(
                new KeyboardEvent("keydown", {key: "Enter", keyCode: 13, bubbles: true, cancelable: true})
            );
            write("the first"); enter(); write("the second"); enter(); write("not yet sent");
        }"""
    )
    expect(tab.asked).to_have_text(["Hello", "the first", "the second"])
    expect(tab.box).to_have_value("not yet sent")
    tab.idle()
    expect(tab.answers.last).to_contain_text("You said: the second")
    expect(tab.box).to_have_value("not yet sent")


def test_what_is_sent_quickly_comes_in_its_order(tab: Tab) -> None:
    words = [f"message {n}" for n in range(8)]
    tab.page.evaluate("words => words.forEach(word => parlance.send(word))", words)
    expect(tab.asked).to_have_text(words)
    tab.idle()
    tab.page.reload()
    expect(tab.asked).to_have_text(words)


def test_escape_in_a_field_means_the_field(tab: Tab, model: FakeOpenAI) -> None:
    tab.ask("Triage tickets")
    tab.tab("Run")
    tab.field("ticket").fill("something")
    tab.say("wait for it")
    expect(tab.answers.last).to_contain_text("The first words")
    tab.field("ticket").press("Escape")
    tab.page.get_by_label("Search conversations").press("Escape")
    tab.tab("YAML")
    tab.page.locator("#pl-code .cm-content").click()
    tab.page.keyboard.press("Escape")
    assert model.paused.wait(5)
    model.release()
    expect(tab.answers.last).to_contain_text("The first words and the rest.")
    expect(tab.answers.last).not_to_contain_text("Stopped.")


def test_only_the_last_messages_are_shown_and_earlier_ones_come_in_above_what_is_read(tab: Tab) -> None:
    tab.ask("number 0")
    tab.page.evaluate(
        """async () => {
            const conversation = parlance.conversation;
            for (let n = 1; n < 40; n++) await parlance.call("send", {conversation, text: "number " + n});
        }"""
    )
    expect(tab.asked.last).to_have_text("number 39")
    expect(tab.answers.last).to_contain_text("You said: number 39")
    tab.idle()
    tab.page.reload()
    expect(tab.asked.last).to_have_text("number 39")
    expect(tab.asked).to_have_count(25)
    expect(tab.asked.last).to_be_in_viewport()
    tab.page.locator("#pl-messages [role=log]").hover()
    tab.page.mouse.wheel(0, -100_000)
    first = tab.asked.get_by_text("number 15", exact=True)
    expect(first).to_be_in_viewport()
    place = "e => e.getBoundingClientRect().top - e.closest('[role=log]').getBoundingClientRect().top"
    before = first.evaluate(place)
    tab.page.get_by_role("button", name="Load earlier messages").click()
    expect(tab.asked).to_have_count(40)
    expect(tab.asked.first).to_have_text("number 0")
    expect(tab.answers).to_have_count(40)
    expect(tab.page.get_by_role("button", name="Load earlier messages")).to_be_hidden()
    expect(first).to_be_in_viewport()
    assert abs(first.evaluate(place) - before) < 60
