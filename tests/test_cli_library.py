"""The command line on saved workflows, on what is preferred, and on one's own data."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from tests.test_cli import CLOCK, Shell

pytestmark = pytest.mark.slow


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    (tmp_path / "clock.yaml").write_text(CLOCK)
    found = Shell(tmp_path)
    found("save", "clock.yaml")
    return found


def number(part: str, text: str = CLOCK) -> str:
    return str(next(n for n, line in enumerate(text.splitlines(), start=1) if part in line))


def test_why_a_line_is_there(shell: Shell) -> None:
    newer = "# a note\n" + CLOCK.replace("Hello", "Good day")
    (shell.folder / "newer.yaml").write_text(newer)
    shell("save", "newer.yaml")
    said = shell("why", "clock", number("Good day", newer)).stdout
    assert f'clock, line {number("Good day", newer)}: args: {{template: "Good day $who"' in said
    assert "Version 2, " in said
    assert "UTC, by you, on the command line: saved from newer.yaml" in said
    # The file is older than what is saved: its line is found where it stands now.
    found = shell.json("why", "clock.yaml", number("who: {type"))
    assert (found["version"], found["line"]) == (1, int(number("who: {type", newer)))
    assert found["author"] == "command line"
    assert shell.json("why", "clock", "nodes.fill.args")["changed"] == 2
    refused = shell("why", "clock.yaml", number("Hello"), code=2).stderr
    assert 'does not stand like this in "clock", version 2' in refused
    (shell.folder / "nameless.yaml").write_text("nodes: []\n")
    assert "has no flow.name" in shell("why", "nameless.yaml", "1", code=2).stderr
    assert "no line 99" in shell("why", "clock", "99", code=2).stderr
    assert "There is no workflow" in shell("why", "nobody", "1", code=2).stderr


def test_names_copies_and_what_goes(shell: Shell) -> None:
    assert shell("workflow", "rename", "clock", "watch").stdout == "clock is called watch now.\n"
    assert shell.json("workflow", "copy", "watch") == {"name": "watch-copy", "version": 1}
    assert "is archived" in shell("workflow", "archive", "watch-copy").stdout
    assert [w["name"] for w in shell.json("workflows")] == ["watch"]
    assert [w["name"] for w in shell.json("workflows", "--archived")] == ["watch-copy"]
    listed = shell("workflow", "versions", "watch").stdout
    assert "Renamed from" in listed
    assert "The name is 'watch' now (it was 'clock')." in listed
    shell("schedule", "add", "watch", "0 9 * * 1", "-i", "who=Ann", "--id", "mondays")
    assert "started by the schedule mondays" in shell("workflow", "delete", "watch", code=1).stderr
    gone = shell("workflow", "delete", "watch", "--force").stdout
    assert "watch is deleted: 2 versions" in gone
    assert "These schedules went too: mondays." in gone
    shell("workflow", "unarchive", "watch-copy")
    assert [w["name"] for w in shell.json("workflows")] == ["watch-copy"]
    shell("workflow", "rename", "watch", "x", code=2)


def test_ones_own_data(shell: Shell) -> None:
    run = shell.json("run", "clock", "-i", "who=Zwetschge")
    other = shell.json("run", "clock", "-i", "who=Ann")
    assert shell.json("preferences", "timezone=Europe/Berlin", "daily_cap_usd=2.5")["daily_cap_usd"] == 2.5
    assert "timezone: Europe/Berlin" in shell("preferences", "daily_cap_usd=").stdout
    assert "no time zone" in shell("preferences", "timezone=Mars", code=2).stderr
    assert "changes nothing" in shell("preferences", "timezone", code=2).stderr
    assert shell("delete", other["run_id"]).stdout == f"Run {other['run_id']} is deleted.\n"
    shell("delete", other["run_id"], code=2)
    shell("data", "export", "-o", "mine.zip")
    file = shell.folder / "mine.zip"
    assert file.stat().st_mode & 0o077 == 0
    with zipfile.ZipFile(file) as packed:
        (name,) = [name for name in packed.namelist() if name.startswith("runs/")]
        assert json.loads(packed.read(name))["id"] == run["run_id"]
    shell("data", "export", "-o", "nowhere/mine.zip", code=2)
    assert "Nothing was erased" in shell("data", "erase", code=1, stdin="yes\n").stderr
    assert [r["run_id"] for r in shell.json("runs")] == [run["run_id"]]
    assert "1 runs" in shell("data", "erase", stdin="erase my data\n").stdout
    assert shell.json("runs") == shell.json("workflows") == []
    assert shell.json("preferences")["timezone"] is None
    home = shell.folder / "home"
    assert not [file for file in home.rglob("*") if file.is_file() and b"Zwetschge" in file.read_bytes()]


def test_ones_own_data_on_postgres(shell: Shell, postgres_url: str) -> None:
    shell.environment |= {"PARLANCE_DATABASE_URL": postgres_url}
    run = shell.json("run", "clock", "-i", "who=Zwetschge")
    shell("data", "export", "-o", "mine.zip")
    with zipfile.ZipFile(shell.folder / "mine.zip") as packed:
        assert [name for name in packed.namelist() if run["run_id"] in name]
    assert "1 runs" in shell("data", "erase", "--yes").stdout
    assert shell.json("runs") == shell.json("workflows") == []
