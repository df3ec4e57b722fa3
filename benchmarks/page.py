"""The page beside a bare Gradio chat page: start, memory, first token. Chromium looks at both.

    python -m benchmarks.page [--json]

Each start is that of a fresh process with an empty data folder; the best of three, in turns. "Can send a message"
is checked: a message is sent and has to appear. The first token is timed from the moment at which the model's
server has sent it to the moment at which it can be read: on our page, and in a bare streaming call.
"""

from __future__ import annotations

import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Browser, Page, sync_playwright

from tests.fakes.openai_server import FakeOpenAI, Reply

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = "/usr/bin/chromium"
ROUNDS = 3
TOKENS = 7
MEGABYTE = 1024 * 1024
FIRST = "Firstword"

BARE_PAGE = """
import sys, gradio
page = gradio.ChatInterface(lambda text, history: "You said: " + text)
page.launch(server_name="127.0.0.1", server_port=int(sys.argv[1]), quiet=True)
"""


@dataclass
class Started:
    """A server under way; `began` is when its process was started."""

    process: subprocess.Popen[str]
    url: str
    began: float


@contextmanager
def ours(fake: FakeOpenAI) -> Iterator[Started]:
    """Parlance with an empty data folder and the fake as its model."""
    with tempfile.TemporaryDirectory() as home:
        settings = {
            "PARLANCE_HOME": home,
            "PARLANCE_MODEL": "openai/gpt-5.4-mini",
            "PARLANCE_API_BASE": fake.base_url,
            "PARLANCE_API_KEY": "none",
        }
        port = free_port()
        with running([sys.executable, "app.py", "serve", "--port", str(port)], settings, port) as started:
            yield started


@contextmanager
def bare() -> Iterator[Started]:
    port = free_port()
    settings = {"GRADIO_ANALYTICS_ENABLED": "False"}
    with running([sys.executable, "-c", BARE_PAGE, str(port)], settings, port) as started:
        yield started


@contextmanager
def running(command: list[str], settings: dict[str, str], port: int) -> Iterator[Started]:
    clean = {
        k: v for k, v in os.environ.items() if not k.startswith("PARLANCE_") and not k.endswith("_API_KEY")
    }
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**clean, **settings},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield Started(process, f"http://127.0.0.1:{port}", began)
    finally:
        process.terminate()
        process.wait(20)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for_port(started: Started) -> None:
    port = int(started.url.rsplit(":", 1)[1])
    while started.process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise SystemExit("the server did not start")


def first_page(started: Started) -> tuple[float, float]:
    """Seconds from the start of the process to the first page over HTTP, and its memory then, in MB."""
    while True:
        try:
            with urllib.request.urlopen(started.url, timeout=10) as answer:
                assert b"gradio_config" in answer.read()
                break
        except OSError:
            time.sleep(0.01)
    return time.monotonic() - started.began, psutil.Process(started.process.pid).memory_info().rss / MEGABYTE


def import_alone() -> tuple[float, float]:
    """The same for a process that imports gradio and does nothing else."""
    code = "import gradio, time; print('in', flush=True); time.sleep(60)"
    began = time.monotonic()
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "in\n"
        seconds = time.monotonic() - began
        memory = psutil.Process(process.pid).memory_info().rss / MEGABYTE
        process.kill()
    return seconds, memory


def usable(browser: Browser, started: Started, ready: str, box: str, said: str) -> float:
    """Seconds from the start of the process until Chromium can send a message; it is sent, too."""
    page = browser.new_page()
    try:
        wait_for_port(started)
        page.goto(started.url, wait_until="commit")
        page.wait_for_selector(ready, state="attached", timeout=60_000)
        seconds = time.monotonic() - started.began
        page.fill(box, "Hello there")
        page.press(box, "Enter")
        page.wait_for_selector(f"{said} >> text=Hello there", timeout=20_000)
        return seconds
    finally:
        page.close()


def starts(browser: Browser, fake: FakeOpenAI) -> list[dict[str, Any]]:
    mine: list[float] = []
    theirs: list[float] = []
    pages: list[tuple[float, float]] = []
    imports: list[tuple[float, float]] = []
    for _ in range(ROUNDS):
        with ours(fake) as started:
            mine.append(
                usable(browser, started, "body[data-pl-ready]", "#pl-box textarea", "#pl-messages .user-row")
            )
        with bare() as started:
            theirs.append(usable(browser, started, "textarea", "textarea", ".user-row"))
        with ours(fake) as started:
            pages.append(first_page(started))
        imports.append(import_alone())
    return [
        figure("start until Chromium can send a message", min(mine), min(theirs), "s"),
        figure("start until the first page, beside import gradio", min(pages)[0], min(imports)[0], "s"),
        figure(
            "memory at the first page, beside import gradio",
            min(memory for _, memory in pages),
            min(memory for _, memory in imports),
            "MB",
        ),
    ]


