"""Makes the guest, once per machine: componentize-py builds it (10 s), wasmtime compiles it (5 to 30 s, 450 MB).

`python -m tools.sandbox.build` does so at set-up. What it makes is machine code that is loaded without a further
look, so it is kept, and only taken, from a folder that nobody but its owner can write to. Everybody who may run code
imports this module, so it imports little itself.
"""

from __future__ import annotations

import os
import platform
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
GUEST = HERE / "guest"
BUILD = "1"  # raised when this module makes something else of the same sources
KEPT = 3
_COMPONENTIZE = "import sys, componentize_py; sys.exit(componentize_py.script())"


class BuildError(Exception):
    """The guest cannot be made here; a plain sentence."""


def default_folder() -> Path:
    """Inside the environment where that is ours to write, so that it goes when the environment goes; else the cache."""
    environment = Path(sys.prefix)
    if sys.prefix != sys.base_prefix and _may_hold(environment):
        return environment / "share" / "parlance-sandbox"
    from platformdirs import user_cache_path

    return user_cache_path("parlance") / "sandbox"


def _may_hold(environment: Path) -> bool:
    return os.access(environment, os.W_OK) and (os.name == "nt" or environment.stat().st_uid == os.geteuid())


def key() -> str:
    """Changes with whatever changes the artifact: sources, tools, Python, the kind of machine."""
    import hashlib
    from importlib.metadata import version

    digest = hashlib.sha256()
    for path in (*sorted(GUEST.glob("*.py")), *sorted(GUEST.glob("*.wit")), HERE / "machine.py"):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    parts = (
        BUILD,
        version("componentize-py"),
        version("wasmtime"),
        sys.version,
        sys.platform,
        platform.machine(),
    )
    digest.update("\0".join(parts).encode())
    return digest.hexdigest()[:20]


def artifact(folder: Path) -> Path:
    """Where the compiled guest of this version stands, or would stand."""
    return folder / f"python-{key()}.cwasm"


def distrust(path: Path) -> str | None:
    """Why a file's machine code must not be loaded; None when it and its folder are the user's alone."""
    if os.name == "nt":
        return None
    for each in (path, path.parent):
        found = each.lstat()
        if stat.S_ISLNK(found.st_mode):
            return f"{each} is a link."
        if found.st_uid != os.geteuid():
            return f"{each} belongs to another user."
        if found.st_mode & 0o022:
            return f"Others may write to {each}."
    return None


def ensure(folder: Path, *, anew: bool = False) -> Path:
    """The compiled guest, made now if it is not there, or in any case with `anew`.

    BuildError; OSError when the folder cannot be written.
    """
    import tempfile

    private(folder)
    path = artifact(folder)
    with lock(folder / "lock"):
        if anew or not path.exists():
            with tempfile.TemporaryDirectory(dir=folder, prefix="build-") as inner:
                make(Path(inner), path)
            tidy(folder, path)
    reason = distrust(path)
    if reason:
        raise BuildError(reason)
    return path


def private(folder: Path) -> None:
    """The folder, there and open to its owner only. BuildError when it is somebody else's."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if os.name == "nt":
        return
    if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
        raise BuildError(f"{folder} is a link or belongs to another user.")
    folder.chmod(0o700)


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """One process at a time; the system gives the lock back when its holder dies."""
    with path.open("a+b") as file:
        if sys.platform == "win32":
            import msvcrt

            while True:
                try:
                    msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
                    break
                except OSError:
                    time.sleep(0.2)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def make(work: Path, path: Path) -> None:
    """Build in `work`, compile, and put the result at `path` in one step."""
    component = work / "guest.wasm"
    componentize(stage(work / "source"), component)
    compiled = work / "guest.cwasm"
    compile_guest(component, compiled)
    compiled.chmod(0o600)
    compiled.replace(path)


def stage(source: Path) -> Path:
    """The guest's sources alone, as the packages that they are, with the time zones of this machine."""
    import shutil

    inner = source / "tools" / "sandbox" / "guest"
    inner.mkdir(parents=True)
    for package in (source / "tools", source / "tools" / "sandbox"):
        (package / "__init__.py").touch()
    for path in GUEST.glob("*.py"):
        shutil.copy(path, inner)
    (source / "zone_files.py").write_text(f"ZONES = {zones()!r}\n", encoding="utf-8")
    return source


def zones() -> dict[str, bytes]:
    """Every time zone's file, from the system or the package tzdata; empty where there is neither."""
    import zoneinfo
    from importlib import resources

    found: dict[str, bytes] = {}
    for name in sorted(zoneinfo.available_timezones()):
        file = next((p for folder in zoneinfo.TZPATH if (p := Path(folder, name)).is_file()), None)
        if file is None:
            package, _, leaf = f"tzdata/zoneinfo/{name}".rpartition("/")
            found[name] = (resources.files(package.replace("/", ".")) / leaf).read_bytes()
        else:
            found[name] = file.read_bytes()
    return found


def componentize(source: Path, component: Path) -> None:
    """Run componentize-py in a process of its own. BuildError with what it said."""
    command = [sys.executable, "-c", _COMPONENTIZE, "-q", "-d", str(GUEST / "sandbox.wit"), "-w", "sandbox"]
    command += ["componentize", "-p", str(source), "tools.sandbox.guest.app", "-o", str(component)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode or not component.exists():
        raise BuildError(
            f"componentize-py could not build the guest: {(done.stderr or done.stdout).strip()[-600:]}"
        )


def compile_guest(component: Path, compiled: Path) -> None:
    """WebAssembly to this machine's code."""
    from wasmtime import WasmtimeError
    from wasmtime.component import Component

    from tools.sandbox.machine import make_engine

    try:
        compiled.write_bytes(Component.from_file(make_engine(), component).serialize())
    except WasmtimeError as error:
        raise BuildError(f"wasmtime could not compile the guest: {error}") from None


def tidy(folder: Path, newest: Path) -> None:
    """Remove what earlier versions and builds that were killed have left. Called under the lock."""
    import shutil

    for left in folder.glob("build-*"):
        shutil.rmtree(left, ignore_errors=True)
    others = sorted(folder.glob("python-*.cwasm"), key=lambda p: p.stat().st_mtime, reverse=True)
    for old in [p for p in others if p != newest][KEPT - 1 :]:
        old.unlink(missing_ok=True)


def main(arguments: list[str]) -> int:
    import argparse

    parser = argparse.ArgumentParser(prog="python -m tools.sandbox.build", description=__doc__)
    parser.add_argument("--folder", type=Path, help="where the compiled guest is kept")
    parser.add_argument("--anew", action="store_true", help="also when it is there already")
    given = parser.parse_args(arguments)
    try:
        ensure(given.folder or default_folder(), anew=given.anew)
    except (BuildError, OSError) as error:
        sys.stderr.write(f"The sandbox could not be built. {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
