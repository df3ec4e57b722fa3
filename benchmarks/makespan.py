"""How long random graphs of sleeping nodes take, beside their critical path and beside going layer by layer.

Each graph is a drawn DAG of 12 to 40 nodes that sleep 0.02 to 0.2 s. The critical path is what no runner can
beat; layer by layer is what a runner needs that starts a layer when the one before it has ended, as
LangGraph's supersteps do. One run after the other, every node's row counted; the seed is printed.

    python -m benchmarks.makespan [--json] [--seed N]
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.engine import TOOLS, Models, Shape, compiled, say
from engine.engine import Engine
from sessions.db import open_db
from sessions.runs import SqliteRunStore
from tools.registry import ToolRegistry

GRAPHS = 50
BAR = 1.05


@dataclass(frozen=True)
class Graph:
    """`seconds` is how long each node sleeps, `after` which nodes it waits for."""

    seconds: dict[str, float]
    after: dict[str, list[str]]

    def longest(self) -> float:
        """The critical path in seconds."""
        ends: dict[str, float] = {}
        for name, seconds in self.seconds.items():
            ends[name] = seconds + max((ends[before] for before in self.after[name]), default=0.0)
        return max(ends.values())

    def layered(self) -> float:
        """Seconds when each layer waits for the whole one before it."""
        layer: dict[str, int] = {}
        for name in self.seconds:
            layer[name] = 1 + max((layer[before] for before in self.after[name]), default=-1)
        return sum(
            max(s for name, s in self.seconds.items() if layer[name] == number)
            for number in set(layer.values())
        )

    def document(self) -> dict[str, Any]:
        nodes = [
            {"id": n, "tool": "wait", "args": {"seconds": s}, "outputs": [n]} for n, s in self.seconds.items()
        ]
        edges = [
            {"from": before, "to": name}
            for name, befores in self.after.items()
            for before in befores or ["START"]
        ]
        last = self.seconds.keys() - {before for befores in self.after.values() for before in befores}
        return {
            "schema_version": "1.0",
            "flow": {"name": "makespan"},
            "state": {"fields": {name: {"type": "int"} for name in self.seconds}},
            "nodes": nodes,
            "edges": [*edges, *({"from": name, "to": "END"} for name in sorted(last))],
        }


def drawn(chance: random.Random) -> Graph:
    names = [f"n{i}" for i in range(chance.randint(12, 40))]
    after = {
        name: sorted(chance.sample(names[:i], min(i, chance.choice([0, 1, 1, 2, 3]))))
        for i, name in enumerate(names)
    }
    return Graph({name: round(chance.uniform(0.02, 0.2), 3) for name in names}, after)


async def measure(graphs: list[Graph], folder: Path) -> list[float]:
    """Seconds of each run, from the call to the view of its end."""
    tools = ToolRegistry(TOOLS)
    db = open_db(folder / "runs.db")
    engine = Engine(SqliteRunStore(db), Models(), tools)
    found = []
    try:
        for graph in graphs:
            workflow = compiled(Shape("makespan", graph.document(), len(graph.seconds), {}), tools)
            began = time.perf_counter()
            view = await engine.run(workflow, {})
            found.append(time.perf_counter() - began)
            if view["status"] != "ok" or len(view["nodes"]) != len(graph.seconds):
                raise SystemExit(f"a graph ended as {view['status']} with {len(view['nodes'])} nodes")
    finally:
        await engine.close()
        db.close()
    return found


def run(seed: int) -> list[dict[str, object]]:
    say(f"seed {seed}")
    chance = random.Random(seed)
    graphs = [drawn(chance) for _ in range(GRAPHS)]
    with tempfile.TemporaryDirectory() as folder:
        took = asyncio.run(measure(graphs, Path(folder)))
    ratios = [seconds / graph.longest() for seconds, graph in zip(took, graphs, strict=True)]
    say(
        f"median {statistics.median(ratios):.3f}, worst {max(ratios):.3f} of the critical path; the bar is {BAR}"
    )
    return [
        _figure("50 random graphs, beside their critical paths", sum(took), sum(g.longest() for g in graphs)),
        _figure("50 random graphs, beside layer by layer", sum(took), sum(g.layered() for g in graphs)),
        {
            "name": "the worst of them",
            "ours": round(max(ratios), 4),
            "peer": 1,
            "ratio": round(max(ratios), 4),
        }
        | {"unit": "critical path"},
    ]


def _figure(name: str, mine: float, peer: float) -> dict[str, object]:
    say(f"{name}: {mine:.3f} s, {peer:.3f} s, ratio {mine / peer:.3f}")
    return {
        "name": name,
        "ours": round(mine, 3),
        "peer": round(peer, 3),
        "ratio": round(mine / peer, 4),
        "unit": "s",
    }


if __name__ == "__main__":
    given = sys.argv.index("--seed") + 1 if "--seed" in sys.argv else 0
    figures = run(int(sys.argv[given]) if given else 1122)
    if "--json" in sys.argv:
        print(json.dumps(figures))
