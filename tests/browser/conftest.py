"""A real Chromium before a real server. Every page's requests and errors are watched, in every test.

What costs seconds to set up is shared by all tests here, because nothing of a test is left in it: the browser, its
windows with their caches, and the servers, where each test has conversations of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from tests.browser.server import Server, answer, with_model
from tests.fakes.openai_server import FakeOpenAI
from tests.loop_guard import watched

CHROMIUM = "/usr/bin/chromium"
DESKTOP = ViewportSize(width=1440, height=900)
PASSWORD = "open sesame"
STORED = "local_storage,indexeddb,service_workers"
expect.set_options(timeout=15_000)


class Tab:
    """One page, and the ways in which people use it."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.foreign: list[str] = []
        self.errors: list[str] = []
        page.set_default_timeout(15_000)
        page.on("request", self._requested)
        page.on("pageerror", self._broke)

    def _requested(self, request: Any) -> None:
        own = (self.url, self.url.replace("http", "ws", 1), "data:", "blob:")
        if not request.url.startswith(own):
            self.foreign.append(request.url)

    def _broke(self, error: Any) -> None:
        if not str(error).startswith(AWAY):
            self.errors.append(str(error))

    def leave(self) -> None:
        """Let the page go, so that another test can open one in its window."""
        self.page.goto("about:blank")
        self.page.remove_listener("request", self._requested)
        self.page.remove_listener("pageerror", self._broke)
        self.page.unroute_all()
        context = self.page.context
        session = context.new_cdp_session(self.page)
        session.send("Storage.clearDataForOrigin", {"origin": self.url, "storageTypes": STORED})
        session.detach()
        context.clear_cookies()
        context.clear_permissions()
        self.page.mouse.move(0, 0)

    def open(self, path: str = "/") -> Tab:
        for left in (2, 1, 0):
            try:
                self.page.goto(self.url + path)
                break
            except PlaywrightError as error:  # Gradio opens the page anew by itself after a server came back
                if not left or "ERR_ABORTED" not in str(error):
                    raise
        self.page.wait_for_selector("body[data-pl-ready]", state="attached")
        return self

    @property
    def box(self) -> Locator:
        return self.page.locator("#pl-box textarea")

    @property
    def answers(self) -> Locator:
        return self.page.locator("#pl-messages .bot-row")

    @property
    def asked(self) -> Locator:
        return self.page.locator("#pl-messages .user-row")

    @property
    def work(self) -> Locator:
        return self.page.locator("#pl-work")

    def say(self, text: str) -> None:
        self.box.fill(text)
        self.box.press("Enter")

    def idle(self) -> None:
        """Wait until no turn is under way."""
        self.page.wait_for_selector("body:not([data-pl-live])", state="attached")

    def ask(self, text: str) -> None:
        """Say it, and wait for the whole answer."""
        before = self.answers.count()
        self.say(text)
        expect(self.answers).to_have_count(before + 1)
        self.idle()

    def tab(self, name: str) -> None:
        self.page.get_by_role("tab", name=name).click()

    def node(self, name: str) -> Locator:
        return self.page.locator(f'#pl-tab-graph [data-node="{name}"]')

    def field(self, name: str) -> Locator:
        """The form's field for an input."""
        return self.page.locator(f"#pl-input-{name}").locator("textarea, input")

    def type_yaml(self, text: str) -> None:
        """Put a whole text into the editor, as if typed."""
        self.page.locator("#pl-code .cm-content").click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(text)

    @property
    def conversation(self) -> str:
        return self.page.evaluate("parlance.conversation")


AWAY = "Unable to preload CSS"
"""What Gradio says of a part that it wanted while the server was away; it asks for it again when the page is opened."""

OpenTab = Callable[..., Tab]


@pytest.fixture(autouse=True)
def _free_loop(request: pytest.FixtureRequest) -> Iterator[None]:
    """As everywhere, except where the loop of this process is Playwright's: the server is another process."""
    if "browser" in request.fixturenames:
        yield
        return
    with watched() as slow:
        yield
    assert not slow, f"The event loop was kept busy: {'; '.join(slow)}."


class Windows:
    """Windows of the browser, one for each page a test has open. They outlive it, for their cache of scripts.

    A page that is opened where one was before takes a fifth of the time of one in a window just made.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._kept: list[Page] = []

    def page(self, place: int) -> Page:
        """The page at this place, blank."""
        if place == len(self._kept):
            self._kept.append(self._browser.new_context(viewport=DESKTOP).new_page())
        return self._kept[place]

    def clear(self, tabs: list[Tab]) -> None:
        """Leave nothing of these pages, which are at the first places. A window that can't be cleared is not kept."""
        clean: list[Page] = []
        self._kept[: len(tabs)] = []
        try:
            for tab in tabs:
                if not tab.page.is_closed():
                    tab.leave()
                    clean.append(tab.page)
        finally:
            self._kept[:0] = clean


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Closed before other tests run: Playwright keeps an event loop running in this thread, as they do."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="package")
def windows(browser: Browser) -> Windows:
    return Windows(browser)


@pytest.fixture(scope="package")
def model() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(answer) as fake:
        yield fake


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory, model: FakeOpenAI) -> Iterator[Server]:
    """One server for all tests that do not kill it; each test has conversations of its own."""
    running = Server(tmp_path_factory.mktemp("parlance"), **with_model(model)).start()
    yield running
    running.stop()


@pytest.fixture(scope="package")
def _mortal(tmp_path_factory: pytest.TempPathFactory, model: FakeOpenAI) -> Iterator[Server]:
    one = Server(tmp_path_factory.mktemp("mortal"), **with_model(model)).start()
    yield one
    one.stop()


@pytest.fixture
def mortal(_mortal: Server) -> Server:
    """A server for tests that kill it; the next one finds it alive again."""
    return _mortal if _mortal.alive else _mortal.again()


@pytest.fixture(scope="package")
def guarded(tmp_path_factory: pytest.TempPathFactory, model: FakeOpenAI) -> Iterator[Server]:
    """A server that asks for a password; who signs in does so for one test."""
    one = Server(tmp_path_factory.mktemp("guarded"), PARLANCE_PASSWORD=PASSWORD, **with_model(model)).start()
    yield one
    one.stop()


@pytest.fixture
def open_tab(browser: Browser, windows: Windows, server: Server) -> Iterator[OpenTab]:
    """Open the page; with a `url` that of another server, with options of a context in a window of its own.

    At the end no page may have broken or called out.
    """
    kept: list[Tab] = []
    own: list[Tab] = []

    def opened(path: str = "/", *, url: str | None = None, **options: Any) -> Tab:
        page = browser.new_context(**{"viewport": DESKTOP, **options}).new_page() if options else None
        tab = Tab(page or windows.page(len(kept)), url or server.url)
        (own if options else kept).append(tab)
        return tab.open(path)

    yield opened
    print(server.log()[-4000:])  # shown when the test fails
    windows.clear(kept)
    for tab in own:
        tab.page.context.close()
    found = [(tab.foreign, tab.errors) for tab in (*kept, *own)]
    assert all(foreign == [] for foreign, _ in found), found
    assert all(errors == [] for _, errors in found), found


@pytest.fixture
def tab(open_tab: OpenTab) -> Tab:
    return open_tab()


@pytest.fixture
def pictures(request: pytest.FixtureRequest) -> Path:
    return Path(str(request.config.rootpath)) / "docs" / "images"
