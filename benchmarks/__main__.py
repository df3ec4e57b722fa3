"""Runs every benchmark, each in a process of its own: `python -m benchmarks [--json] [NAME…]`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
MARK = 'if __name__ == "__main__":'


def names() -> list[str]:
    """The modules of this folder that can be run."""
    found = sorted(p for p in FOLDER.glob("*.py") if not p.stem.startswith("__"))
    return [path.stem for path in found if MARK in path.read_text(encoding="utf-8")]


def figures(name: str) -> list[dict[str, object]]:
    """What one benchmark prints with --json; its other output goes to stderr as it comes."""
    command = [sys.executable, "-m", f"benchmarks.{name}", "--json"]
    done = subprocess.run(command, cwd=FOLDER.parent, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"benchmarks.{name} failed with {done.returncode}")
    found: list[dict[str, object]] = json.loads(done.stdout)
    return [{"benchmark": name, **figure} for figure in found]


def show(figure: dict[str, object]) -> str:
    return (
        f"{figure['benchmark']}: {figure['name']}: {figure['ours']} {figure['unit']}, "
        f"peer {figure['peer']}, ratio {figure['ratio']}"
    )


def main(arguments: list[str]) -> None:
    chosen = [a for a in arguments if not a.startswith("-")] or names()
    unknown = [name for name in chosen if name not in names()]
    if unknown:
        raise SystemExit(f"There is no benchmark {unknown[0]}. There are: {', '.join(names())}.")
    found = [figure for name in chosen for figure in figures(name)]
    print(json.dumps(found) if "--json" in arguments else "\n".join(map(show, found)))


if __name__ == "__main__":
    main(sys.argv[1:])
