"""Which model answers: what is set, what was chosen on the page, what is there on this machine.

In this order: the forced model; the one chosen on the page; PARLANCE_MODEL; the first provider with a
key; an Ollama that answers; the embedded model. PARLANCE_API_BASE and its key go with PARLANCE_MODEL and
the forced model only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from engine.errors import ModelMissing
from engine.models import ollama
from engine.models.names import (
    EMBEDDED,
    OLLAMA_ADDRESS,
    OPENAI_BASE,
    PROVIDERS,
    Target,
    default_model,
    host_of,
    served_name,
    split,
    variable_of,
)

CUSTOM = "custom"
"""Under this name the key of an address that was given on the page is kept."""

Keys = Mapping[str, str] | Callable[[], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """What the installation says. `keys` maps a provider (openai, anthropic, google …) to its key.

    `home` is the data folder. `ollama` is where Ollama is looked for. `forced_by` names what forces.
    """

    model: str | None = None
    force_model: str | None = None
    api_base: str | None = None
    api_key: str | None = field(default=None, repr=False)
    keys: Keys = field(default_factory=dict, repr=False)
    home: Path | None = None
    ollama: str = OLLAMA_ADDRESS
    forced_by: str = "PARLANCE_FORCE_MODEL or --model"


@dataclass(frozen=True, slots=True)
class Chosen:
    """The model picked on the page, with the address that serves it when it is one of the person's own."""

    model: str
    api_base: str | None = None


class CredentialStore(Protocol):
    """Where keys and the choice from the page are kept; `sessions.credentials` implements it."""

    def keys(self) -> Mapping[str, str]: ...

    def set_key(self, provider: str, key: str | None) -> None: ...

    def chosen(self) -> Chosen | None: ...

    def choose(self, chosen: Chosen | None) -> None: ...


class InMemory:
    """A CredentialStore that forgets: for programs and tests that keep nothing."""

    def __init__(self) -> None:
        self._keys: dict[str, str] = {}
        self._chosen: Chosen | None = None

    def keys(self) -> Mapping[str, str]:
        return dict(self._keys)

    def set_key(self, provider: str, key: str | None) -> None:
        if key is None:
            self._keys.pop(provider, None)
        else:
            self._keys[provider] = key

    def chosen(self) -> Chosen | None:
        return self._chosen

    def choose(self, chosen: Chosen | None) -> None:
        self._chosen = chosen


class Chooser:
    """Turns a name, or none, into a Target."""

    def __init__(self, choice: ModelChoice, store: CredentialStore) -> None:
        self.choice = choice
        self.store = store
        self.ollama = ollama.Ollama(choice.ollama)

    def keys(self) -> dict[str, str]:
        """Provider to key; one pasted on the page goes before one of the environment."""
        given = self.choice.keys() if callable(self.choice.keys) else self.choice.keys
        return {**given, **self.store.keys()}

    def secrets(self) -> list[str]:
        """Every key there is, for taking them out of texts."""
        return [*self.keys().values(), *([self.choice.api_key] if self.choice.api_key else [])]

    async def target(self, model: str | None = None, api_base: str | None = None) -> Target:
        """Where a request that names `model` goes. Raises ModelMissing when the name leads nowhere."""
        if self.choice.force_model:
            return self._configured(self.choice.force_model, self.choice.forced_by)
        if model is None:
            return await self.default()
        return self.named(model, api_base)

    async def default(self) -> Target:
        """The installation's choice, without the forced model. Always finds one: the last is embedded."""
        chosen = self.store.chosen()
        if chosen is not None:
            return self._picked(chosen)
        if self.choice.model:
            return self._configured(self.choice.model, "PARLANCE_MODEL")
        keys = self.keys()
        for provider in PROVIDERS:
            if keys.get(provider):
                return self._named(default_model(provider), self.key_source(provider))
        newest = await self.ollama.newest()
        if newest is not None:
            return self._named(f"ollama/{newest}", f"Ollama answers on {host_of(self.choice.ollama)}")
        return self._named(EMBEDDED, "no key is set and no Ollama answers")

    def key_source(self, provider: str) -> str:
        """Why a provider can be used, in words."""
        if self.store.keys().get(provider):
            return "its key was set on the page"
        return f"{variable_of(provider)} is set"

    def named(self, model: str, api_base: str | None = None) -> Target:
        """A model named by a document, on the page or on the command line.

        A provider's key is sent to the provider alone. To an address that stands in a document no key
        goes, unless it is PARLANCE_API_BASE: a document from elsewhere could otherwise collect keys.
        """
        if api_base is not None and not _same_address(api_base, self.choice.api_base):
            return self._at(model, api_base, None, "named in the workflow")
        if self.choice.api_base and (
            api_base is not None or model in (self.choice.model, self.choice.force_model)
        ):
            return self._at(model, self.choice.api_base, self.choice.api_key, "named in the workflow")
        return self._named(model, "named in the workflow")

    def _picked(self, chosen: Chosen) -> Target:
        source = "chosen on the page"
        if chosen.api_base:
            return self._at(chosen.model, chosen.api_base, self.keys().get(CUSTOM), source)
        if chosen.model == self.choice.model:
            return self._configured(chosen.model, source)
        return self._named(chosen.model, source)

    def _configured(self, model: str, source: str) -> Target:
        if self.choice.api_base:
            return self._at(model, self.choice.api_base, self.choice.api_key, source)
        return self._named(model, source)

    def _named(self, name: str, source: str) -> Target:
        provider, model = split(name)
        full = f"{provider}/{model}"
        if provider == "embedded":
            return Target(full, provider, model, "embedded", source)
        if provider == "ollama":
            return Target(full, provider, model, "openai", source, _versioned(self.choice.ollama))
        key = self.keys().get(provider)
        if provider == "openai":
            return Target(full, provider, model, "openai", source, None, key)
        return Target(full, provider, model, "litellm", source, None, key)

    def _at(self, name: str, address: str, key: str | None, source: str) -> Target:
        """A model at an address of one's own; PARLANCE_API_BASE always speaks the OpenAI protocol."""
        provider = name.partition("/")[0].lower() if "/" in name else "openai"
        configured = _same_address(address, self.choice.api_base) or source == "chosen on the page"
        if provider == "ollama":
            address = _versioned(address)
        if configured or provider in ("openai", "ollama"):
            known = provider if provider in ("openai", "ollama") else "openai"
            return Target(name, known, served_name(name), "openai", source, address.rstrip("/"), key)
        provider, model = split(name)
        if provider == "embedded":
            raise ModelMissing("The embedded model has no address.", "Leave api_base out.")
        return Target(f"{provider}/{model}", provider, model, "litellm", source, address, key)


def base_of(target: Target) -> str:
    return target.address or OPENAI_BASE


def _same_address(one: str, other: str | None) -> bool:
    return other is not None and one.rstrip("/") == other.rstrip("/")


def _versioned(address: str) -> str:
    """Ollama's own API is at the root, the OpenAI protocol under /v1."""
    address = address.rstrip("/")
    return address if address.endswith("/v1") else f"{address}/v1"
