"""Which private hosts a workflow may read: those that it or the person named, and no others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from engine.models import ModelChoice, Models
from tests.engine.flows import Tools, engine_on, workflow
from tests.fakes.openai_server import FakeOpenAI, Reply
from tests.fakes.site import Site, open_site
from tools.registry import BUILT_IN


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with open_site() as made:
        made.pages["/page"] = (200, {}, b"inside")
        yield made


@pytest.fixture
def tools() -> Tools:
    made = Tools()
    made.registry.add("http_get", BUILT_IN["http_get"])
    return made


STATE = """
state:
  fields:
    base: {type: str, required: true}
    word: {type: str, default: page}
    found: str
    got: dict
"""


async def run(path: Path, tools: Tools, nodes: str, inputs: dict[str, Any]) -> dict[str, Any]:
    async with engine_on(path / "runs.db", tools, secrets={"HOST": inputs["base"]}) as engine:
        return await engine.run(workflow(STATE + nodes, tools), inputs)


ECHO = """nodes:
  - {id: write, tool: echo, args: {value: VALUE}, outputs: [found]}
  - {id: read, tool: http_get, INPUTS args: {url: URL}, outputs: [got]}
"""


@pytest.mark.parametrize(
    ("url", "value"),
    [
        ("{state.base}/page", "x"),
        ("{state.base}/{state.word}", "x"),
        ("{base}/page", "x"),
        ("SITE/page", "x"),
        ("SITE/{state.found}", "page"),
        ("{state.base}/{state.found}", "page"),
        ("SITE/page?q={state.found}#{state.found}", "x"),
        ("SITE/page?key={secret.HOST}", "x"),
    ],
)
async def test_the_document_or_an_input_names_the_host(
    tools: Tools, tmp_path: Path, site: Site, url: str, value: str
) -> None:
    nodes = ECHO.replace("URL", f'"{url.replace("SITE", site.url)}"').replace("VALUE", value)
    view = await run(tmp_path, tools, nodes.replace("INPUTS ", ""), {"base": site.url})
    assert view["status"] == "ok", view["error"]
    assert view["outputs"]["got"]["text"] == "inside"


async def test_a_nodes_input_is_looked_through(tools: Tools, tmp_path: Path, site: Site) -> None:
    nodes = ECHO.replace("URL", '"{at}/page"').replace("VALUE", f'"{site.url}"')
    for field, status in (("base", "ok"), ("found", "failed")):
        text = nodes.replace("INPUTS ", f"inputs: {{at: state.{field}}}, ")
        assert (await run(tmp_path, tools, text, {"base": site.url}))["status"] == status


@pytest.mark.parametrize(
    ("url", "value"),
    [
        ("{state.found}/page", "SITE"),
        ("{state.found}", "SITE/page"),
        ("http://{state.found}/page", "HOST"),
        ("http://127.0.0.1{state.found}", ":PORT/page"),
        ("http://127.0.0.1:{state.found}/page", "PORT"),
        ("http://x{state.found}/page", "@HOST"),
        ("{secret.HOST}/page", "x"),
    ],
)
async def test_a_host_that_a_node_wrote_is_refused(
    tools: Tools, tmp_path: Path, site: Site, url: str, value: str
) -> None:
    host = site.url.removeprefix("http://")
    value = value.replace("SITE", site.url).replace("HOST", host).replace("PORT", str(site.port))
    nodes = ECHO.replace("URL", f'"{url}"').replace("VALUE", f'"{value}"').replace("INPUTS ", "")
    view = await run(tmp_path, tools, nodes, {"base": site.url})
    assert view["status"] == "failed"
    assert "127.0.0.1 is on this machine or its local network" in view["error"]
    assert site.seen == []


async def test_an_input_that_leaves_the_host_open_gives_no_leave(
    tools: Tools, tmp_path: Path, site: Site
) -> None:
    """What comes after would end in the host: the input alone does not name one."""
    nodes = ECHO.replace("URL", '"{state.base}/{state.found}"').replace("INPUTS ", "")
    for base, value in (("http:/", site.url.removeprefix("http://") + "/page"), ("http:", "/x")):
        view = await run(tmp_path, tools, nodes.replace("VALUE", f'"{value}"'), {"base": base})
        assert view["status"] == "failed"
    assert site.seen == []


async def test_a_model_that_calls_the_tool_reaches_no_private_host(
    tools: Tools, tmp_path: Path, site: Site
) -> None:
    nodes = 'nodes: [{id: ask, prompt: "Read {state.base}", tools: [http_get], outputs: [found]}]'
    calls = Reply(tool_calls=(("http_get", {"url": f"{site.url}/page"}),))
    with FakeOpenAI([calls, "It was refused."]) as fake:
        models = Models(ModelChoice(model="openai/fake", api_base=fake.base_url, api_key="k"))
        async with engine_on(tmp_path / "runs.db", tools, models=models) as engine:
            view = await engine.run(workflow(STATE + nodes, tools), {"base": site.url})
        await models.close()
    told = [m["content"] for m in fake.requests[1]["messages"] if m["role"] == "tool"]
    assert view["outputs"] == {"found": "It was refused."}
    assert told[0].startswith("Error: 127.0.0.1 is on this machine")
    assert site.seen == []
