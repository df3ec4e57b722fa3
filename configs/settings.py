"""The settings: read from the environment and from `.env`, here and nowhere else.

Everything that is wrong is reported at once, each with its fix. Only app.py imports this module; all others
are handed what they need. Secrets are SecretStr, so that printing the settings shows none.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from platformdirs import user_data_path
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from configs.limits import ProviderLimit, parse_limits

ROOT = Path(__file__).resolve().parent.parent
PREFIX = "PARLANCE_"
SECRET_PREFIX = "PARLANCE_SECRET_"  # noqa: S105 - the name of variables, not a secret
SQLITE = "sqlite:///"
POSTGRES = ("postgresql://", "postgres://")
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
# Two names for one provider: the vendor's own and the one of the workflow format.
PROVIDER_ALIASES = {"gemini": "google"}


class SettingsError(Exception):
    """Settings that can't be used. `problems` holds one sentence for each, with its fix."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Settings(BaseModel):
    """What an installation can set. Field `x` is the variable `PARLANCE_X`."""

    model_config = ConfigDict(frozen=True)

    home: Path = Field(default_factory=lambda: user_data_path("parlance", appauthor=False))
    database_url: SecretStr | None = None
    dispatch: Literal["local", "dbos"] = "local"
    model: str | None = None
    force_model: str | None = None
    api_base: str | None = None
    api_key: SecretStr | None = None
    host: str = "127.0.0.1"
    port: int = Field(default=7860, ge=0, le=65535)
    password: SecretStr | None = None
    limits: dict[str, ProviderLimit] = Field(default_factory=dict)
    keys: dict[str, SecretStr] = Field(default_factory=dict, exclude=True)
    secrets: dict[str, SecretStr] = Field(default_factory=dict, exclude=True)

    @field_validator("home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("model", "force_model")
    @classmethod
    def _provider_and_model(cls, value: str | None) -> str | None:
        if value is not None and not all(value.partition("/")):
            raise ValueError("write it as provider/model, for example openai/gpt-5-mini or ollama/qwen3")
        return value

    @field_validator("api_base")
    @classmethod
    def _http_address(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("write a whole address, for example http://127.0.0.1:8000/v1")
        return value

    @field_validator("database_url")
    @classmethod
    def _known_store(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith((SQLITE, *POSTGRES)):
            raise ValueError(
                "write sqlite:////full/path/parlance.db or postgresql://user:password@host:5432/database"
            )
        return value

    @field_validator("limits", mode="before")
    @classmethod
    def _limits_of_providers(cls, value: Any) -> Any:
        return parse_limits(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _base_needs_model(self) -> Settings:
        if self.api_base and not (self.model or self.force_model):
            raise ValueError(
                "PARLANCE_API_BASE goes with PARLANCE_MODEL or PARLANCE_FORCE_MODEL: "
                "set one of them to the model that this address serves, for example openai/my-model"
            )
        return self

    @model_validator(mode="after")
    def _workers_share_a_database(self) -> Settings:
        if self.dispatch == "dbos" and self.postgres_url is None:
            raise ValueError(
                "PARLANCE_DISPATCH=dbos goes with a PostgreSQL database that all workers share: set "
                "PARLANCE_DATABASE_URL to postgresql://user:password@host:5432/database"
            )
        return self

    @property
    def database_path(self) -> Path:
        """The SQLite file: the one of PARLANCE_DATABASE_URL, else parlance.db in the data folder."""
        url = self.database_url.get_secret_value() if self.database_url else ""
        return (
            Path(url.removeprefix(SQLITE)).absolute() if url.startswith(SQLITE) else self.home / "parlance.db"
        )

    @property
    def postgres_url(self) -> SecretStr | None:
        """Where runs are kept, when PARLANCE_DATABASE_URL is a PostgreSQL database."""
        url = self.database_url
        return url if url is not None and url.get_secret_value().startswith(POSTGRES) else None


def read_settings(
    environ: Mapping[str, str] | None = None, folders: tuple[Path, ...] | None = None
) -> Settings:
    """Read the settings; the environment wins over `.env` of the working folder, that one over the project's.

    Raises SettingsError that names everything that is wrong.
    """
    values = _merged(os.environ if environ is None else environ, folders or (ROOT, Path.cwd()))
    problems = _misspelt(values)
    given = {name: values.get(PREFIX + name.upper(), "").strip() for name in _public_fields()}
    named: dict[str, Any] = {name: value for name, value in given.items() if value}
    try:
        settings = Settings(**named, keys=_keys(values), secrets=_secrets(values))
    except ValidationError as error:
        problems += [_sentence(e) for e in error.errors()]
    if problems:
        raise SettingsError(problems)
    return settings


def _public_fields() -> list[str]:
    return [name for name in Settings.model_fields if name not in ("keys", "secrets")]


def _merged(environ: Mapping[str, str], folders: tuple[Path, ...]) -> dict[str, str]:
    from dotenv import dotenv_values

    merged: dict[str, str] = {}
    for folder in dict.fromkeys(folders):
        found = dotenv_values(folder / ".env", interpolate=False)
        merged.update({name: value for name, value in found.items() if value is not None})
    merged.update(environ)
    return merged


def _keys(values: Mapping[str, str]) -> dict[str, SecretStr]:
    """Provider's name -> key, from every `<PROVIDER>_API_KEY` that is set."""
    found: dict[str, SecretStr] = {}
    for name, value in values.items():
        provider = name.removesuffix("_API_KEY").lower()
        if name.endswith("_API_KEY") and not name.startswith(PREFIX) and value.strip():
            found.setdefault(PROVIDER_ALIASES.get(provider, provider), SecretStr(value.strip()))
    return found


def _secrets(values: Mapping[str, str]) -> dict[str, SecretStr]:
    return {
        name.removeprefix(SECRET_PREFIX): SecretStr(value)
        for name, value in values.items()
        if name.startswith(SECRET_PREFIX) and value
    }


def _misspelt(values: Mapping[str, str]) -> list[str]:
    """A variable of ours that is nearly, but not quite, the name of a setting would be ignored in silence."""
    known = {PREFIX + name.upper() for name in _public_fields()}
    problems = []
    for name in sorted(values):
        if not name.startswith(PREFIX) or name in known or name.startswith(SECRET_PREFIX):
            continue
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
        if near:
            problems.append(f"{name} is not a setting. Did you mean {near[0]}?")
    return problems


def _sentence(error: Any) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    if not error["loc"]:
        return message[0].upper() + message[1:] + "."
    return f"{PREFIX}{str(error['loc'][0]).upper()} can't be used: {message[0].lower() + message[1:]}."
