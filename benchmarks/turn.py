"""What a turn costs beside the model: 200 messages about a document of 300 lines, every write on disk.

    python -m benchmarks.turn [--json] [--profile]

The model is a local server that answers at once; the peer is the very same request made with the OpenAI SDK alone. A
turn is timed as a whole, from the message that is posted to its last event. Once the assistant only talks, once it
changes a line: then the draft is edited, checked, saved and shown, and its proof is made. The first token is timed from
the moment at which the server has sent it to the event that shows it.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from app import House
from chat.events import DraftChanged, Text
from chat.service import ChatService
from configs.settings import Settings
from tests.fakes.openai_server import FakeOpenAI, Reply

OWNER = "local"
MESSAGES, STEPS, ROUNDS = 200, 36, 15
WORDS = "I would like it to be a little friendlier in the second part, and shorter in the first one, please."
FIRST = "Firstword"


def document(steps: int = STEPS) -> str:
    """A chain of steps; 300 lines with 36 of them."""
    fields = [f"    part_{n}: {{type: str, description: The result of step {n}}}" for n in range(steps)]
    nodes = []
    for n in range(steps):
        before = "topic" if n == 0 else f"part_{n - 1}"
        nodes += [
            f"  - id: step_{n}",
            f"    description: Step {n}",
            "    prompt: |",
            f"      Work on this: {{state.{before}}}",
            "      Be brief, and keep to the facts.",
            "      Answer with the result only.",
            f"    outputs: [part_{n}]",
        ]
    head = ['schema_version: "1.0"', "flow: {name: long_one, description: A long one}", "state:", "  fields:"]
    topic = "    topic: {type: str, required: true, description: The topic}"
    return "\n".join([*head, topic, *fields, "nodes:", *nodes, ""])


class Model:
    """What the server answers: talk, or one edit, each another one."""

    def __init__(self) -> None:
        self.edits = False
        self.pause = False
        self.calls = 0

    def __call__(self, body: dict[str, Any]) -> Reply:
        self.calls += 1
        if not self.edits or "tools" not in body:
            return Reply(text=f"{FIRST} and more.", pieces=(FIRST, " and", " more."), pause=self.pause)
        edit = {"op": "set", "at": "nodes.step_7.description", "text": f"Step 7, changed {self.calls} times"}
        return Reply(text="", tool_calls=(("edit_workflow", {"edits": [edit], "summary": "Said so"}),))


@asynccontextmanager
async def conversation(
    fake: FakeOpenAI, model: Model, folder: Path
) -> AsyncIterator[tuple[ChatService, str]]:
    """The application on an empty data folder, with the conversation in it."""
    settings = Settings(
        home=folder, model="openai/gpt-4o", api_base=fake.base_url, api_key="none", _env_file=None
    )
    house = House(settings)
    service = house.service
    await house.engine.recover()
    await service.recover()
    await house.assistant.warm()
    made = await service.create(OWNER)
    await service.save_yaml(OWNER, made.id, document(), "A long one")
    for number in range(MESSAGES // 2):
        await turn(service, made.id, f"{number}: {WORDS}")
    try:
        yield service, made.id
    finally:
        await house.close()


async def turn(service: ChatService, conversation_id: str, text: str) -> tuple[float, float | None, bool]:
    """Milliseconds of the whole turn; when its first words came (time.time()); whether it saved a draft."""
    began, first, saved = time.perf_counter(), None, False
    message = await service.post(OWNER, conversation_id, text)
    async for _, event in service.follow(OWNER, conversation_id, message_id=message):
        if isinstance(event, Text) and first is None:
            first = time.time()
        saved = saved or isinstance(event, DraftChanged)
    return (time.perf_counter() - began) * 1000, first, saved


async def bare(client: Any, body: dict[str, Any]) -> float:
    """Milliseconds of the same request without us."""
    began = time.perf_counter()
    async for _ in await client.chat.completions.create(**body):
        pass
    return (time.perf_counter() - began) * 1000


async def measure(
    fake: FakeOpenAI, model: Model, client: Any, service: ChatService, talk: str
) -> tuple[float, float]:
    """(ours, the peer's), medians in milliseconds, in turns."""
    mine, theirs = [], []
    for number in range(ROUNDS):
        whole, _, saved = await turn(service, talk, f"{number} again: {WORDS}")
        if saved != model.edits:
            raise SystemExit("the turn did not do what it was to do")
        mine.append(whole)
        theirs.append(await bare(client, fake.requests[-1]))
    return statistics.median(mine), statistics.median(theirs)


async def first_token(fake: FakeOpenAI, model: Model, service: ChatService, talk: str) -> float:
    """Milliseconds from its sending to the event that shows it; the reply waits meanwhile, so nothing hurries it."""
    found = []
    model.pause = True
    for number in range(ROUNDS):
        sent: list[float] = []

        def watch(sent: list[float] = sent) -> None:
            if fake.paused.wait(20):
                sent.append(time.time())
                time.sleep(0.3)
                fake.release()

        watcher = threading.Thread(target=watch)
        watcher.start()
        _, first, _ = await turn(service, talk, f"{number}: speak")
        await asyncio.to_thread(watcher.join)
        if first is None:
            raise SystemExit("nothing was said")
        found.append(max(0.0, first - sent[0]) * 1000)
    model.pause = False
    return statistics.median(found)


async def run(profile: bool = False) -> list[dict[str, Any]]:
    import openai

    model = Model()
    with FakeOpenAI(model) as fake, tempfile.TemporaryDirectory() as folder:
        client = openai.AsyncOpenAI(base_url=fake.base_url, api_key="none")
        async with conversation(fake, model, Path(folder)) as (service, talk):
            if profile:
                await profiled(model, service, talk)
            talked = await measure(fake, model, client, service, talk)
            model.edits = True
            edited = await measure(fake, model, client, service, talk)
            model.edits = False
            token = await first_token(fake, model, service, talk)
        await client.close()
    lines = len(document().splitlines())
    what = f"{MESSAGES} messages, {lines} lines"
    return [
        figure(f"a turn that talks, {what}", *talked),
        figure(f"a turn that changes a line, {what}", *edited),
        {
            "name": "first token shown after its arrival",
            "ours": round(token, 2),
            "peer": None,
            "ratio": None,
            "unit": "ms",
        },
    ]


def figure(name: str, mine: float, theirs: float) -> dict[str, Any]:
    """The whole turn, the server's quick answer included: what the assistant itself takes is less than that."""
    return {
        "name": name,
        "ours": round(mine, 1),
        "peer": round(theirs, 1),
        "ratio": round(mine / theirs, 2),
        "unit": "ms",
    }


async def profiled(model: Model, service: ChatService, talk: str) -> None:
    """Where the time goes, on stderr."""
    import cProfile
    import pstats

    for edits in (False, True):
        model.edits = edits
        profile = cProfile.Profile()
        profile.enable()
        for number in range(5):
            await turn(service, talk, f"{number} profiled: {WORDS}")
        profile.disable()
        pstats.Stats(profile, stream=sys.stderr).sort_stats("cumulative").print_stats(45)
    model.edits = False


if __name__ == "__main__":
    figures = asyncio.run(run("--profile" in sys.argv))
    if "--json" in sys.argv:
        print(json.dumps(figures))
    else:
        for f in figures:
            print(f"{f['name']}: {f['ours']} {f['unit']}, the call alone {f['peer']}, ratio {f['ratio']}")
