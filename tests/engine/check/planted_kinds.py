"""Mistakes planted into orders.yaml, which has every kind of node; see `planted`."""

from __future__ import annotations

from typing import Literal

from tests.engine.check.planted import Planted


def _o(rule: str, old: str, new: str, at: str, mend: Literal["back", "away"] | None = None) -> Planted:
    return Planted(rule, "orders", old, new, at, mend)


_EACH = "    for_each: state.orders\n"
_INPUTS = '{name: "{state.rate}", lines: 3}'

PLANTED_KINDS: tuple[Planted, ...] = (
    # code
    _o("code-syntax", 'amount = inputs["cost"] * (', 'amount = inputs["cost"] * * (', "* ("),
    _o("code-syntax", "      result = math.floor(", "      return math.floor(", "return", "back"),
    _o("code-result", "      result = math.floor(", "      reslt = math.floor(", "code: |\n      import"),
    _o("code-value", '"count": len(', '"cuont": len(', '{"total"'),
    _o("code-value", '"count": len(inputs["prices"])', '"count": "many"', '"many"'),
    _o("code-value", "result = math.floor(amount * 100) / 100", 'result = f"{amount:.2f} {math.pi}"', 'f"{'),
    _o(
        "code-value",
        'result = {"total": total, "count": len(inputs["prices"])}',
        "result = [total]",
        "[total]",
    ),
    _o("code-input", 'amount = inputs["cost"]', 'amount = inputs["csot"]', '"csot"', "back"),
    _o("code-input", 'sum(inputs["prices"] or', 'sum(inputs["prizes"] or', '"prizes"', "back"),
    _o("code-name", 'sum(inputs["prices"] or', "sum([discount] or", "discount] or", "away"),
    _o("code-name", "      import math\n\n", "", "math.floor"),
    _o("code-name", "      import math\n\n", "      import math\n      state\n", "state\n      amount"),
    _o("code-import", "import math\n\n", "import math\n      import numpy\n", "import numpy"),
    _o("code-import", "import math\n\n", "import math\n      import json\n", "import json"),
    _o("code-tool", "import math\n\n", "import math\n      tools.http_get(url=0)\n", "tools.http_get"),
    # questions
    _o(
        "ask-outputs", "    outputs: [approved]", "    outputs: [approved, rate]", "outputs: [approved, rate]"
    ),
    _o("ask-options", "options: [today, tomorrow]", "options: [today, tomorow]", "tomorow", "back"),
    _o("ask-options", "options: [today, tomorrow]", "options: [today, tomorrow, Today]", "Today"),
    _o("ask-options", "options: [today, tomorrow]", 'options: "{state.rate}"', 'options: "{state.rate}'),
    _o(
        "ask-options",
        "    default: reject\n",
        "    default: reject\n    options: [reject, later]\n",
        "later]",
    ),
    _o("ask-approval", "    options: []\n", "", "ask: Is there"),
    _o("ask-default", "default: reject", "default: rejct", "default: rejct", "back"),
    _o("ask-timeout", "    default: reject\n", "", "timeout: 86400"),
    _o("ask-timeout", "    timeout: 86400\n", "", "default: reject"),
    # workflows within a workflow
    _o("unknown-workflow", "write_greeting", "write_greting", "workflow: write_greting", "back"),
    _o("subflow-circle", "write_greeting", "round_about", "workflow: round_about"),
    _o("subflow-circle", "  name: settle_orders", "  name: write_greeting", "workflow: write_greeting"),
    _o("subflow-depth", "write_greeting", "level_1", "workflow: level_1"),
    _o("subflow-broken", "write_greeting", "broken_greeting", "workflow: broken_greeting"),
    _o("subflow-input", "lines: 3}", "lnes: 3}", "lnes", "back"),
    _o("subflow-input", _INPUTS, "{lines: 3}", "inputs: {lines: 3}"),
    _o("subflow-output", "    outputs: [greeting]", "    outputs: [greeting, discount]", "discount]"),
    _o("subflow-type", "lines: 3}", "lines: three}", "lines: three"),
    _o("subflow-type", "lines: 3}", 'lines: "{state.prices}"}', 'lines: "{state.prices}"'),
    _o("subflow-type", "    greeting: str", "    greeting: int", "greeting]"),
    # one run per element
    _o("each-list", f"{_EACH}    as", "    for_each: orders\n    as", "for_each: orders", "back"),
    _o("each-list", f"{_EACH}    as", "    for_each: state.discount\n    as", "for_each: state.discount"),
    _o("each-output", '    remarks: "list[str]"', "    remarks: str", "remarks]"),
    _o(
        "each-name",
        'about {item.name}."',
        'about {item}."\n    inputs: {item: "{state.discount}"}',
        "for_each: state.orders\n    prompt",
    ),
    _o(
        "each-unused",
        "A friendly word about {item.name}.",
        "A friendly word.",
        "for_each: state.orders\n    prompt",
    ),
    _o(
        "each-missing",
        "    outputs: [rate]\n    retry",
        "    outputs: [rate]\n    as: it\n    retry",
        "as: it",
    ),
    _o("unknown-path", "{item.name}", "{item.nmae}", 'prompt: "A friendly', "back"),
    # failures and effects
    _o("unknown-handler", "on_error: no_rates", "on_error: no_rate", "on_error: no_rate", "back"),
    _o("unknown-handler", "on_error: continue", "on_error: contineu", "on_error: contineu", "back"),
    _o("unknown-handler", "on_error: no_rates", "on_error: rates", "on_error: rates"),
    _o("unknown-handler", "on_error: no_rates", "on_error: END", "on_error: END"),
    _o("unknown-field", "{state._error_rates}", "{state._error_rats}", 'prompt: "Say in one', "back"),
    _o("unknown-field", "    on_error: continue\n", "", 'condition: "state.approved and'),
    _o("effect-too-weak", "effect: once", "effect: none", "effect: none", "back"),
    _o(
        "once-retry",
        "    effect: once\n",
        "    effect: once\n    retry: {max_attempts: 3}\n",
        "retry: {max_attempts: 3}",
    ),
    Planted(
        "handler-in-line",
        "saved/write_greeting",
        "    outputs: [greeting]\n",
        "    outputs: [greeting]\n    on_error: say_so\n"
        '  - {id: say_so, prompt: "Say what went wrong: {state._error_greet}", outputs: greeting}\n',
        "on_error",
    ),
    # bounds
    _o("unknown-metric", "metric: cost_usd", "metric: cost_us", "metric: cost_us", "back"),
    _o("unknown-metric", "metric: seconds", "metric: quality", "metric: quality"),
    _o("gate-bounds", "max: 60}", "max: 60, min: 70}", "min: 70"),
    _o("gate-bounds", "{metric: seconds, max: 60}", "{metric: seconds}", "{metric: seconds}"),
    _o("gate-bounds", "max: 60}", "max: -1}", "max: -1"),
    _o("gate-moot", "max: 60}", "max: 6000}", "max: 6000"),
    _o("sandbox-network", "preset: low,", "preset: low, network: true,", "network"),
    _o("sandbox-network", "{max_memory_mb: 64}", "{max_memory_mb: 64, network: true}", "network"),
    _o("sandbox-tier", "preset: low,", "preset: low, mode: docker,", "mode"),
    Planted(
        "sandbox-tier",
        "complaint",
        "    retry: {max_attempts: 3}\n",
        "    sandbox: {network: true}\n",
        "network",
    ),
)
