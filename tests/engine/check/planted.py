"""Mistakes planted by hand into the documents of tests/data/checker, each with the place where it must be
found.

`old` stands in the document once and is replaced by `new`. The problem must be reported where `at` begins
in the changed text (which must have it once). `mend` says what the patch does: "back" gives the text before
the mistake to the byte, "away" gives another text without this problem, None means that no mend is certain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engine.check import Machine
from engine.models.names import Target
from engine.ports import ModelInfo
from tools.registry import BUILT_IN, Tool, ToolContext, ToolRegistry

DATA = Path(__file__).resolve().parents[2] / "data" / "checker"


async def _never_called(args: Mapping[str, Any], context: ToolContext) -> Any:
    raise AssertionError("the checker calls no tool")


_TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
TOOLS = ToolRegistry(
    {**BUILT_IN, "send_mail": Tool("send_mail", "Sends a mail.", _TEXT, "a receipt", "once", _never_called)}
)
"""The built-in tools, and one with an effect."""

_GREETING = (DATA / "saved" / "write_greeting.yaml").read_text(encoding="utf-8")


class Saved:
    """The workflows that are saved, as the checker is told of them."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = texts

    def __call__(self, name: str) -> str | None:
        return self.texts.get(name)

    def names(self) -> list[str]:
        return list(self.texts)


def _running(name: str) -> str:
    """A workflow whose one step runs another."""
    return _GREETING.replace(
        '    prompt: "Greet {state.name} in {state.lines} lines."',
        f'    workflow: {name}\n    inputs: {{name: "{{state.name}}", lines: 3}}',
    )


SAVED = Saved(
    {
        "write_greeting": _GREETING,
        "broken_greeting": _GREETING.replace("{state.name}", "{state.nmae}"),
        "round_about": _running("and_back"),
        "and_back": _running("round_about"),
        **{f"level_{n}": _running(f"level_{n + 1}") for n in range(1, 6)},
        "level_6": _GREETING,
    }
)

_MINI = ModelInfo("openai/gpt-5.4-mini", "a test")
MACHINES: dict[str, Machine | None] = {
    "none": None,
    "able": Machine(_MINI, providers=frozenset({"openai"})),
    "without a model": Machine(None),
    "without a sandbox": Machine(_MINI, providers=frozenset({"openai"}), no_code="The sandbox is not built."),
    "without a key": Machine(_MINI, providers=frozenset({"ollama"})),
    "with prices": Machine(
        _MINI,
        providers=frozenset({"openai"}),
        targets={
            name: Target(_MINI.name, "openai", "gpt-5.4-mini", "openai", "a test")
            for name in (None, _MINI.name)
        },
    ),
    "with Ollama": Machine(
        _MINI,
        providers=frozenset({"openai", "ollama"}),
        known_models=frozenset({"ollama/qwen3:latest", "ollama/gemma3:4b"}),
    ),
}


@dataclass(frozen=True)
class Planted:
    rule: str
    base: str
    old: str
    new: str
    at: str
    mend: Literal["back", "away"] | None = None
    machine: str = "none"

    def text(self) -> str:
        text = (DATA / f"{self.base}.yaml").read_text(encoding="utf-8")
        assert text.count(self.old) == 1, f"{self.old!r} stands {text.count(self.old)} times in {self.base}"
        return text.replace(self.old, self.new)

    def place(self) -> tuple[int, int]:
        text = self.text()
        assert text.count(self.at) == 1, f"{self.at!r} stands {text.count(self.at)} times"
        before = text[: text.index(self.at)]
        return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def _c(rule: str, old: str, new: str, at: str, mend: Literal["back", "away"] | None = None) -> Planted:
    return Planted(rule, "complaint", old, new, at, mend)


def _p(rule: str, old: str, new: str, at: str, mend: Literal["back", "away"] | None = None) -> Planted:
    return Planted(rule, "poem", old, new, at, mend)


_OPENAI = "sk-proj-" + "a1B2" * 10
_AWS = "AKIA" + "ABCDEFGH12345678"
_GITHUB = "ghp_" + "a1B2c3D4e5" * 4
_SLACK = "xoxb-" + "1234567890-abcdefgh"
_GOOGLE = "AIza" + "a1B2c3D4e5" * 3 + "a1B2c"
_JWT = ".".join(("eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiIxMjM0NTY3ODkwIn0", "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"))
_SECOND = 'prompt: "Second {state.poem}"\n    outputs: [poem]\n'

