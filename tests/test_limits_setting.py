"""PARLANCE_LIMITS: read strictly, everything wrong said at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs.limits import ProviderLimit, parse_limits
from configs.settings import SettingsError, read_settings


def test_the_documented_form() -> None:
    found = parse_limits("openai: 4 calls, 60 requests/min, 100_000 tokens/min; Gemini: 1 call;")
    assert found == {"openai": ProviderLimit(4, 60, 100_000), "google": ProviderLimit(1)}


def test_everything_wrong_is_said_at_once(tmp_path: Path) -> None:
    bad = "openai: 4 cals, 0 calls; ollama; google: 2 calls, 3 calls; gemini: 1 call; x: 5 requests"
    with pytest.raises(SettingsError) as error:
        read_settings({"PARLANCE_LIMITS": bad, "PARLANCE_PORT": "-1"}, (tmp_path,))
    said = "\n".join(error.value.problems)
    assert len(error.value.problems) == 2
    for part in ("'4 cals'", "'0 calls'", "'ollama' names no provider", "'3 calls' is said twice"):
        assert part in said
    assert "google is limited twice" in said
    assert "x: '5 requests' is not" in said


def test_without_the_setting_nothing_is_limited(tmp_path: Path) -> None:
    assert read_settings({}, (tmp_path,)).limits == {}
    assert read_settings({"PARLANCE_LIMITS": "ollama: 1 call"}, (tmp_path,)).limits == {
        "ollama": ProviderLimit(calls=1)
    }
