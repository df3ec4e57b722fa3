"""Signing out: a button where there is a password; every open page of this session is led to the form."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import PASSWORD, OpenTab, Tab
from tests.browser.server import Server

pytestmark = pytest.mark.slow


def _sign_in(context: BrowserContext, url: str) -> Tab:
    page: Page = context.new_page()
    page.goto(url)
    expect(page).to_have_url(re.compile("/login"))
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("body[data-pl-ready]", state="attached")
    return Tab(page, url)


def test_signing_out_leads_every_page_to_the_form_and_holds_after_a_restart(
    guarded: Server, browser: Browser
) -> None:
    context = browser.new_context()
    first = _sign_in(context, guarded.url)
    second = Tab(context.new_page(), guarded.url).open()
    cookies = context.cookies()
    first.tab("YAML")
    first.type_yaml("a: secret plan")
    expect(first.work.locator("#pl-yaml-island")).to_contain_text("not saved")
    first.page.get_by_role("button", name="Sign out").click()
    first.page.get_by_role("dialog").get_by_role("button", name="Sign out").click()
    for tab in (first, second):
        expect(tab.page).to_have_url(re.compile("/login"))
    # When the newest change was is no secret, and a page that is just being left may note it once more.
    assert set(first.page.evaluate("Object.keys(localStorage)")) <= {"parlance-newest"}
    guarded.stop()
    guarded.again()
    context.add_cookies(cookies)  # somebody has kept a copy
    first.page.goto(guarded.url)
    expect(first.page).to_have_url(re.compile("/login"))
    context.close()


def test_an_action_of_a_page_that_is_signed_out_leads_to_the_form(guarded: Server, browser: Browser) -> None:
    context = browser.new_context()
    tab = _sign_in(context, guarded.url)
    context.clear_cookies()  # the socket is still open
    tab.say("Hello?")
    expect(tab.page).to_have_url(re.compile("/login"))
    assert tab.errors == []
    context.close()


def test_without_a_password_there_is_nothing_to_sign_out_of(open_tab: OpenTab) -> None:
    tab = open_tab()
    tab.ask("Hello")
    expect(tab.page.get_by_role("button", name="Sign out")).to_be_hidden()


def test_an_address_that_leads_nowhere_says_so(open_tab: OpenTab) -> None:
    tab = open_tab("/?c=no-such-conversation")
    expect(tab.page.locator(".pl-toast")).to_contain_text("There is no such conversation")
    expect(tab.page.get_by_role("heading", name="What should happen?")).to_be_visible()
