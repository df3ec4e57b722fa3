"""Dry runs: no model is asked and nothing happens outside; code and reading tools are real; all else is made up,
fits its type, is always the same, and is named."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.gallery import GALLERY
from engine.check import check
from engine.engine import Engine
from engine.made import made_inputs, made_value, made_writes
from engine.nodes.each import for_element
from engine.nodes.outputs import writes_of
from engine.types import convert
from engine.workflow import Field
from tests.engine.flows import Tools, engine_on, workflow
from tests.engine.nested import saved
from tests.engine.strategies import TYPED
from tests.fakes.site import open_site
from tools.registry import ToolContext, ToolRegistry, tool
from tools.sandbox.pool import Sandbox


class Acting(Tools):
    """Tools as elsewhere, and two that act: `send` once, `put` idempotently; each takes `hold` seconds."""

    hold = 0.0

    def __init__(self, *, allow_private: bool = False) -> None:
        super().__init__()
        builtin = ToolRegistry()
        reading = {name: builtin.get(name) for name in ("http_get", "json_parse", "text_template")}
        acting = {name: self._acting(name, effect) for name, effect in _EFFECTS.items()}
        self.registry = ToolRegistry(
            {**self.registry.specs, **reading, **acting}, allow_private=allow_private
        )

    def _acting(self, name: str, effect: Any) -> Any:
        @tool(description="Act.", parameters={"value": {}}, returns="A receipt.", name=name, effect=effect)
        async def act(args: Mapping[str, Any], context: ToolContext) -> Any:
            await asyncio.sleep(self.hold)
            self.log.append((name, args["value"]))
            return f"receipt for {args['value']}"

        return act


_EFFECTS = {"send": "once", "put": "idempotent"}


@pytest.fixture
def tools() -> Acting:
    return Acting()


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    made = Sandbox(size=1)
    yield made
    await made.close()


@pytest.fixture
async def engine(tools: Acting, sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[Engine]:
    async with engine_on(tmp_path / "runs.db", tools, sandbox=sandbox) as made:
        yield made


async def dry(engine: Engine, tools: Tools, text: str, /, **inputs: Any) -> dict[str, Any]:
    view = await engine.run(workflow(text, tools), inputs, dry=True)
    assert await engine.view(view["run_id"]) == view
    return view


def made_up(view: Mapping[str, Any]) -> dict[str, str]:
    return {each["node"]: each["why"] for each in view["simulated"]}


EVERYTHING = """
state:
  fields:
    topic: {type: str, required: true}
    names: {type: "list[str]"}
    mood: {type: str, enum: [glad, sad]}
    count: int
    receipt: str
    stored: str
    said: bool
    echoed: str
nodes:
  - {id: think, prompt: "{state.topic}", outputs: [names, mood]}
  - {id: count_them, code: "result = len(inputs['n'])", inputs: {n: state.names}, outputs: [count]}
  - {id: show, tool: echo, args: {value: "{state.mood}"}, outputs: [echoed]}
  - {id: send, tool: send, args: {value: "{state.topic}"}, outputs: [receipt]}
  - {id: put, tool: put, args: {value: 1}, outputs: [stored]}
  - {id: approve, ask: "Shall it?", outputs: [said]}