# --- the first token --------------------------------------------------------------------------------------


class FirstToken:
    """When the model's server sent it: the fake stops after the first piece and says so."""

    def __init__(self, fake: FakeOpenAI) -> None:
        self.sent = 0.0
        self._fake = fake
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        if self._fake.paused.wait(30):
            self.sent = time.time()

    def when(self) -> float:
        self._thread.join()
        return self.sent


def through_the_page(page: Page, fake: FakeOpenAI) -> tuple[float, float]:
    """Milliseconds from Enter, and from the sending of the first token, until it can be read on the page."""
    page.evaluate(
        """word => {
            window.seen = null;
            const rows = () => [...document.querySelectorAll("#pl-messages .bot-row")].at(-1)?.textContent || "";
            const count = document.querySelectorAll("#pl-messages .bot-row").length;
            const watch = new MutationObserver(() => {
                if (document.querySelectorAll("#pl-messages .bot-row").length > count && rows().includes(word)) {
                    window.seen = performance.timeOrigin + performance.now();
                    watch.disconnect();
                }
            });
            const all = {subtree: true, childList: true, characterData: true};
            watch.observe(document.querySelector("#pl-messages"), all);
        }""",
        FIRST,
    )
    token = FirstToken(fake)
    time.sleep(1)  # people do not write at once
    page.fill("#pl-box textarea", "Speak")
    began = time.time()
    page.press("#pl-box textarea", "Enter")
    page.wait_for_function("window.seen")
    seen = float(page.evaluate("window.seen")) / 1000
    sent = token.when()
    fake.release()
    page.wait_for_selector("body:not([data-pl-live])", state="attached")
    return (seen - began) * 1000, (seen - sent) * 1000


def bare_call(client: Any, fake: FakeOpenAI) -> tuple[float, float]:
    """The same for the OpenAI SDK, which serves servers of this protocol without LiteLLM."""
    token = FirstToken(fake)
    began = time.time()
    stream = client.chat.completions.create(
        model="gpt-5.4-mini", messages=[{"role": "user", "content": "Speak"}], stream=True
    )
    seen = 0.0
    for chunk in stream:
        if chunk.choices and FIRST in (chunk.choices[0].delta.content or ""):
            seen = time.time()
            break
    sent = token.when()
    fake.release()
    stream.close()
    return (seen - began) * 1000, max(0.0, seen - sent) * 1000


def tokens(browser: Browser, fake: FakeOpenAI) -> list[dict[str, Any]]:
    import openai

    fake.script = Reply(text=f"{FIRST} and more", pieces=(FIRST, " and", " more"), pause=True)
    client = openai.OpenAI(base_url=fake.base_url, api_key="none")
    with ours(fake) as started:
        first_page(started)
        page = browser.new_page()
        page.goto(started.url)
        page.wait_for_selector("body[data-pl-ready]", state="attached")
        through_the_page(page, fake)  # what is imported on first use is in
        bare_call(client, fake)
        mine = [through_the_page(page, fake) for _ in range(TOKENS)]
        theirs = [bare_call(client, fake) for _ in range(TOKENS)]
        page.close()
    whole, after = (statistics.median(column) for column in zip(*mine, strict=True))
    bare_whole, bare_after = (statistics.median(column) for column in zip(*theirs, strict=True))
    return [
        figure("first token, from Enter to the page; bare: from the call", whole, bare_whole, "ms"),
        figure("first token, from its sending until it can be read", after, bare_after, "ms"),
        {
            "name": "first token, more than a bare call",
            "ours": round(whole - bare_whole, 1),
            "peer": None,
            "ratio": None,
            "unit": "ms",
        },
    ]


def figure(name: str, mine: float, theirs: float, unit: str) -> dict[str, Any]:
    return {
        "name": name,
        "ours": round(mine, 2),
        "peer": round(theirs, 2),
        "ratio": round(mine / theirs, 2) if theirs > 0 else None,
        "unit": unit,
    }


def main(show: Callable[[str], object] = print) -> None:
    with sync_playwright() as playwright, FakeOpenAI("You said: Hello there") as fake:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        browser.new_page().close()
        found = [*([] if "--tokens" in sys.argv else starts(browser, fake)), *tokens(browser, fake)]
        browser.close()
    if "--json" in sys.argv:
        show(json.dumps(found))
    else:
        for line in found:
            show(re.sub(r"[{}'\"]", "", str(line)))


if __name__ == "__main__":
    main()
