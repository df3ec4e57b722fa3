"""All models of the installation: what the engine, the assistant and the page are handed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from engine.errors import ModelMissing, ModelUnavailable
from engine.models import embedded, pricing
from engine.models.adapter import Adapter
from engine.models.choice import CUSTOM, Chooser, Chosen, CredentialStore, InMemory, ModelChoice
from engine.models.limits import Limits
from engine.models.names import (
    EMBEDDED,
    PROVIDERS,
    Target,
    default_model,
    known_provider,
    split,
    variable_of,
)
from engine.models.redact import redact
from engine.ports import Asked, Message, ModelClient, ModelInfo, ModelReply, ModelRequest, TextDelta

if TYPE_CHECKING:
    from engine.check.machine import Machine

_TEST_PROMPT = "Say hello in one short sentence, and tell which model you are."


class Models(ModelClient):
    """Every model that can be asked. `store` keeps what is set on the page; without one it is forgotten.

    Costs are US dollars by list price; None where no price is known; 0.0 for the embedded model and for
    Ollama's local models, which are known to be free. `backoff` is the first pause before a failed call is made
    again, in seconds. `limits` bounds the calls of each provider; without it none is bounded.
    """

    def __init__(
        self,
        choice: ModelChoice,
        store: CredentialStore | None = None,
        *,
        backoff: float = 0.5,
        cache_prompt: bool = True,
        limits: Limits | None = None,
    ) -> None:
        self._store = store or InMemory()
        self._chooser = Chooser(choice, self._store)
        self._embedded = embedded.Embedded(cache_prompt=cache_prompt)
        self._adapter = Adapter(self._chooser, self._embedded, backoff=backoff, limits=limits)

    def stream(self, request: ModelRequest) -> AsyncGenerator[TextDelta | ModelReply, None]:
        """The reply in pieces, then whole. Raises ModelError, never a vendor's error."""
        return self._adapter.stream(request)

    async def load(self, models: Collection[Asked]) -> None:
        """Import the code that asks these models; never raises."""
        await self._adapter.load(models)

    async def info(self, model: str | None = None) -> ModelInfo:
        """Which model answers a request that names `model`, or none. Raises ModelMissing."""
        return await self._described(await self._chooser.target(model))

    async def target(self, model: str | None = None, api_base: str | None = None) -> Target:
        """Where a request that names `model`, at this address, would go. Raises ModelMissing."""
        return await self._chooser.target(model, api_base)

    async def machine(self, named: Collection[str | None] = (None,)) -> Machine:
        """What the checker asks of this installation, for a document that names these models (None: no name).

        Ollama is asked only where that matters: when a model of its is named, or nothing else is there.
        """
        from engine.check.machine import Machine

        choice = self._chooser.choice
        forced = bool(choice.force_model)
        reachable = {provider for provider, key in self._chooser.keys().items() if key}
        if choice.model and choice.api_base:
            reachable.add(choice.model.partition("/")[0])
        return Machine(
            await self._usual() if forced or None in named else None,
            frozenset(reachable),
            None if forced else await self._fetched(named),
            forced=forced,
            targets=await self._targets(named),
        )

    async def _targets(self, named: Collection[str | None]) -> dict[str | None, Target]:
        """Where these names lead; with a forced model all of them, and its own, to that one."""
        force = self._chooser.choice.force_model
        found: dict[str | None, Target] = {}
        for name in {force, *named} if force else set(named):
            with suppress(ModelMissing):
                found[name] = await self._chooser.target(name)
        return found

    async def _usual(self) -> ModelInfo | None:
        """The model that answers where none is named, by name only; None where there is none."""
        try:
            target = await self._chooser.target()
        except ModelMissing:
            return None
        if target.wire == "embedded" and not embedded.installed():
            return None
        return ModelInfo(target.name, target.source, demo=target.wire == "embedded")

    async def _fetched(self, named: Collection[str | None]) -> frozenset[str] | None:
        """The models that Ollama has, when one of them is named and it answers; else None."""
        if not any(name and name.startswith("ollama/") for name in named):
            return None
        found = {f"ollama/{model}" for model in await self._chooser.ollama.models()}
        served = self._chooser.choice.model if self._chooser.choice.api_base else None
        return frozenset(found | ({served} if served else set())) if found else None

    async def available(self) -> list[ModelInfo]:
        """What could be picked: the present choice, one per provider with a key, Ollama's, the embedded."""
        keys, choice = self._chooser.keys(), self._chooser.choice
        named = [(default_model(p), self._chooser.key_source(p)) for p in PROVIDERS if keys.get(p)]
        named += [(f"ollama/{model}", "Ollama has it") for model in await self._chooser.ollama.models()]
        if choice.model:
            named.insert(0, (choice.model, "PARLANCE_MODEL"))
        if embedded.installed():
            named.append((EMBEDDED, "comes with the installation"))
        present = await self._chooser.target()
        found = {present.name: await self._described(present)}
        for name, source in named:
            if name not in found:
                found[name] = await self._described(replace(self._chooser.named(name), source=source))
        return list(found.values())

    def chosen(self) -> Chosen | None:
        """What was picked on the page, None when the installation decides."""
        return self._store.chosen()

    def choose(self, model: str | None, api_base: str | None = None, api_key: str | None = None) -> None:
        """Pick a model from now on, also after a restart; None leaves it to the installation again.

        `api_base` is an address of one's own that speaks the OpenAI protocol. Raises ModelMissing for a name
        that can't be, ValueError for an address that can't.
        """
        if model is None:
            self._store.choose(None)
            return
        if api_base is not None and not api_base.startswith(("http://", "https://")):
            raise ValueError("Write a whole address, for example http://127.0.0.1:8000/v1.")
        if api_base is None:
            split(model)
        else:
            self._store.set_key(CUSTOM, api_key)
        self._store.choose(Chosen(model, api_base))

    def set_key(self, provider: str, key: str | None) -> None:
        """Keep a provider's key, or forget it with None. Raises ModelMissing for an unknown provider."""
        provider = "google" if provider == "gemini" else provider
        if provider != CUSTOM and not known_provider(provider):
            raise ModelMissing(
                f"There is no provider {provider!r}.", f"Known are {', '.join(PROVIDERS)} and LiteLLM's."
            )
        cleaned = (key or "").strip() or None
        if cleaned is not None and not cleaned.isprintable():
            raise ValueError("The key has characters that no key has; copy it again.")
        self._store.set_key(provider, cleaned)

    def has_key(self, provider: str) -> bool:
        return bool(self._chooser.keys().get(provider))

    def key_source(self, provider: str) -> str | None:
        """Where a provider's key comes from, in words; None where there is none."""
        return self._chooser.key_source(provider) if self.has_key(provider) else None

    def keeps_key(self, provider: str) -> bool:
        """Whether the key was set on the page, so that it can be forgotten there."""
        return bool(self._store.keys().get(provider))

    async def test(self, model: str | None = None) -> ModelReply:
        """Ask a model for a short hello, within 60 seconds. Raises ModelError with the fix."""
        request = ModelRequest((Message("user", _TEST_PROMPT),), model=model, max_tokens=1000, timeout=60.0)
        return await complete(self, request)

    @property
    def status(self) -> dict[str, Any]:
        """The embedded model: {"state": idle|loading|ready|failed, "fraction": 0 to 1 or None, "detail"}."""
        return self._embedded.status.to_dict()

    async def warm(self) -> AsyncIterator[dict[str, Any]]:
        """Load the embedded model if it is the one that answers.

        Yields `status` at each change until it is ready or failed. Closing early does not stop the loading.
        """
        target = await self._chooser.target()
        if target.wire != "embedded":
            return
        self._embedded.start()
        async for status in self._embedded.watch():
            yield status.to_dict()

    async def limits(self) -> list[dict[str, Any]]:
        """The providers that are limited, see `Limits.state`."""
        return await self._adapter.limits.state()

    def redact(self, text: str) -> str:
        """`text` without any key that is known here."""
        return redact(text, self._chooser.secrets())

    async def close(self) -> None:
        """Close connections and end the embedded model's process."""
        await self._adapter.close()

    async def _described(self, target: Target) -> ModelInfo:
        return ModelInfo(
            name=target.name,
            source=target.source,
            demo=target.wire == "embedded",
            function_calling=await self._calls_functions(target),
            note=self._note(target),
            sees_images=await self._sees_images(target),
        )

    async def _calls_functions(self, target: Target) -> bool:
        """Whether it is known that the model can call functions."""
        if target.wire == "embedded":
            return False
        if target.provider == "ollama" and "tools" in await self._chooser.ollama.abilities(target.model):
            return True
        return bool((pricing.entry(target.provider, target.model) or {}).get("supports_function_calling"))

    async def _sees_images(self, target: Target) -> bool | None:
        """Whether the model can be sent images; None where nobody says."""
        if target.wire == "embedded":
            return False
        if target.provider == "ollama":
            return "vision" in await self._chooser.ollama.abilities(target.model)
        known = pricing.entry(target.provider, target.model)
        return None if known is None else bool(known.get("supports_vision"))

    def _note(self, target: Target) -> str | None:
        if target.wire == "embedded":
            return embedded.NOTE
        if target.key is None and target.address is None and target.provider in PROVIDERS:
            return (
                f"There is no key: set {variable_of(target.provider)}, or paste one in the page's settings."
            )
        return None


async def complete(models: ModelClient, request: ModelRequest) -> ModelReply:
    """Ask and wait for the whole reply. Raises ModelError."""
    reply: ModelReply | None = None
    async for piece in models.stream(request):
        if isinstance(piece, ModelReply):
            reply = piece
    if reply is None:
        raise ModelUnavailable("The model gave no reply.", "Try again.")
    return reply
