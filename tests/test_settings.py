"""Settings: where they come from, and that everything wrong is said at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs.settings import SettingsError, read_settings


def test_everything_wrong_is_reported_at_once(tmp_path: Path) -> None:
    bad = {
        "PARLANCE_MODLE": "openai/x",
        "PARLANCE_PORT": "99999",
        "PARLANCE_MODEL": "gpt",
        "PARLANCE_API_BASE": "localhost:8000",
        "PARLANCE_DATABASE_URL": "mysql://planted@localhost/x",
    }
    with pytest.raises(SettingsError) as error:
        read_settings(bad, (tmp_path,))
    said = "\n".join(error.value.problems)
    assert len(error.value.problems) == 5
    for part in ("Did you mean PARLANCE_MODEL?", "PARLANCE_PORT", "provider/model", "http://", "sqlite:////"):
        assert part in said
    assert "planted" not in said


def test_the_store_may_be_postgresql(tmp_path: Path) -> None:
    url = "postgresql://u:planted@h:5433/x"
    settings = read_settings({"PARLANCE_DATABASE_URL": url, "PARLANCE_HOME": "/somewhere"}, (tmp_path,))
    assert settings.postgres_url is not None
    assert settings.postgres_url.get_secret_value() == url
    assert str(settings.database_path) == "/somewhere/parlance.db"
    assert "planted" not in repr(settings) + settings.model_dump_json()
    assert read_settings({"PARLANCE_DATABASE_URL": "sqlite:////x.db"}, (tmp_path,)).postgres_url is None


def test_an_address_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="goes with PARLANCE_MODEL"):
        read_settings({"PARLANCE_API_BASE": "http://127.0.0.1:1/v1"}, (tmp_path,))


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PARLANCE_PORT=8001\nPARLANCE_HOST=127.0.0.2\nMISTRAL_API_KEY=m-key\n")
    settings = read_settings({"PARLANCE_PORT": "8002", "GEMINI_API_KEY": "g-key"}, (tmp_path,))
    assert (settings.port, settings.host) == (8002, "127.0.0.2")
    assert {p: k.get_secret_value() for p, k in settings.keys.items()} == {
        "mistral": "m-key",
        "google": "g-key",
    }


def test_no_secret_is_printed(tmp_path: Path) -> None:
    settings = read_settings(
        {
            "OPENAI_API_KEY": "sk-planted",
            "PARLANCE_PASSWORD": "pw-planted",
            "PARLANCE_SECRET_SHOP": "shop-planted",
        },
        (tmp_path,),
    )
    assert "planted" not in repr(settings) + str(settings) + settings.model_dump_json()
    assert settings.secrets["SHOP"].get_secret_value() == "shop-planted"


def test_an_empty_value_counts_as_not_set(tmp_path: Path) -> None:
    settings = read_settings({"PARLANCE_MODEL": "", "PARLANCE_PASSWORD": " "}, (tmp_path,))
    assert settings.model is None
    assert settings.password is None


def test_the_example_file_can_be_used_as_it_is(tmp_path: Path) -> None:
    example = Path(__file__).parent.parent / ".env.example"
    text = "\n".join(
        line.removeprefix("#") if "=" in line else line for line in example.read_text().splitlines()
    )
    (tmp_path / ".env").write_text(text)
    settings = read_settings({}, (tmp_path,))
    assert settings.model == "openai/gpt-5-mini"
    assert str(settings.database_path) == "/full/path/parlance.db"
