"""Attacks on the sandbox, judged by what happened on the host."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.tools.sandbox.attacks import ATTACKS, PRELUDE, Attack
from tests.tools.sandbox.canaries import Canaries
from tests.tools.sandbox.conftest import Box
from tools.sandbox.pool import SandboxError


@pytest.fixture(scope="module")
def canaries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Canaries]:
    made = Canaries(tmp_path_factory.mktemp("canaries"))
    yield made
    made.close()


def test_there_are_enough_attacks() -> None:
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS) >= 40


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_attack(attack: Attack, box: Box, canaries: Canaries) -> None:
    began = time.monotonic()
    failed: SandboxError | None = None
    try:
        done = box.run(
            PRELUDE + attack.code, canaries.values(), timeout=attack.timeout, memory_mb=attack.memory_mb
        )
        said = f"{done.result!r} {done.stdout} {dict(done.names)!r}"
    except SandboxError as error:
        failed = error
        said = f"{error} {error.stdout}"
    took = time.monotonic() - began
    workers = box.workers()
    assert canaries.touched(workers, said) == []
    assert attack.never is None or attack.never not in said
    assert took < attack.within
    assert len(said) < 200_000
    if attack.expect is None:
        assert failed is None, said
    else:
        assert failed is not None, said[:2000]
        assert attack.expect in str(failed)
        assert "Traceback" not in str(failed)
    assert box.run("result = 6 * 7").result == 42


def test_a_canary_that_is_touched_is_seen(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The judge itself: each kind of harm, done by hand, is found."""
    import os
    import signal
    import socket
    import subprocess
    import sys

    own = Canaries(tmp_path_factory.mktemp("judge"))
    try:
        assert own.touched([], "nothing") == []
        assert own.touched([], f"x{own.secret}x") == ["the secret came out"]
        with socket.create_connection(("127.0.0.1", own.values()["port"])):
            assert own.touched([], "") == ["a socket was reached"]
            own.tcp.accept()[0].close()
        os.kill(os.getpid(), signal.SIGUSR1)
        assert "signals arrived" in own.touched([], "")[0]
        own.signals.clear()
        (own.folder / "new").touch()
        assert own.touched([], "") == ["files were changed"]
        (own.folder / "new").unlink()
        child = subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(60)", "sandbox-canary-process"]
        )
        try:
            found = own.touched([os.getpid()], "")
            assert any("processes were started" in each for each in found)
            assert "a process of the attack is alive" in found
        finally:
            child.kill()
            child.wait()
    finally:
        own.close()