"""


async def test_models_people_and_effects_are_made_up_and_code_is_real(engine: Engine, tools: Acting) -> None:
    view = await dry(engine, tools, EVERYTHING, topic="tea")
    assert view["status"] == "ok"
    assert view["state"]["count"] == len(view["state"]["names"]) == 2
    assert (view["state"]["mood"], view["state"]["echoed"], view["state"]["said"]) == ("glad", "glad", True)
    assert tools.log == [("echo", "glad")]
    assert set(made_up(view)) == {"think", "send", "put", "approve"}
    assert "model" in made_up(view)["think"]
    assert "effect" in made_up(view)["send"]
    assert "nobody" in made_up(view)["approve"]
    assert [each["node"] for each in view["branches"]] == [n["id"] for n in view["nodes"]]
    assert (view["dry"], view["made_inputs"], view["prompt_tokens"], view["cost_usd"]) == (
        True,
        [],
        None,
        None,
    )


async def test_the_same_document_gives_the_same(engine: Engine, tools: Acting) -> None:
    first = await dry(engine, tools, EVERYTHING)
    again = await dry(engine, tools, EVERYTHING)
    for name in ("state", "outputs", "simulated", "branches", "made_inputs"):
        assert first[name] == again[name]
    assert first["made_inputs"] == ["topic"]


async def test_events_of_a_dry_run_rise_by_one(engine: Engine, tools: Acting) -> None:
    view = await dry(engine, tools, EVERYTHING)
    events = [event async for event in engine.events(view["run_id"])]
    assert [event.id for event in events] == list(range(1, len(events) + 1))
    assert not any("simulated" in str(event.data.get("id")) for event in events)


async def test_reading_tools_read_and_what_is_not_there_is_said(tmp_path: Path) -> None:
    text = """
    state: {fields: {url: {type: str, required: true}, text: str, data: any}}
    nodes:
      - {id: fetch, tool: http_get, args: {url: "{state.url}"}, outputs: [text]}
      - {id: read, tool: json_parse, args: {text: "{state.text}"}, outputs: [data]}
    """
    tools = Acting(allow_private=True)
    async with open_site() as site:
        site.pages["/a.json"] = (200, {}, b'{"a": 1}')
        async with engine_on(tmp_path / "runs.db", tools) as engine:
            real = await dry(engine, tools, text, url=f"{site.url}/a.json")
            gone = await dry(engine, tools, text, url=f"{site.url}/gone")
    assert real["state"]["data"] == {"a": 1}
    assert real["simulated"] == []
    assert gone["status"] == "ok"
    assert set(made_up(gone)) == {"fetch", "read"}
    assert "could not read" in made_up(gone)["fetch"]
    assert "made up" in made_up(gone)["read"]


async def test_a_fault_that_does_not_hang_on_what_is_made_up_fails(engine: Engine, tools: Acting) -> None:
    parse = """
    state: {fields: {text: {type: str, required: true}, data: any}}
    nodes: [{id: read, tool: json_parse, args: {text: "{state.text}"}, outputs: [data]}]
    """
    assert (await dry(engine, tools, parse, text="{"))["status"] == "failed"
    assert (await dry(engine, tools, parse))["status"] == "ok"
    code = """
    state: {fields: {text: {type: str, required: true}, number: int}}
    nodes: [{id: read, code: "result = CODE", inputs: {t: state.text}, outputs: [number]}]
    """
    number = code.replace("CODE", "int(inputs['t'])")
    assert (await dry(engine, tools, number, text="3"))["state"]["number"] == 3
    assert (await dry(engine, tools, number, text="three"))["status"] == "failed"
    assert "made up" in made_up(await dry(engine, tools, number))["read"]
    wrong = await dry(engine, tools, code.replace("CODE", "exec('lenn()')"))
    assert "lenn" in wrong["error"]


async def test_each_element_and_its_question(engine: Engine, tools: Acting) -> None:
    text = """
    state: {fields: {items: {type: "list[str]", required: true}, out: "list[str]", told: "list[str]"}}
    nodes:
      - {id: ask_all, for_each: state.items, ask: "Which of {item}?", options: [left, right], outputs: [told]}
      - {id: send_all, for_each: state.items, tool: send, args: {value: "{item}"}, outputs: [out]}
    """
    view = await dry(engine, tools, text, items=["a", "b", "c"])
    assert view["state"]["told"] == ["left"] * 3
    assert len(view["state"]["out"]) == 3
    assert tools.log == []
    assert set(made_up(view)) == {f"{node}[{n}]" for node in ("ask_all", "send_all") for n in range(3)}


async def test_loops_end_and_failures_are_dealt_with(engine: Engine, tools: Acting) -> None:
    text = """
    state: {fields: {done: bool, draft: str, sum: int}}
    nodes:
      - {id: write, prompt: "Write.", outputs: [draft]}
      - {id: review, code: "result = False", outputs: [done]}
      - {id: bad, tool: flaky, args: {times: 9, hopeless: true}, on_error: continue}
      - {id: worse, tool: flaky, args: {times: 9, hopeless: true}, on_error: mend}
      - {id: mend, tool: add, args: {a: 1}, outputs: [sum]}
    edges:
      - {from: START, to: write}
      - {from: write, to: review}
      - {from: review, loop: {condition_field: done, max_iterations: 3, exit_to: bad}}
      - {from: bad, to: worse}
      - {from: worse, to: END}
      - {from: mend, to: END}
    """
    view = await dry(engine, tools, text)
    assert view["status"] == "ok"
    assert view["state"]["sum"] == 2
    assert "busy" in view["state"]["_error_bad"]
    assert [n["id"] for n in view["nodes"]].count("review") == 3


async def test_sub_workflows_are_dry_as_well(engine: Engine, tools: Acting) -> None:
    child = """
    state: {fields: {x: {type: str, required: true}, y: str}}
    nodes:
      - {id: think, prompt: "{state.x}", outputs: [y]}
      - {id: tell, tool: send, args: {value: "{state.y}"}}
    """
    text = """
    state: {fields: {y: str}}
    nodes: [{id: sub, workflow: child, inputs: {x: "tea"}, outputs: [y]}]
    """
    found = await engine.run(workflow(text, tools), {}, dry=True, workflows=saved(child=child))
    assert found["status"] == "ok"
    assert tools.log == []
    assert set(made_up(found)) == {"sub/think", "sub/tell"}
    assert [each["node"] for each in found["branches"]] == ["sub", "sub/think", "sub/tell"]
    (below,) = found["children"]
    inner = await engine.view(below["run_id"])
    assert (inner["dry"], set(made_up(inner))) == (True, {"think", "tell"})


async def test_gates_and_budgets_do_not_hinder_a_rehearsal(engine: Engine, tools: Acting) -> None:
    text = """
    state: {fields: {y: str}}
    nodes: [{id: think, prompt: "Think.", outputs: [y]}]
    config:
      execution: {budget_usd: 0.000001}
      gates: {gates: [{metric: cost_usd, max: 0.01}], on_fail: fail}
    """
    assert (await dry(engine, tools, text))["status"] == "ok"


# --- what is made up -------------------------------------------------------------------------------------------


@given(TYPED, st.booleans())
def test_a_made_up_value_fits_every_type(typed: tuple[Any, Any], with_enum: bool) -> None:
    kind, value = typed
    enum = (value,) if with_enum and value is not None else None
    field = Field("a_field", kind, enum=enum)
    made = made_value(field)
    assert convert(made, kind, enum=enum) == made
    assert made_value(field) == made


KINDS = ["str", "int", "float", "bool", "any", "dict", "object", "list", "list[int]", "list[list[str]]",
         "dict[str, int]", "dict[int, float]", "dict[bool, str]", "list[dict[str, list[bool]]]"]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reduce", ["", ", reduce: append", ", reduce: merge", ", enum: [ENUM]"])
def test_what_a_model_gives_is_what_the_node_may_write(kind: str, reduce: str) -> None:
    if "append" in reduce and not kind.startswith("list"):
        return
    if "merge" in reduce and not kind.startswith(("dict", "object")):
        return
    enums = {"str": "red, blue", "int": "7, 8", "float": "0.5, 1.5"}
    if "ENUM" in reduce and kind not in enums:
        return
    written = reduce.replace("ENUM", enums.get(kind, ""))
    text = f"""
    state: {{fields: {{x: {{type: "{kind}"{written}}}}}}}
    nodes: [{{id: n, prompt: "Say.", outputs: [x]}}]
    """
    found = workflow(text, Tools())
    writes = made_writes(found.nodes["n"], found)
    by_name = replace(found.nodes["n"], output_schema=None)
    assert writes_of(by_name, found, writes) == writes


def test_one_element_gives_one_value() -> None:
    text = """
    state: {fields: {all: "list[str]", items: {type: "list[str]", required: true}}}
    nodes: [{id: each, for_each: state.items, prompt: "{item}", outputs: [all]}]
    """
    found = workflow(text, Tools())
    single, node = for_element(found, found.nodes["each"])
    assert isinstance(made_writes(node, single)["all"], str)


# --- the gallery -----------------------------------------------------------------------------------------------


async def test_the_whole_gallery_can_be_rehearsed_and_all_its_ways_taken(
    tmp_path: Path, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    """No key, no model, no network: what can't be read is made up."""
    tools = Tools()
    tools.registry = ToolRegistry()
    files = sorted(GALLERY.glob("*.yaml"))
    checked = await asyncio.to_thread(
        lambda: {file.stem: check(file.read_text(), tools.registry).workflow for file in files}
    )
    reached = of = 0
    async with engine_on(tmp_path / "runs.db", tools, sandbox=sandbox) as engine:
        for name, found in checked.items():
            assert found is not None, name
            view = await engine.run(found, {}, dry=True, ignore_gates=True)
            assert view["status"] == "ok", (name, view["error"])
            assert set(view["made_inputs"]) == set(made_inputs(found, {}))
            ways = await engine.branches(found, {})
            assert all(way["reached"] or way["why_not"] for way in ways["branches"])
            assert ways["problems"] == [], name
            reached, of = reached + ways["reached"], of + ways["of"]
    with capsys.disabled():
        print(f"\n{len(files)} dry runs of the gallery; {reached} of {of} ways taken")
    assert reached == of > 20
