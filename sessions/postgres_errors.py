"""What PostgreSQL's driver says, in our own words: which errors pass, and no word of the URL's secrets."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, unquote

import psycopg
from psycopg import conninfo, errors

from engine.errors import StoreError

SECRETS = ("password", "sslpassword")
_AGAIN = (errors.DeadlockDetected, errors.SerializationFailure, errors.LockNotAvailable)
_GONE = (
    *(errors.CannotConnectNow, errors.AdminShutdown, errors.CrashShutdown),
    errors.IdleInTransactionSessionTimeout,
)


def read_url(url: str) -> dict[str, Any]:
    """The parameters that a URL stands for. StoreError, without a word of it, where it can't be read."""
    try:
        parameters = conninfo.conninfo_to_dict(url)
        if _is_plausible(parameters):
            return parameters
        raise psycopg.ProgrammingError
    except psycopg.Error:
        raise StoreError(
            "The address of the PostgreSQL database can't be read.",
            "Write PARLANCE_DATABASE_URL as postgresql://user:password@host:5432/database, "
            "with signs like @ / : # ? % in the password written as %40 %2F %3A %23 %3F %25.",
        ) from None


def _is_plausible(parameters: dict[str, Any]) -> bool:
    """An unquoted sign in the password makes the rest of it host, port or database, which messages name."""
    port = str(parameters.get("port") or "")
    names = f"{parameters.get('host') or ''}{parameters.get('dbname') or ''}"
    return "@" not in names and all(part.isdigit() or not part for part in port.split(","))


class Translator:
    """Makes a StoreError of a driver's error. `place` is host, port and database, for people to read."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        self._hidden = [str(parameters[name]) for name in SECRETS if parameters.get(name)]
        host = parameters.get("host") or parameters.get("hostaddr") or "the local socket"
        self.place = f"{host}:{parameters.get('port') or 5432}/{parameters.get('dbname') or ''}"

    def __call__(self, error: Exception) -> Exception:
        """The same error where it is not the driver's."""
        if not isinstance(error, psycopg.Error):
            return error
        said = self.hide(str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__)
        if isinstance(error, errors.InsufficientPrivilege):
            return StoreError(
                f"The PostgreSQL database {self.place} does not allow it: {said}.",
                "Give the user of PARLANCE_DATABASE_URL the right to create a schema in the database.",
            )
        if isinstance(error, errors.DiskFull):
            return StoreError(f"The disk of PostgreSQL at {self.place} is full.", "Make room on it.")
        if isinstance(error, psycopg.OperationalError):
            return StoreError(
                f"The PostgreSQL database {self.place} can't be used: {said.rstrip('.')}.",
                "Check that the server runs, and that PARLANCE_DATABASE_URL names it rightly.",
            )
        return StoreError(
            f"The PostgreSQL database {self.place} refused a request: {said.rstrip('.')}.",
            "Please report this.",
        )

    def hide(self, text: str) -> str:
        """The text without the URL's secrets, however they are written."""
        for secret in self._hidden:
            for form in {secret, quote(secret), quote(secret, safe=""), unquote(secret)}:
                text = text.replace(form, "***")
        return text


def may_help_again(error: BaseException) -> bool:
    """Whether the transaction was refused only because of others that ran beside it."""
    return isinstance(error, _AGAIN)


def lost(error: BaseException, connection: psycopg.Connection[Any] | None) -> bool:
    """Whether the connection is gone, or there was none to be had."""
    if isinstance(error, _GONE):
        return True
    return isinstance(error, psycopg.OperationalError) and (connection is None or connection.closed)