_CHEER_UP = '  - id: cheer_up\n    prompt: "Make it merrier: {state.poem}"\n    outputs:\n      - poem\n'

PLANTED: tuple[Planted, ...] = (
    # the reading
    _c("yaml-syntax", "  - id: refuse\n    prompt", "  - id: refuse\n   prompt", 'prompt: "Refuse'),
    _c(
        "yaml-syntax",
        'prompt: "Refuse politely: {state.complaint}"',
        "prompt: Refuse: {state.complaint} now",
        ": {state.complaint} now",
        "away",
    ),
    _c("yaml-key", "  name: answer_complaint", "  name: answer_complaint\n  [a, b]: c", "[a, b]"),
    _c("yaml-tag", "timeout: 20", "timeout: !!python/name:os.system 20", "!!python", "away"),
    _c("duplicate-key", "    timeout: 20", "    timeout: 20\n    tool: json_parse", "tool: json_parse"),
    _p(
        "unquoted-type",
        "theme:\n      type: str\n      required: true\n      description: What the poem is about\n",
        "theme: {type: list[str], required: true}\n",
        "list[str]",
        "away",
    ),
    _c("unquoted-placeholder", 'url: "{state.address}"', "url: {state.address}", "{state.address}", "back"),
    _c("bad-value", "to: [fetch_terms, look_up]", "to: []", "to: []"),
    _c("schema-version", 'schema_version: "1.0"', 'schema_version: "2.0"', 'schema_version: "2.0"'),
    _c("schema-version", 'schema_version: "1.0"', "schema_version: 1.0", "schema_version: 1.0", "back"),
    _c("unknown-key", "retry: {max_attempts: 3}", "retry: {max_attemps: 3}", "max_attemps", "back"),
    _c("unknown-key", "    outputs: [notes]", "    otputs: [notes]", "otputs", "back"),
    _c("missing-key", "  name: answer_complaint\n", "", "flow:"),
    _c("wrong-type", "timeout: 20", "timeout: soon", "timeout: soon"),
    _c("bad-type", "terms: any", "terms: anny", "terms: anny", "back"),
    _c("bad-value", "temperature: 0.2", "temperature: 2.2", "temperature: 2.2"),
    _c("node-kind", "    tool: http_get\n", "    tool: http_get\n    prompt: Fetch it\n", "prompt: Fetch it"),
    _c("node-kind", '    prompt: "Refuse politely: {state.complaint}"\n', "", "id: refuse\n    outputs"),
    _c(
        "edge-kind",
        "{from: look_up, to: judge}",
        "{from: look_up, to: judge, loop: {condition_field: refund}}",
        "loop:",
    ),
    _c("edge-kind", "{from: look_up, to: judge}", "{from: look_up}", "{from: look_up}"),
    # names
    _c("duplicate-node", "- id: thank", "- id: refuse", 'id: refuse\n    prompt: "Thank', "back"),
    _p("duplicate-node", "- id: cheer_up", "- id: write", 'id: write\n    prompt: "Make', "back"),
    _c("undefined-node", "{from: look_up, to: judge}", "{from: lokup, to: judge}", "from: lokup", "back"),
    _c("undefined-node", "to: [fetch_terms, look_up]", "to: [fetch_terms, lookup_]", "lookup_", "back"),
    _c("undefined-node", "{from: refuse, to: END}", "{from: refuse, to: end}", "to: end", "back"),
    _c("undefined-node", "{from: refuse, to: END}", "{from: refuse, to: archive}", "to: archive"),
    _p("undefined-node", "exit_to: read_aloud", "exit_to: readaloud", "exit_to: readaloud", "back"),
    _p("undefined-node", "        to: cheer_up", "        to: chear_up", "to: chear_up", "back"),
    _p(
        "wrong-way", "  - from: cheer_up\n    to: pick_mood", "  - from: cheer_up\n    to: START", "to: START"
    ),
    _c(
        "wrong-way",
        "{from: thank, to: END}",
        "{from: thank, to: END}\n  - {from: END, to: thank}",
        "from: END",
    ),
    _c("unknown-tool", "tool: http_get", "tool: htp_get", "tool: htp_get", "back"),
    _c("unknown-tool", "tools: [current_time,", "tools: [web_search,", "web_search"),
    _c("unknown-tool", "{name: http_get, config", "{name: http_gett, config", "name: http_gett", "back"),
    # references
    _c("unknown-field", "      {state.complaint}\n", "      {state.complant}\n", "prompt: |", "back"),
    _c("unknown-field", "outputs: [notes]", "outputs: [nots]", "nots", "back"),
    _c("unknown-field", "outputs: score", "outputs: scores", "outputs: scores", "back"),
    _c("unknown-field", "outputs: [terms]", "outputs: [page]", "page"),
    _c("unknown-field", "state.refund and", "state.refnd and", 'condition: "state.refnd', "back"),
    _c("unknown-field", "  outputs: [answer]\nstate", "  outputs: [anwser]\nstate", "anwser", "back"),
    _p("unknown-field", "condition_field: good", "condition_field: goood", "condition_field: goood", "back"),
    _p("unknown-field", "{state._loop_iteration_write}", "{state._loop_iteration_read_aloud}", "prompt: >"),
    _p(
        "unknown-field",
        'greeting: "Listen: {state.poem}"',
        'greeting: "Listen: {state}"',
        'greeting: "Listen: {state}"',
    ),
    _c(
        "unknown-field",
        '"What do we know of {who},',
        '"What do we know of {state.who},',
        'prompt: "What',
        "back",
    ),
    _c("unknown-name", '"What do we know of {who},', '"What do we know of {whom},', 'prompt: "What', "back"),
    _p("unknown-name", 'template: "{greeting}"', 'template: "{salutation}"', 'template: "{salutation}"'),
    _c("unknown-path", "{state.customer.orders[0]}", "{state.customer.order[0]}", 'prompt: "What', "back"),
    _c("unknown-path", "Score: {state.score}", "Score: {state.score.value}", 'prompt: "Apologise'),
    _c("unknown-path", "{state.customer.orders[0]}", "{state.customer.orders.first}", 'prompt: "What'),
    _c("unknown-path", "{state.customer.orders[0]}", "{state.complaint[0]}", 'prompt: "What'),
    _c("secret-misplaced", "You are a friendly clerk.", "Your password is {secret.SHOP}.", "system: Your"),
    _c("secret-misplaced", '{who: "{state.customer.name}"}', '{who: "{secret.SHOP}"}', 'who: "{secret'),
    _c(
        "input-left-out",
        "  outputs: [answer]\nstate",
        "  inputs: [address]\n  outputs: [answer]\nstate",
        "inputs: [address]",
    ),
    # flow
    _p(
        "unreachable-node",
        "  - from: pick_mood\n    to: write\n",
        "  - from: pick_mood\n    to: END\n",
        "id: write",
    ),
    _c("unreachable-node", "to: [fetch_terms, look_up]", "to: [fetch_terms]", "id: look_up"),
    _p("no-end", "to: END", "to: pick_mood", "edges:"),
    _c("endless", "  - {from: thank, to: END}", "  - {from: thank, to: thank}", "id: thank"),
    _p("loop-without-end", "      - poem\n      - good\n", "      - poem\n", "condition_field: good"),
    _p(
        "loop-without-end",
        "      - poem\n      - good\n  - id: cheer_up",
        "      - poem\n  - id: cheer_up",
        "condition_field: good",
    ),
    _p(
        "loop-not-ending-itself",
        f"      - poem\n      - good\n{_CHEER_UP}",
        f"      - poem\n{_CHEER_UP}      - good\n",
        "condition_field: good",
    ),
    _p(
        "second-loop",
        "  - from: read_aloud\n",
        "  - {from: write, loop: {condition_field: good, exit_to: read_aloud}}\n  - from: read_aloud\n",
        "loop: {condition_field: good, exit",
    ),
    _p("loop-field-type", "condition_field: good", "condition_field: lines", "condition_field: lines"),
    # routes
    _c(
        "bad-condition",
        "state.refund and state.score > 5",
        "state.refund && state.score > 5",
        'condition: "state.refund &&',
        "back",
    ),
    _c("bad-condition", "state.urgency == 'high'", "urgency == 'high'", 'condition: "urgency ==', "back"),
    _c(
        "bad-condition",
        "state.urgency == 'high'",
        "state.urgency == high",
        'condition: "state.urgency == high',
        "back",
    ),
    _c("bad-condition", '"state.score > 5"', '"state.score >"', 'condition: "state.score >"'),
    _c(
        "condition-type",
        "state.refund and",
        "state.refund == 'true' and",
        "condition: \"state.refund == 'true'",
        "away",
    ),
    _c(
        "condition-type",
        '"state.score > 5"',
        "\"state.score > '5'\"",
        "condition: \"state.score > '5'\"",
        "back",
    ),
    _c("condition-type", '"state.score > 5"', '"state.urgency > 5"', 'condition: "state.urgency > 5"'),
    _c(
        "condition-type",
        '"state.score > 5"',
        '"state.complaint == 5"',
        'condition: "state.complaint == 5"',
        "away",
    ),
    _c(
        "condition-value",
        "state.urgency == 'high'",
        "state.urgency == 'hihg'",
        "condition: \"state.urgency == 'hihg'",
        "back",
    ),
    _c(
        "condition-value",
        "state.urgency == 'high'",
        "state.urgency in ['urgent', 'high']",
        'condition: "state.urgency in',
    ),
    _c(
        "route-never-matches",
        "state.refund and state.score > 5",
        "state.urgency == 'high' and state.score > 5",
        "condition: \"state.urgency == 'high' and",
    ),
    _c(
        "route-never-matches",
        '"state.score > 5"',
        '"state.score > 5 and state.score < 3"',
        'condition: "state.score > 5 and',
    ),
    _c(
        "route-never-matches",
        "      - {condition: default, to: thank}",
        "      - {condition: default, to: refuse}\n      - {condition: default, to: thank}",
        "condition: default, to: thank",
    ),
    _c(
        "route-no-default",
        "      - {condition: default, to: thank}\n",
        '      - {condition: "state.score < 2", to: thank}\n',
        "routes:",
    ),
    _p("route-no-default", "enum: [merry, sad]", "enum: [merry, sad, grave]", "routes:"),
    _c("null-order", "orders: {type: int, default: 0}", "orders: {type: int}", 'condition: "state.orders'),
    _c(
        "route-never-matches",
        "state.refund and state.score > 5",
        "state.urgency == 'high'",
        'condition: "state.urgency == \'high\'", to: apologise}\n      - {condition: "state.orders',
    ),
    _p(
        "null-order",
        "  - from: START\n    to: pick_mood\n",
        "  - from: START\n    routes:\n      - condition: state.start < 3\n        to: pick_mood\n      - else: END\n",
        "condition: state.start < 3",
    ),
    _c("read-too-early", "to this case: {state.complaint}", "to this case: {state.answer}", 'prompt: "Give'),
    # types
    _c(
        "required-default",
        "complaint: {type: str, required: true,",
        "complaint: {type: str, required: true, default: none,",
        "default: none",
    ),
    _c(
        "default-type",
        "score: {type: int, default: 0}",
        'score: {type: int, default: "0"}',
        'default: "0"',
        "back",
    ),
    _c(
        "default-type", "score: {type: int, default: 0}", "score: {type: int, default: none}", "default: none"
    ),
    _p(
        "default-type",
        '      type: str\n      default: ""',
        "      type: str\n      default: 12",
        "default: 12",
        "away",
    ),
    _p(
        "default-enum",
        "enum: [merry, sad]",
        "enum: [merry, sad]\n      default: mery",
        "default: mery",
        "away",
    ),
    _c("enum-type", "enum: [low, normal, high]", "enum: [low, normal, high, 3]", "3]}"),
    _c(
        "reduce-type",
        "score: {type: int, default: 0}",
        "score: {type: int, default: 0, reduce: append}",
        "reduce: append}\n    orders",
    ),
    _p(
        "schema-type",
        "type: int\n      default: 4\n",
        "type: int\n      default: 4\n      schema: {n: int}\n",
        "schema: {n",
    ),
    _c(
        "output-type",
        "{name: refund, type: bool}",
        "{name: refund, type: str}",
        "type: str}\n  - id: fetch_terms",
    ),
    _c("output-not-given", "{name: refund, type: bool}", "{name: refnd, type: bool}", "name: refnd", "back"),
    _c("output-not-given", "        - {name: refund, type: bool}\n", "", "refund]"),
    # arguments
    _c(
        "unknown-argument", 'url: "{state.address}"', 'url: "{state.address}"\n      header: {}', "header: {}"
    ),
    _p("unknown-argument", '      template: "{greeting}"', '      templat: "{greeting}"', "templat:", "back"),
    _c("missing-argument", '      url: "{state.address}"\n', "", "args:"),
    _c(
        "argument-type",
        'url: "{state.address}"',
        'url: "{state.address}"\n      any_status: "{state.score}"',
        "any_status",
    ),
    _c(
        "argument-type",
        'url: "{state.address}"',
        'url: "{state.address}"\n      any_status: maybe',
        "any_status",
    ),
    # reading and writing
    _c("parallel-write", "outputs: [notes]", "outputs: [terms]", "terms]\n  - id: judge"),
    _c("racing-read", "{who}, who ordered", "{state.terms}, {who}, who ordered", 'prompt: "What'),
    _c("unused-field", "terms: any", "terms: any\n    left_over: str", "left_over"),
    _c("unused-input", "What do we know of {who},", "What do we know of her,", "who:"),
    # secrets
    _c("secret-in-document", "You are a friendly clerk.", f"Your key is {_OPENAI}", "system:"),
    _c("secret-in-document", '"{secret.SHOP}"}}]', f'"{_GITHUB}"}}}}]', f'token: "{_GITHUB}'),
    _c("secret-in-document", '"Bearer {secret.SHOP}"', f'"Bearer {_JWT}"', "Authorization"),
    _c("secret-in-document", '"{secret.SHOP}"}}]', '"hunter22"}}]', 'token: "hunter22"'),
    _c(
        "secret-in-document",
        "https://example.com/terms",
        "https://me:geheim99@example.com/terms",
        'default: "https',
    ),
    _c("secret-in-document", "# A complaint is read", f"# {_AWS} A complaint is read", _AWS),
    _p("secret-in-document", "Merry or sad? One word.", f"Merry or sad? {_SLACK}", "prompt: |-"),
    _p("secret-in-document", "{state.lines} lines", f"{{state.lines}} {_GOOGLE} lines", "prompt: >"),
    # not there yet
    _c(
        "not-available",
        '    prompt: "Refuse politely: {state.complaint}"\n',
        '    agent: clerk\n    inputs: {mail: "{state.complaint}"}\n',
        "agent:",
    ),
    _c(
        "ignored",
        "  execution: {timeout: 300",
        "  memory: {enabled: true}\n  execution: {timeout: 300",
        "memory:",
    ),
    _c("ignored", "    retry: {max_attempts: 3}\n", "    memory: {enabled: true}\n", "memory:"),
    _c("older-key", "    timeout: 20\n", "    timeout: 20\n    log_prompts: true\n", "log_prompts"),
    _c(
        "older-key",
        "  execution: {timeout: 300",
        "  storage: {backend: sqlite}\n  execution: {timeout: 300",
        "storage:",
    ),
    # the machine
    _c("unknown-provider", "provider: openai,", "provider: opnai,", "provider: opnai", "back"),
    _c("unlisted-model", "gpt-5.4-mini", "gpt-5.4-minni", "model: gpt-5.4-minni"),
    Planted("no-model", "poem", "Merry or sad?", "Merry, or sad?", "prompt: |-", machine="without a model"),
    Planted(
        "no-sandbox",
        "orders",
        "lines: 3}",
        "lines: 4}",
        "code: |\n      import math",
        machine="without a sandbox",
    ),
    Planted(
        "no-key", "complaint", "temperature: 0.2", "temperature: 0.3", "model: gpt", machine="without a key"
    ),
    _c("unknown-model", "{provider: openai, model: gpt-5.4-mini, ", "{model: gtp-9, ", "model: gtp-9"),
    _c(
        "unknown-model", "{provider: openai, model: gpt-5.4-mini, ", "{provider: ollama, ", "provider: ollama"
    ),
    Planted(
        "unknown-model",
        "complaint",
        "{provider: openai, model: gpt-5.4-mini, ",
        "{provider: ollama, model: qwen4, ",
        "model: qwen4",
        machine="with Ollama",
    ),
    # files
    Planted(
        "file-text-in-condition",
        "letter",
        "state.letter.size > 5000",
        "contains(state.letter.text, 'now')",
        'condition: "state',
    ),
    Planted("file-not-given", "letter", "answer: {type: str,", "answer: {type: file,", "answer]"),
    # money
    Planted(
        "over-budget",
        "complaint",
        "execution: {timeout: 300",
        "execution: {budget_usd: 0.00001, timeout: 300",
        "budget_usd",
        machine="with prices",
    ),
    Planted(
        "may-pass-budget",
        "complaint",
        "execution: {timeout: 300",
        "execution: {budget_usd: 0.01, timeout: 300",
        "budget_usd",
        machine="with prices",
    ),
)
