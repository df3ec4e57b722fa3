"""Keys and the chosen model, kept in one file of the data folder that only its owner can read.

Never in the database: that is copied, exported and looked into. The file is replaced as a whole, so that a
crash leaves the old one or the new one.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.errors import StoreError
from engine.models.choice import Chosen
from engine.models.redact import redact

FILE = "credentials.json"


class Credentials:
    """What was set on the page: {"keys": {provider: key}, "model": …, "api_base": …} in credentials.json.

    The file is read again when it has changed, so that the server and the command line agree. Raises
    StoreError when it can't be read or written.
    """

    def __init__(self, home: Path) -> None:
        self.path = home / FILE
        self._seen: tuple[int, int] | None = None
        self._data: dict[str, Any] = {}

    def keys(self) -> Mapping[str, str]:
        """Provider to key."""
        return dict(self._read().get("keys", {}))

    def set_key(self, provider: str, key: str | None) -> None:
        """Keep a key, or forget it with None."""
        data = self._read()
        keys = {name: value for name, value in data.get("keys", {}).items() if name != provider}
        self._write({**data, "keys": keys if key is None else {**keys, provider: key}})

    def chosen(self) -> Chosen | None:
        data = self._read()
        return Chosen(data["model"], data.get("api_base")) if data.get("model") else None

    def choose(self, chosen: Chosen | None) -> None:
        data = {name: value for name, value in self._read().items() if name not in ("model", "api_base")}
        picked = {} if chosen is None else {"model": chosen.model, "api_base": chosen.api_base}
        self._write(data | {name: value for name, value in picked.items() if value is not None})

    def forget(self) -> None:
        """Every key and the choice, and what a crash has left of writing them."""
        try:
            for path in (self.path, *self.path.parent.glob(f".{FILE}.*")):
                path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(
                f"{self.path} can't be deleted: {error.strerror}.", "Check the folder's permissions."
            ) from None
        self._seen = None

    def redact(self, text: str) -> str:
        """`text` with every key that is kept here, and whatever looks like one, taken out."""
        return redact(text, self.keys().values())

    def _read(self) -> dict[str, Any]:
        try:
            found = self.path.stat()
            seen = (found.st_mtime_ns, found.st_ino)
            if seen != self._seen:
                self._data = _checked(json.loads(self.path.read_text(encoding="utf-8")))
                self._seen = seen
        except FileNotFoundError:
            self._data, self._seen = {}, None
        except (OSError, ValueError) as error:
            raise StoreError(
                f"{self.path} can't be read: {type(error).__name__}.", "Mend or delete the file."
            ) from None
        return self._data

    def _write(self, data: Mapping[str, Any]) -> None:
        """Replace the file; a temporary one is made with mode 0600 from the start."""
        temporary: str | None = None
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=f".{FILE}.")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(data, file, indent=2)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self.path)
        except OSError as error:
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)
            raise StoreError(
                f"{self.path} can't be written: {error.strerror}.", "Check the folder's permissions."
            ) from None
        self._seen = None


def _checked(data: Any) -> dict[str, Any]:
    """The file's content, when it has the shape that this module writes. Raises ValueError."""
    keys = data.get("keys", {}) if isinstance(data, dict) else None
    if not isinstance(keys, dict) or not all(isinstance(v, str) for v in keys.values()):
        raise ValueError("not the shape of a credentials file")
    return dict(data)
