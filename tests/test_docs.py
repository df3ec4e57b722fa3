"""The documents are true: their links lead somewhere, their commands run, their tables name what there is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from chat.terminal.main import _parser
from configs.settings import Settings
from tests.fakes.openai_server import FakeOpenAI
from tools.registry import ToolRegistry

ROOT = Path(__file__).resolve().parent.parent
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_setting_is_documented() -> None:
    table = (ROOT / "docs" / "settings.md").read_text()
    example = (ROOT / ".env.example").read_text()
    for name in Settings.model_fields:
        if name not in ("keys", "secrets"):
            assert f"`PARLANCE_{name.upper()}`" in table
            assert f"PARLANCE_{name.upper()}=" in example


def test_the_tools_are_described_as_they_are() -> None:
    page = (ROOT / "docs" / "tools.md").read_text()
    sections = dict(re.findall(r"^## `(\w+)`\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    registry = ToolRegistry()
    assert list(sections) == registry.names()
    for name, text in sections.items():
        tool = registry.get(name)
        assert text.startswith(f"{tool.description}\n"), name
        assert f"\nGives: {tool.returns}\n" in text, name
        rows = re.findall(r"^\| `(\w+)` \| (.*?) ?\| (.+) \|$", text, re.MULTILINE)
        assert rows == [
            (key, f"`{json.dumps(spec['default'])}`" if "default" in spec else "", spec["description"])
            for key, spec in tool.parameters["properties"].items()
        ]
        assert tool.effect == "none"


def test_the_page_on_running_names_what_there_is() -> None:
    """Each command of its table, with every option that it names, is understood."""
    rows = re.findall(r"^\| `app\.py (.+?)` \|", (ROOT / "docs" / "running.md").read_text(), re.MULTILINE)
    assert len(rows) >= 8
    values = {"N": "3", "S": "ok"}
    for row in rows:
        words = re.sub(
            r"key=value …", "key=value", row.replace("[", "").replace("]", "").replace("-i ", "-i=")
        ).split()
        found = _parser("0").parse_args([values.get(word, word) for word in words])
        assert found.verb == words[0]


def test_the_page_on_versions_names_what_there_is() -> None:
    """Each command of its table is understood."""
    rows = re.findall(r"`app\.py ([^`]+)`", (ROOT / "docs" / "versions.md").read_text())
    assert len(rows) >= 9
    for row in rows:
        words = row.replace("[", "").replace("]", "").split()
        assert _parser("0").parse_args(words).verb == words[0]


def test_the_api_page_names_addresses_that_there_are() -> None:
    page = (ROOT / "docs" / "api.md").read_text()
    source = "".join(path.read_text() for path in (ROOT / "chat" / "api").glob("*.py"))
    known = {re.sub(r"\{[^}]+\}", "{}", a) for a in re.findall(r'"(/[a-z_{}/:]+)"', source)}
    for address in re.findall(r"`(?:GET|POST|PATCH|DELETE) /api(/[^` ]*)", page):
        assert re.sub(r"\{[^}]+\}", "{}", address) in known, address


def test_the_commands_of_the_readme_run(tmp_path: Path) -> None:
    """Each `app.py` line of the README, against a model server, in a data folder of its own."""
    lines = re.findall(r"^\.venv/bin/python (app\.py .+)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(lines) >= 5
    with FakeOpenAI() as fake:
        environment = {**os.environ, "PARLANCE_HOME": str(tmp_path), "PARLANCE_MODEL": "openai/m"}
        environment["PARLANCE_API_BASE"] = fake.base_url
        for line in lines:
            command = f"{sys.executable} {line}"
            done = subprocess.run(
                command, shell=True, cwd=ROOT, env=environment, capture_output=True, text=True
            )
            assert done.returncode == 0, (line, done.stdout, done.stderr)


def test_the_changelog_has_the_version_that_runs() -> None:
    from app import VERSION

    assert f'version = "{VERSION}"' in (ROOT / "pyproject.toml").read_text()


def test_the_make_targets_that_are_named_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for page in PAGES:
        for target in re.findall(r"`make ([\w-]+)(?:`| [A-Z]+=)", page.read_text()):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{page.name}: make {target}"
