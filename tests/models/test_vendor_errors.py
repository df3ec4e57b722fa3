"""No error of a vendor's passes the border, and none of ours holds a key."""

from __future__ import annotations

import importlib
import inspect
import logging
from collections.abc import Iterator

import pytest

from engine.errors import ModelAuthError, ModelError, ModelUnavailable
from engine.models import complete
from engine.models.names import Target
from engine.models.redact import redact
from engine.models.vendor_errors import KINDS, VENDORS, kind_of, translate
from tests.fakes.openai_server import FakeOpenAI, Reply
from tests.models.conftest import Make, request

KEY = "sk-planted-7f3a9c0d1e2b4f5a6978"
TARGET = Target("openai/fake", "openai", "fake", "openai", "a test", None, KEY)


def exception_classes(module_name: str) -> Iterator[type[BaseException]]:
    module = importlib.import_module(module_name)
    for name, found in inspect.getmembers(module, inspect.isclass):
        if issubclass(found, BaseException) and found.__module__.partition(".")[0] in VENDORS:
            assert name
            yield found


@pytest.mark.slow
@pytest.mark.parametrize("module", ["openai", "openai._exceptions", "litellm.exceptions", "httpx"])
def test_every_exception_class_of_the_sdks_is_named(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITELLM_MODE", "PRODUCTION")
    found = list(exception_classes(module))
    assert len(found) > 10
    for cls in found:
        # Those of httpx are a tree with few leaves that matter; of the SDKs' each public one is named.
        by_ancestor = cls.__module__.startswith("httpx") or cls.__name__.startswith("_")
        known = kind_of(cls) is not None if by_ancestor else cls.__name__ in KINDS
        assert known, f"{cls.__module__}.{cls.__name__} is not translated"


@pytest.mark.slow
@pytest.mark.parametrize("module", ["openai", "openai._exceptions", "litellm.exceptions", "httpx"])
def test_every_one_of_them_becomes_ours_without_the_key(module: str) -> None:
    for cls in exception_classes(module):
        error = cls.__new__(cls)
        error.args = (f"something with {KEY} in it",)
        error.message = error.args[0]  # type: ignore[attr-defined]
        ours = translate(error, TARGET, [KEY]).error
        assert isinstance(ours, ModelError)
        assert KEY not in str(ours)
        assert ours.message.endswith((".", "!", "?"))
        assert ours.message[0].isupper()


def test_what_no_sdk_raises_is_still_translated() -> None:
    ours = translate(RuntimeError(f"boom {KEY}"), TARGET, [KEY]).error
    assert isinstance(ours, ModelError)
    assert KEY not in str(ours)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
async def test_a_key_that_the_server_sends_back_reaches_neither_error_nor_log(
    make: Make, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    echo = Reply(status=status, message=f"You sent {KEY} and Bearer {KEY}; sk-pl****5678 is wrong.")
    with FakeOpenAI(echo) as fake, pytest.raises(ModelError) as caught:
        await complete(make(fake, api_key=KEY), request(schema={"type": "string"}))
    assert fake.headers[0]["authorization"] == f"Bearer {KEY}"
    text = f"{caught.value} {caught.value!r} {caught.value.__cause__!r} {caplog.text}"
    assert KEY not in text
    assert "sk-pl****5678" not in text


async def test_the_log_of_a_call_has_no_key(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with FakeOpenAI([Reply(status=503, message=KEY), "fine"]) as fake:
        models = make(fake, api_key=KEY, keys={"openai": KEY, "groq": KEY})
        await complete(models, request())
        assert KEY not in repr(models._chooser.choice)
    assert "again in" in caplog.text
    assert KEY not in caplog.text


async def test_a_key_goes_to_no_address_that_stands_in_a_document(make: Make) -> None:
    with FakeOpenAI(Reply(status=401)) as fake:
        models = make(keys={"openai": KEY}, api_key=KEY, model="openai/x", api_base="http://127.0.0.1:9/v1")
        with pytest.raises(ModelAuthError) as caught:
            await complete(models, request(model="openai/gpt-4o", api_base=fake.base_url))
    assert KEY not in fake.headers[0]["authorization"]
    assert "PARLANCE_API_KEY" in str(caught.value)


async def test_a_call_without_a_key_says_which_to_set(make: Make) -> None:
    for model, variable in (("openai/gpt-5", "OPENAI_API_KEY"), ("google/gemini-2.5-pro", "GEMINI_API_KEY")):
        with pytest.raises(ModelAuthError, match=f"Set {variable}"):
            await complete(make(), request(model=model))


def test_redaction() -> None:
    assert redact("a secretvalue b", ["secretvalue"]) == "a [key] b"
    assert redact("key=AIzaSyA-123456789012345678901234567890123 end") == "key=[key] end"
    assert redact("Authorization: Bearer abc.def-ghi") == "Authorization: [key]"
    assert redact("short k stays", ["k"]) == "short k stays"
    assert redact("task-force and risk-free") == "task-force and risk-free"


@pytest.mark.parametrize(
    "said",
    [
        "[Errno -2] Name or service not known",
        "[Errno -3] Temporary failure in name resolution",
        "All connection attempts failed",
    ],
)
def test_no_network_is_not_the_vendors_error(said: str) -> None:
    """LiteLLM gives it as an InternalServerError, with the status of one."""
    error = type("InternalServerError", (Exception,), {"__module__": "litellm.exceptions"})(said)
    error.message = f"litellm.InternalServerError: MistralException - {said}"
    error.status_code = 500
    failure = translate(error, Target("mistral/m", "mistral", "m", "litellm", "a test", None, KEY))
    assert type(failure.error) is ModelUnavailable
    assert str(failure.error) == "There is no connection to mistral. Check the network."
    assert failure.again
