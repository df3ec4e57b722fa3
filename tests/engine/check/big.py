"""Documents of a thousand nodes in shapes that could make a careless checker slow. Each gives (text,
whether it is valid).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

SIZE = 1000


def _document(
    size: int, edges: Sequence[str], prompt: Callable[[int], str] = lambda i: "Do {state.f0}"
) -> str:
    lines = [
        'schema_version: "1.0"',
        "flow: {name: big}",
        "state:",
        "  fields:",
        "    f0: {type: str, required: true}",
    ]
    lines += [f"    f{i + 1}: {{type: str}}" for i in range(size)]
    lines.append("nodes:")
    for i in range(size):
        lines += [f"  - id: n{i}", f'    prompt: "{prompt(i)}"', f"    outputs: [f{i + 1}]"]
    lines += ["edges:", *(f"  - {{{edge}}}" for edge in edges)] if edges else []
    return "\n".join(lines) + "\n"


def line() -> tuple[str, bool]:
    return _document(SIZE, (), lambda i: f"Do {{state.f{i}}}"), True


def fan() -> tuple[str, bool]:
    inner = ", ".join(f"n{i}" for i in range(1, SIZE - 1))
    edges = ["from: START, to: n0", f"from: n0, to: [{inner}]", f"from: [{inner}], to: n{SIZE - 1}"]
    return _document(SIZE, edges), True


def two_lines() -> tuple[str, bool]:
    half = SIZE // 2
    steps = [f"from: n{i}, to: n{i + 1}" for i in range(SIZE - 1) if i != half - 1]
    return _document(SIZE, [f"from: START, to: [n0, n{half}]", *steps]), True


def many_lines() -> tuple[str, bool]:
    heads = ", ".join(f"n{i}" for i in range(0, SIZE, 25))
    steps = [f"from: n{i}, to: n{i + 1}" for i in range(SIZE - 1) if i % 25 != 24]
    return _document(SIZE, [f"from: START, to: [{heads}]", *steps]), True


def routes() -> tuple[str, bool]:
    edges = ["from: START, to: n0"]
    for i in range(SIZE - 1):
        forward = f"{{condition: \"state.f{i + 1} == 'a'\", to: n{i + 1}}}"
        back = f'{{condition: "len(state.f{i}) > 3", to: n{max(i - 3, 0)}}}'
        edges.append(f"from: n{i}, routes: [{forward}, {back}, {{else: END}}]")
    return _document(SIZE, edges, lambda i: f"Do {{state.f{i}}}"), True


def backward() -> tuple[str, bool]:
    edges = [f"from: n{i}, to: [n{i + 1}, n{max(0, i - 7)}]" for i in range(SIZE - 1)]
    return _document(SIZE, edges), True


def slips() -> tuple[str, bool]:
    edges = [f"from: m{i}xyz, to: n{i + 1}q" for i in range(SIZE - 1)]
    return _document(SIZE, edges, lambda i: f"Do {{state.g{i}xy}}"), False


def kinds() -> tuple[str, bool]:
    """A quarter each: code that fails over to the next question, the question, a node per element, a prompt."""
    lines = [
        'schema_version: "1.0"',
        "flow: {name: big}",
        "state:",
        "  fields:",
        "    f0: {type: str, required: true}",
    ]
    lines += [f"    f{i + 1}: {'list[str]' if i % 4 == 2 else 'str'}" for i in range(SIZE)]
    lines.append("nodes:")
    for i in range(0, SIZE, 4):
        lines += [
            f"  - id: n{i}", "    code: |", "      import re", "", f'      words = re.findall("a+", inputs["f{i}"])',
            '      result = " ".join(words)', f"    outputs: [f{i + 1}]", f"    on_error: n{i + 3}",
            f"  - {{id: n{i + 1}, ask: 'Which? {{state.f{i + 1}}}', options: [a, b], outputs: [f{i + 2}]}}",
            f"  - id: n{i + 2}", "    for_each: state.f3",
            '    prompt: "Go on with {item}"', f"    outputs: [f{i + 3}]", "    on_error: continue",
            f"  - id: n{i + 3}", f'    prompt: "Go on: {{state._error_n{i}}} {{state._error_n{i + 2}}}"',
            f"    outputs: [f{i + 4}]",
        ]  # fmt: skip
    lines += ["edges:", *(f"  - {{from: n{i}, to: n{i + 1}}}" for i in range(SIZE - 1))]
    return "\n".join(lines) + "\n", True


SHAPES = (line, fan, two_lines, many_lines, routes, backward, slips, kinds)
