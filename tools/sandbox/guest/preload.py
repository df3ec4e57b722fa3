"""Imports, at build time, all that may be imported later: the running guest has no file to read a module from."""

from __future__ import annotations

import io
import pkgutil
import sys
import warnings
import zoneinfo
from contextlib import suppress
from importlib import import_module
from typing import Any

from tools.sandbox.guest.modules import LEFT_OUT, OFFERED


def everything() -> None:
    """The standard library as far as it runs here, with what it loads late, and the time zones."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in sorted(sys.stdlib_module_names - LEFT_OUT):
            _try(name)
        for package in (*OFFERED, "encodings", "concurrent", "importlib", "compression"):
            _submodules(package)
    for name in OFFERED:
        import_module(name)
    _time_zones()


def _submodules(package: str) -> None:
    for path in getattr(sys.modules.get(package), "__path__", ()):
        for found in pkgutil.iter_modules([path], f"{package}."):
            name = found.name.rpartition(".")[2]
            if name == "__main__" or "test" in name:
                continue
            _try(found.name)
            if found.ispkg:
                _submodules(found.name)


def _try(name: str) -> None:
    """Some of the standard library needs what WebAssembly has not (mbcs, ssl); it is left out."""
    with suppress(Exception, SystemExit):
        import_module(name)


def _time_zones() -> None:
    """`zoneinfo` reads files; here it reads the module that the build has made of them."""
    try:
        files: dict[str, bytes] = import_module("zone_files").ZONES
    except ImportError:
        return
    common: Any = import_module("zoneinfo._common")

    def load_tzdata(key: str) -> io.BytesIO:
        if key not in files:
            raise common.ZoneInfoNotFoundError(f"No time zone found with key {key}")
        return io.BytesIO(files[key])

    common.load_tzdata = load_tzdata
    zoneinfo.available_timezones = lambda: set(files)
