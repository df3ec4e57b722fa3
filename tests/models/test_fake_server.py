"""The fake server itself, as other tests and the command line use it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes.fitting import fitting
from tests.fakes.openai_server import FakeOpenAI, Reply
from tests.models.conftest import PERSON

ROOT = Path(__file__).resolve().parents[2]


def post(base: str, **body: Any) -> httpx.Response:
    whole = {"model": "fake", "messages": [{"role": "user", "content": "Hi"}], **body}
    return httpx.post(f"{base}/chat/completions", json=whole, trust_env=False)


def asked(schema: dict[str, Any], strict: bool) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": strict}}


def test_by_itself_it_fits_any_schema_and_refuses_what_the_vendor_refuses() -> None:
    bounded = {**PERSON, "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}}
    with FakeOpenAI() as fake:
        value = json.loads(
            post(fake.base_url, response_format=asked(bounded, True)).json()["choices"][0]["message"][
                "content"
            ]
        )
        assert value == fitting(bounded) == {"name": "the name", "age": 1}
        refused = post(fake.base_url, response_format=asked(PERSON, True))
        assert (refused.status_code, "'maxLength' is not permitted" in refused.text) == (400, True)
        assert post(fake.base_url, response_format=asked(PERSON, False)).status_code == 200
        assert post(fake.base_url, response_format={"type": "json_object"}).status_code == 400
        assert post(fake.base_url, messages=[]).status_code == 400
        assert "About: Hi" in post(fake.base_url).text
    assert len(fake.requests) == 6


def test_a_list_is_used_up_and_conditions_stay() -> None:
    with FakeOpenAI([Reply(text="always", when="magic"), "first", "second"]) as fake:
        magic = [{"role": "user", "content": "the magic word"}]
        answers = [
            post(fake.base_url, **more).json()
            for more in ({}, {"messages": magic}, {}, {"messages": magic}, {})
        ]
    said = [a["choices"][0]["message"]["content"] if "choices" in a else a["error"]["code"] for a in answers]
    assert said == ["first", "always", "second", "always", "script_exhausted"]


def test_many_at_once() -> None:
    with FakeOpenAI(lambda body: Reply(text=body["user"], delay=0.1)) as fake:
        said: dict[int, str] = {}

        def ask(number: int) -> None:
            said[number] = post(fake.base_url, user=str(number)).json()["choices"][0]["message"]["content"]

        threads = [threading.Thread(target=ask, args=(n,)) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
    assert said == {n: str(n) for n in range(20)}


@contextmanager
def from_the_shell(*arguments: str) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.fakes.openai_server", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            yield line.removeprefix("listening on ").strip()
        finally:
            process.terminate()


def test_from_the_shell(tmp_path: Path) -> None:
    script = tmp_path / "script.yaml"
    script.write_text(
        "- Hello\n- value: {name: Ada, age: 36}\n- tool_calls: [{name: f, arguments: {x: 1}}]\n"
        "- status: 503\n- {pause: true, text: ab}\n"
    )
    with from_the_shell("--script", str(script), "--ollama", "qwen3") as base:
        assert post(base).json()["choices"][0]["message"]["content"] == "Hello"
        assert '"Ada"' in post(base).text.replace("\\", "")
        assert post(base).json()["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "f"
        assert post(base).status_code == 503
        root = base.removesuffix("/v1")
        assert httpx.get(f"{root}/api/tags", trust_env=False).json()["models"][0]["name"] == "qwen3"
        body = {"model": "fake", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
        with httpx.stream("POST", f"{base}/chat/completions", json=body, trust_env=False) as stream:
            lines = stream.iter_lines()
            seen = [next(lines) for _ in range(3)]
            assert '"content": "a"' in seen[-1]
            httpx.post(f"{root}/release", json={}, trust_env=False)
            assert any('"content": "b"' in line for line in lines)
        assert len(httpx.get(f"{root}/requests", trust_env=False).json()) == 5


def test_a_script_with_a_misspelt_key_is_refused(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text('[{"txet": "x"}]')
    command = [sys.executable, "-m", "tests.fakes.openai_server", "--script", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=ROOT)
    assert done.returncode == 1
    assert "has no txet" in done.stderr


@pytest.mark.parametrize(
    "schema",
    [
        {
            "type": "object",
            "properties": {"a": {"type": "array", "items": {"type": "string"}, "minItems": 3}},
        },
        {
            "anyOf": [
                {"type": "object", "properties": {"tool": {"const": "x"}}, "required": ["tool"]},
                {"type": "null"},
            ]
        },
        {"$ref": "#/$defs/n", "$defs": {"n": {"type": "integer", "minimum": 5}}},
        {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
    ],
)
def test_fitting_values_fit(schema: dict[str, Any]) -> None:
    from jsonschema import Draft202012Validator

    assert Draft202012Validator(schema).is_valid(fitting(schema))
