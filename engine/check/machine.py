"""What depends on the machine: which models its llm nodes can reach. Warnings in a check, errors when a run
starts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from engine.check.draft import Draft
from engine.check.names import listed
from engine.check.patches import replace_name
from engine.check.reading import NodeView, mapping
from engine.check.rules import Found, Path, problems_of, rule
from engine.ports import ModelInfo
from engine.problems import Problem

if TYPE_CHECKING:
    from engine.document import Document
    from engine.models.names import Target
    from tools.registry import ToolRegistry


@dataclass(frozen=True, slots=True)
class Machine:
    """What this installation can do. None stands for "not known", and nothing is said of it.

    `model` answers where the document names none; it is None, too, for a document that always names one.
    `providers` are those whose key is set. `known_models` are names `provider/model`; of a provider that occurs
    in it, the list is complete. `targets` says where the names of the document lead (None: where it names none).
    `forced` says that every call goes to `model`, whatever the document names. `no_code` is why code can't run here.
    """

    model: ModelInfo | None
    providers: frozenset[str] | None = None
    known_models: frozenset[str] | None = None
    forced: bool = False
    targets: Mapping[str | None, Target] = field(default_factory=dict)
    no_code: str | None = None


@dataclass(frozen=True, slots=True)
class _Named:
    """A model that the document names: LiteLLM's name, and where it stands."""

    name: str
    path: Path
    provider_path: Path | None
    local: bool


def _named(draft: Draft) -> Iterator[_Named]:
    """The models of llm nodes, each place once; what a node leaves out is taken from `config.llm`."""
    base = mapping(mapping(draft.data.get("config")).get("llm"))
    seen: set[tuple[Path, str]] = set()
    for node in draft.nodes:
        chosen = _chosen(base, mapping(node.data.get("llm")), node) if node.kind == "llm" else None
        if chosen and (chosen.path, chosen.name) not in seen:
            seen.add((chosen.path, chosen.name))
            yield chosen


def _chosen(base: Mapping[str, Any], own: Mapping[str, Any], node: NodeView) -> _Named | None:
    """The model of a node, None where it names none. A provider alone stands for its usual model.

    Another provider than the default one leaves the default model and address behind.
    """
    from engine.models import names

    if own.get("provider") not in (None, base.get("provider")):
        base = {}
    given: dict[str, tuple[Any, Path]] = {
        k: (v, ("config", "llm", k)) for k, v in base.items() if v is not None
    }
    given |= {k: (v, (*node.path, "llm", k)) for k, v in own.items() if v is not None}
    model, path = given.get("model", (None, ()))
    provider, provider_path = given.get("provider", (None, None))
    local = "api_base" in given
    if isinstance(model, str):
        whole = not isinstance(provider, str) or model.startswith(f"{provider}/")
        return _Named(model if whole else f"{provider}/{model}", path, provider_path, local)
    if not isinstance(provider, str) or provider_path is None:
        return None
    usual = names.default_model(provider) if provider in names.PROVIDERS else f"{provider}/"
    return _Named(usual, provider_path, provider_path, local)


@rule("unknown-provider", "warning")
def unknown_provider(draft: Draft) -> Iterator[Found]:
    """The provider of a model is not one that can be reached from here. A run will not start with it.

    Correct the name: `openai`, `anthropic`, `google`, `ollama`, or another one that LiteLLM knows.
    """
    from engine.models import names, pricing

    for named in _named(draft):
        provider = named.name.partition("/")[0]
        if named.local or "/" not in named.name or names.known_provider(provider.lower()):
            continue
        usual = [*names.PROVIDERS, "ollama"]
        mend = draft.names.certain(provider, usual)
        near = mend or draft.names.near(provider, pricing.providers())
        hint = f"Did you mean '{near}'?" if near else f"Usual ones are {', '.join(usual)}."
        patch = (
            replace_name(draft.document, named.provider_path, mend) if mend and named.provider_path else None
        )
        yield Found(named.provider_path or named.path, f"There is no provider '{provider}'. {hint}", patch)


@rule("unknown-model", "warning")
def unknown_model(draft: Draft) -> Iterator[Found]:
    """A model is named that this machine does not have. A run will not start with it.

    Correct the name, fetch the model (`ollama pull NAME`), or leave the name out: then the installation's
    model answers.
    """
    from engine.models import pricing

    known = draft.machine.known_models if draft.machine and not draft.machine.forced else None
    for named in _named(draft):
        provider, slash, model = named.name.partition("/")
        if slash and not model:
            yield Found(named.path, f"The provider {provider} needs a model. Set model beside it.")
            continue
        if not slash and not named.local and pricing.provider_of(provider) is None:
            fix = "Write it as provider/model, as in openai/gpt-5.4-mini."
            yield Found(named.path, f"The model {provider} is not known. {fix}")
            continue
        same = [m for m in known or () if m.partition("/")[0] == provider]
        if not same or named.local or _tagged(named.name) in map(_tagged, same):
            continue
        near = draft.names.certain(named.name, same) or draft.names.near(named.name, same)
        hint = f"Did you mean {near}?" if near else f"There is: {listed(sorted(same))}."
        yield Found(named.path, f"The model {named.name} is not on this machine. {hint}")


