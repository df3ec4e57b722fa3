"""Keys and the chosen model: in one private file, whole or not at all, and nowhere else."""

from __future__ import annotations

import json
import logging
import os
import stat
from pathlib import Path

import pytest

from engine.errors import ModelError, StoreError
from engine.models import Chosen, ModelChoice, Models, complete
from engine.ports import Message, ModelRequest
from sessions.credentials import Credentials
from tests.fakes.openai_server import FakeOpenAI, Reply

KEY = "sk-planted-0a1b2c3d4e5f60718293"


def test_what_is_set_is_there_after_a_restart(tmp_path: Path) -> None:
    home = tmp_path / "not" / "made yet"
    store = Credentials(home)
    assert (store.keys(), store.chosen()) == ({}, None)
    store.set_key("openai", KEY)
    store.set_key("groq", "other")
    store.choose(Chosen("openai/mine", "http://127.0.0.1:1/v1"))
    again = Credentials(home)
    assert again.keys() == {"openai": KEY, "groq": "other"}
    assert again.chosen() == Chosen("openai/mine", "http://127.0.0.1:1/v1")
    again.set_key("groq", None)
    again.choose(Chosen("ollama/qwen3"))
    assert (again.keys(), again.chosen()) == ({"openai": KEY}, Chosen("ollama/qwen3"))
    again.choose(None)
    assert json.loads((home / "credentials.json").read_text()) == {"keys": {"openai": KEY}}


def test_only_the_owner_can_read_the_file(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = Credentials(tmp_path)
        for key in (KEY, "second"):
            store.set_key("openai", key)
            assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    finally:
        os.umask(before)
    assert [entry.name for entry in tmp_path.iterdir()] == ["credentials.json"], "no temporary file is left"


def test_another_process_s_change_is_seen(tmp_path: Path) -> None:
    server, command_line = Credentials(tmp_path), Credentials(tmp_path)
    assert server.keys() == {}
    command_line.set_key("openai", KEY)
    assert server.keys() == {"openai": KEY}
    server.set_key("anthropic", "a-key")
    assert command_line.keys() == {"openai": KEY, "anthropic": "a-key"}
    server.path.unlink()
    assert command_line.keys() == {}


def test_a_failing_write_leaves_the_old_file(tmp_path: Path) -> None:
    store = Credentials(tmp_path)
    store.set_key("openai", KEY)
    blocked = Credentials(tmp_path / "credentials.json" / "below")
    with pytest.raises(StoreError, match="can't be") as caught:
        blocked.set_key("openai", "x")
    assert caught.value.fix
    assert Credentials(tmp_path).keys() == {"openai": KEY}


@pytest.mark.parametrize("content", ["{", "[]", '{"keys": {"openai": 3}}', "\udcff"])
def test_a_broken_file_is_named_without_its_content(tmp_path: Path, content: str) -> None:
    (tmp_path / "credentials.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(StoreError, match=r"credentials\.json can't be read") as caught:
        Credentials(tmp_path).keys()
    assert caught.value.fix == "Mend or delete the file."


def test_redact_takes_every_kept_key_out(tmp_path: Path) -> None:
    store = Credentials(tmp_path)
    store.set_key("openai", "plainword9")
    assert store.redact("it said plainword9, and Bearer abcdefgh") == "it said [key], and [key]"


async def test_a_planted_key_is_used_and_shows_up_nowhere_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Pasted, kept, sent to the server as it should be, echoed by it: and then looked for everywhere."""
    caplog.set_level(logging.DEBUG)
    home = tmp_path / "home"
    echo = Reply(status=401, message=f"Incorrect API key provided: {KEY}")
    with FakeOpenAI([echo, Reply(status=500, message=KEY), "fine"]) as fake:
        models = Models(ModelChoice(home=home), Credentials(home), backoff=0.01)
        models.choose("openai/mine", api_base=fake.base_url, api_key=KEY)
        models.set_key("anthropic", KEY + "b")
        with pytest.raises(ModelError) as caught:
            await complete(models, ModelRequest((Message("user", "Hi"),)))
        reply = await complete(models, ModelRequest((Message("user", "Hi"),)))
        info = await models.info()
        shown = [caught.value, reply, info, await models.available(), models._chooser.choice]
        await models.close()
    assert fake.headers[0]["authorization"] == f"Bearer {KEY}"
    out, err = capfd.readouterr()
    everything = " ".join([str(x) + repr(x) for x in shown] + [caplog.text, out, err])
    assert KEY not in everything
    holding = [
        path.name for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()
    ]
    assert holding == ["credentials.json"]
