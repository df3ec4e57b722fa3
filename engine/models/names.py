"""Names of models: LiteLLM's `provider/model`, who the providers are, and where a name leads.

A Target is a name that has been looked up: which wire, which address, which key.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from engine.errors import ModelMissing
from engine.models import pricing

Wire = Literal["openai", "litellm", "embedded"]

EMBEDDED = "embedded/smollm2-135m-instruct"
OPENAI_BASE = "https://api.openai.com/v1"
OLLAMA_ADDRESS = "http://127.0.0.1:11434"

# Prefixes that only say "speaks the OpenAI protocol".
_PROTOCOL_PREFIXES = frozenset(
    {
        "openai",
        "ollama",
        "ollama_chat",
        "custom_openai",
        "openai_like",
        "hosted_vllm",
        "vllm",
        "lm_studio",
        "llamafile",
    }
)
_SAME = {"gemini": "google", "ollama_chat": "ollama"}


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider that the page offers. `default` is taken when its key is set, `litellm` its name there."""

    name: str
    title: str
    variable: str
    default: str
    litellm: str


# In the order in which a key is looked for.
PROVIDERS: dict[str, Provider] = {
    p.name: p
    for p in (
        Provider("openai", "OpenAI", "OPENAI_API_KEY", "gpt-5.4-mini", "openai"),
        Provider("anthropic", "Anthropic", "ANTHROPIC_API_KEY", "claude-sonnet-5", "anthropic"),
        Provider("google", "Google Gemini", "GEMINI_API_KEY", "gemini-flash-latest", "gemini"),
    )
}


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes. `name` is what people see, `model` what the server is told.

    `address` is the server's base (None: the provider's own), `source` says why it was chosen.
    """

    name: str
    provider: str
    model: str
    wire: Wire
    source: str
    address: str | None = None
    key: str | None = field(default=None, repr=False)

    @property
    def free(self) -> bool:
        """Known to cost nothing: it runs on a machine of one's own."""
        return self.provider in ("embedded", "ollama") and not self.model.endswith("cloud")

    @property
    def title(self) -> str:
        """The provider's name, or the address that was called, for the middle of a sentence."""
        if self.provider == "embedded":
            return "the embedded model"
        if self.address and self.provider != "ollama":
            return f"the model server at {host_of(self.address)}"
        return title_of(self.provider)

    @property
    def loopback(self) -> bool:
        return bool(self.address) and urlsplit(self.address).hostname in ("127.0.0.1", "localhost", "::1")


def host_of(address: str) -> str:
    """Host and port, for messages: an address may carry a password."""
    parts = urlsplit(address)
    return f"{parts.hostname or address}:{parts.port}" if parts.port else parts.hostname or address


def title_of(provider: str) -> str:
    if provider == "ollama":
        return "Ollama"
    return PROVIDERS[provider].title if provider in PROVIDERS else provider


def variable_of(provider: str) -> str:
    """The environment variable that holds the provider's key."""
    if provider in PROVIDERS:
        return PROVIDERS[provider].variable
    return f"{provider.upper()}_API_KEY"


def default_model(provider: str) -> str:
    return f"{provider}/{PROVIDERS[provider].default}"


def split(name: str) -> tuple[str, str]:
    """`provider/model` in two, the provider under our name. Raises ModelMissing for what can't be read.

    A name without a provider is looked up in the price table: `gpt-4o` is OpenAI's.
    """
    provider, slash, model = name.strip().partition("/")
    if not slash:
        found = pricing.provider_of(name.strip())
        if found is None:
            raise ModelMissing(
                f"The model {name!r} is not known.",
                "Write it as provider/model, for example openai/gpt-5-mini.",
            )
        return _SAME.get(found, found), name.strip()
    provider = provider.lower()
    provider = _SAME.get(provider, provider)
    if not model:
        raise ModelMissing(
            f"The name {name!r} has no model.", "Write it as provider/model, for example openai/gpt-5-mini."
        )
    if provider == "embedded" and name != EMBEDDED:
        raise ModelMissing(f"There is no embedded model {model!r}.", f"The one there is: {EMBEDDED}.")
    if not known_provider(provider):
        near = difflib.get_close_matches(
            provider, [*PROVIDERS, "ollama", "embedded", *pricing.providers()], n=1
        )
        raise ModelMissing(
            f"There is no provider {provider!r}.",
            f"Did you mean {near[0]}/{model}?"
            if near
            else "Write it as provider/model, for example openai/gpt-5-mini.",
        )
    return provider, model


def known_provider(provider: str) -> bool:
    ours = provider in PROVIDERS or provider in ("ollama", "embedded") or provider in _PROTOCOL_PREFIXES
    return ours or provider in pricing.providers()


def served_name(name: str) -> str:
    """What a server at an address of one's own calls the model: the name without the provider.

    `openai/qwen3` is `qwen3` there; `meta-llama/Llama-3` stays, since no provider has that name.
    """
    provider, slash, model = name.partition("/")
    return model if slash and model and known_provider(provider.lower()) else name


def litellm_name(target: Target) -> str:
    provider = PROVIDERS[target.provider].litellm if target.provider in PROVIDERS else target.provider
    return f"{provider}/{target.model}"