def _tagged(name: str) -> str:
    """A model's name as Ollama completes it: without a tag it is the latest."""
    return name if ":" in name else f"{name}:latest"


@rule("unlisted-model", "warning")
def unlisted_model(draft: Draft) -> Iterator[Found]:
    """A model of a large provider is not in the price list that comes with this installation. Either its
    name is wrong, or it is newer than the list; then it works, but what it costs is not known.

    Compare the name with the provider's page.
    """
    from engine.models import names, pricing

    for named in _named(draft):
        provider, _, model = named.name.partition("/")
        if named.local or not model or provider not in names.PROVIDERS or pricing.entry(provider, model):
            continue
        message = (
            f"The model {named.name} is not in the price list: its name may be wrong, or its cost unknown."
        )
        yield Found(named.path, f"{message} Compare it with the provider's page.")


@rule("no-key", "warning")
def no_key(draft: Draft) -> Iterator[Found]:
    """A model's provider needs a key, and none is set on this machine. A run will not start with it.

    Set the key in the environment or on the page, or leave the model's name out: then the installation's
    model answers.
    """
    machine = draft.machine
    if machine is None or machine.providers is None or machine.forced:
        return
    from engine.models import names

    for named in _named(draft):
        provider = named.name.partition("/")[0]
        own = names.PROVIDERS.get("google" if provider == "gemini" else provider)
        # How one signs in to other providers (a cloud's credentials, say) is LiteLLM's business.
        if own and "/" in named.name and not named.local and own.name not in machine.providers:
            fix = f"Set {names.variable_of(provider)}, or leave the model out to use the installation's."
            yield Found(named.path, f"No key for {names.title_of(provider)} is set on this machine. {fix}")


@rule("no-model", "warning")
def no_model(draft: Draft) -> Iterator[Found]:
    """A node asks a model, but the document names none and this machine has none that could answer. A run
    will not start.

    Set PARLANCE_MODEL, or the key of a provider.
    """
    if draft.machine is None or draft.machine.model is not None:
        return
    base = mapping(mapping(draft.data.get("config")).get("llm"))
    for node in draft.nodes:
        if node.kind == "llm" and _chosen(base, mapping(node.data.get("llm")), node) is None:
            message = f"There is no model to answer the prompt of {node.label}. "
            yield Found((*node.path, "prompt"), f"{message}Set PARLANCE_MODEL, or the key of a provider.")
            return


@rule("no-sandbox", "warning")
def no_sandbox(draft: Draft) -> Iterator[Found]:
    """A node runs code, and the sandbox for it can't start on this machine. A run will not start.

    Do what the message says, or let another node do the work.
    """
    reason = draft.machine.no_code if draft.machine else None
    for node in draft.nodes:
        if reason and node.kind == "code":
            yield Found((*node.path, "code"), f"The code of {node.label} can't run here. {reason}")
            return


RULES = (unknown_provider, unknown_model, unlisted_model, no_key, no_model, no_sandbox)


def asked_for(document: Document, tools: ToolRegistry) -> frozenset[str | None]:
    """The models that llm nodes name, and None where one names none; empty for a document without such nodes."""
    draft = Draft(document, tools)
    base = mapping(mapping(draft.data.get("config")).get("llm"))
    chosen = [_chosen(base, mapping(n.data.get("llm")), n) for n in draft.nodes if n.kind == "llm"]
    return frozenset(c.name if c else None for c in chosen if c is None or not c.local)


def runs_code(document: Document, tools: ToolRegistry) -> bool:
    """Whether a node of the document is code."""
    return any(node.kind == "code" for node in Draft(document, tools).nodes)


def machine_problems(document: Document, tools: ToolRegistry, machine: Machine) -> tuple[Problem, ...]:
    """What these rules alone find in a document that has passed all others."""
    return tuple(problems_of(Draft(document, tools, machine), RULES))


IDS = frozenset(r.id for r in RULES)
_STOPS_A_RUN = frozenset(r.id for r in (unknown_provider, unknown_model, no_key, no_model, no_sandbox))


def at_start(problems: Iterable[Problem], machine: Machine) -> tuple[Problem, ...]:
    """The problems as they count when a run starts: what this machine lacks is then an error.

    With a forced model the models that the document names do not matter.
    """
    moot = {unknown_provider.id, unknown_model.id, no_key.id} if machine.forced else set()
    return tuple(
        replace(p, severity="error") if p.rule in _STOPS_A_RUN else p for p in problems if p.rule not in moot
    )
