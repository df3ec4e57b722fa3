"""Workers: started, killed, replaced, let go; and the guest that they load."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from tests.patience import within
from tools.sandbox import build, pool
from tools.sandbox.pool import Sandbox, SandboxError, SandboxRetry

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    made = Sandbox(size=2)
    yield made
    await made.close()


def gone(pids: list[int], seconds: float = 5.0) -> bool:
    """Whether these processes end within the time. One that only waits to be collected has ended."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not any(alive(pid) for pid in pids):
            return True
        time.sleep(0.02)
    return False


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def pids(sandbox: Sandbox) -> list[int]:
    return [worker.pid for worker in (*sandbox._idle, *sandbox._busy)]


async def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def test_nothing_starts_before_it_is_needed(sandbox: Sandbox) -> None:
    assert sandbox.available() is None
    assert pids(sandbox) == []
    sandbox.warm()
    await until(lambda: pids(sandbox))
    first = pids(sandbox)
    assert (await sandbox.run("result = 1", {})).result == 1
    assert pids(sandbox) == first


async def test_a_worker_is_used_again_and_replaced_after_many_runs(sandbox: Sandbox) -> None:
    await sandbox.run("result = 1", {})
    (first,) = pids(sandbox)
    await sandbox.run("1 / 1", {})
    assert pids(sandbox) == [first]
    sandbox._idle[0].runs = pool.RUNS_PER_WORKER
    await sandbox.run("result = 1", {})
    assert await asyncio.to_thread(gone, [first])
    await until(lambda: pids(sandbox))


async def test_a_worker_that_is_killed_is_replaced_and_the_run_may_be_tried_again(sandbox: Sandbox) -> None:
    await sandbox.run("result = 1", {})
    (first,) = pids(sandbox)
    run = asyncio.create_task(sandbox.run("while True: pass", {}))
    await asyncio.sleep(0.1)
    os.kill(first, signal.SIGKILL)
    with pytest.raises(SandboxRetry, match="most likely because memory ran out"):
        await run
    assert (await sandbox.run("result = 2", {})).result == 2
    assert first not in pids(sandbox)


async def test_an_idle_worker_that_died_is_noticed(sandbox: Sandbox) -> None:
    await sandbox.run("result = 1", {})
    (first,) = pids(sandbox)
    os.kill(first, signal.SIGKILL)
    assert await asyncio.to_thread(gone, [first])
    await asyncio.sleep(0.1)
    assert (await sandbox.run("result = 3", {})).result == 3


async def test_a_worker_that_does_not_answer_any_more_is_killed(sandbox: Sandbox) -> None:
    await sandbox.run("result = 1", {})
    (first,) = pids(sandbox)
    os.kill(first, signal.SIGSTOP)
    await until(lambda: psutil.Process(first).status() == psutil.STATUS_STOPPED)
    with pytest.raises(SandboxError, match=r"did not end within 0\.2 s"):
        await sandbox.run("result = 1", {}, timeout=0.2)
    assert await asyncio.to_thread(gone, [first])
    assert (await sandbox.run("result = 5", {})).result == 5


async def test_workers_that_nobody_needs_are_let_go_but_for_one() -> None:
    sandbox = Sandbox(size=3, idle_seconds=0.2)
    try:
        nap = "import time; time.sleep(0.3)"
        await asyncio.gather(*(sandbox.run(nap, {}) for _ in range(3)))
        before = pids(sandbox)
        assert len(before) == 3
        await until(lambda: len(pids(sandbox)) == 1)
        assert await asyncio.to_thread(gone, [pid for pid in before if pid not in pids(sandbox)])
        assert (await sandbox.run("result = 6", {})).result == 6
    finally:
        await sandbox.close()


async def test_a_run_that_is_cancelled_leaves_no_process(sandbox: Sandbox) -> None:
    await sandbox.run("result = 1", {})
    (first,) = pids(sandbox)
    run = asyncio.create_task(sandbox.run("while True: pass", {}))
    await asyncio.sleep(0.1)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert await asyncio.to_thread(gone, [first])
    assert (await sandbox.run("result = 4", {})).result == 4


async def test_closing_ends_all_workers_and_what_runs_on_them() -> None:
    sandbox = Sandbox(size=2)
    await sandbox.run("result = 1", {})
    run = asyncio.create_task(sandbox.run("import time; time.sleep(60)", {}))
    await asyncio.sleep(0.1)
    before = pids(sandbox)
    await sandbox.close()
    with pytest.raises(SandboxError):
        await run
    assert await asyncio.to_thread(gone, before)
    with pytest.raises(SandboxError, match="closed"):
        await sandbox.run("result = 1", {})
    assert pids(sandbox) == []


async def test_a_worker_has_no_environment_and_small_limits(sandbox: Sandbox) -> None:
    await sandbox.run("result = 1", {})
    (worker,) = (psutil.Process(pid) for pid in pids(sandbox))
    assert worker.environ() == {}
    assert worker.cwd() == "/"
    assert os.getpgid(worker.pid) == worker.pid
    limits = Path(f"/proc/{worker.pid}/limits").read_text().splitlines()
    found = {line[:26].strip(): line[26:].split()[0] for line in limits}
    assert found["Max core file size"] == "0"
    assert found["Max file size"] == "0"
    assert found["Max processes"] == "0"
    assert int(found["Max open files"]) <= 16
    assert int(found["Max data size"]) < 1 << 30


@pytest.mark.slow
def test_no_worker_outlives_its_parent(tmp_path: Path) -> None:
    """kill -9 of the process that started them: one worker idle, one in a loop, one asleep."""
    script = tmp_path / "parent.py"
    script.write_text(
        """
import asyncio
from tools.sandbox.pool import Sandbox
async def main():
    box = Sandbox(size=3)
    await asyncio.gather(*(box.run("import time; time.sleep(0.2)", {}) for _ in range(3)))
    runs = [asyncio.create_task(box.run(c, {})) for c in ("while True: pass", "import time; time.sleep(60)")]
    await asyncio.sleep(0.2)
    print(*(w.pid for w in (*box._idle, *box._busy)), flush=True)
    await asyncio.gather(*runs)
asyncio.run(main())
"""
    )
    parent = subprocess.Popen(
        [sys.executable, str(script)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert parent.stdout is not None
    with parent.stdout:
        workers = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(workers) == 3
        assert all(alive(pid) for pid in workers)
        parent.kill()
        parent.wait()
    assert gone(workers, 3)


USER = """
import asyncio, os, sys
from pathlib import Path
from tools.sandbox.pool import Sandbox

CODE = '''
import sys, time, random
time.sleep(0.05)
print('x', file=sys.__stdout__, flush=True)
result = [random.random() < 1, sys.stdin.read()]
for f in (lambda: sys.modules['socket'].getaddrinfo('localhost', 80), lambda: sys.modules['socket'].socket()):
    try: f()
    except OSError as e: result.append('no')
'''

async def main():
    box = Sandbox(Path(sys.argv[1]))
    assert box.available() is None, box.available()
    done = [(await box.run(CODE, {})).result for _ in range(3)]
    await box.close()
    print(os.geteuid(), done)

asyncio.run(main())
"""


@pytest.mark.slow
async def test_an_ordinary_user_has_it_too(tmp_path: Path) -> None:
    """The system's limit on processes holds for everybody but root: waiting must work without new threads."""
    copy = await copied_guest(tmp_path / "guest")
    script = tmp_path / "user.py"
    script.write_text(USER)
    command = [sys.executable, "-B", str(script), str(copy.parent)]
    if os.geteuid() == 0:
        for path in (tmp_path, copy.parent, copy):
            os.chown(path, 65534, 65534)
        reading = "+dac_read_search,+dac_override"
        user = ["--reuid=65534", "--regid=65534", "--clear-groups"]
        command = ["setpriv", *user, f"--inh-caps={reading}", f"--ambient-caps={reading}", *command]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, cwd=ROOT, env=env, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    uid, _, said = done.stdout.partition(" ")
    assert uid != "0"
    assert said.strip() == str([[True, "", "no", "no"]] * 3)


async def copied_guest(folder: Path) -> Path:
    """A folder of its own with the guest as it was built."""
    source = build.artifact(build.default_folder())
    if not source.exists():
        await asyncio.to_thread(build.ensure, build.default_folder())
    folder.mkdir(mode=0o700)
    copy = folder / source.name
    await asyncio.to_thread(shutil.copy, source, copy)
    copy.chmod(0o600)
    return copy


async def test_a_guest_that_others_could_have_written_is_not_loaded(tmp_path: Path) -> None:
    copy = await copied_guest(tmp_path / "guest")
    for path, mode in ((copy, 0o622), (copy.parent, 0o777)):
        before = path.stat().st_mode
        path.chmod(mode)
        sandbox = Sandbox(copy.parent)
        assert "not safe to load" in str(sandbox.available())
        with pytest.raises(SandboxError, match="not safe to load"):
            await sandbox.run("result = 1", {})
        assert pids(sandbox) == []
        path.chmod(before)
    real = copy.with_name("real")
    copy.rename(real)
    copy.symlink_to(real)
    assert "is a link" in str(Sandbox(copy.parent).available())


async def test_building_again_takes_what_is_there(tmp_path: Path) -> None:
    copy = await copied_guest(tmp_path / "guest")
    began = time.monotonic()
    assert await asyncio.to_thread(build.ensure, copy.parent) == copy
    assert build.main(["--folder", str(copy.parent)]) == 0
    assert time.monotonic() - began < within(2)


def test_one_process_at_a_time_builds(tmp_path: Path) -> None:
    order: list[str] = []

    def work(name: str) -> None:
        with build.lock(tmp_path / "lock"):
            order.append(f"{name} in")
            time.sleep(0.1)
            order.append(f"{name} out")

    threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.split()[0] for each in order[::2]] == [each.split()[0] for each in order[1::2]]


def test_old_guests_are_tidied_away(tmp_path: Path) -> None:
    newest = tmp_path / "python-new.cwasm"
    for age, name in enumerate(("new", "a", "b", "c", "d")):
        path = tmp_path / f"python-{name}.cwasm"
        path.touch()
        os.utime(path, (1e9 - age, 1e9 - age))
    (tmp_path / "build-left").mkdir()
    build.tidy(tmp_path, newest)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "python-a.cwasm",
        "python-b.cwasm",
        "python-new.cwasm",
    ]


async def test_where_the_guest_cannot_be_built_the_reason_is_said(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("not a folder")
    sandbox = Sandbox(place)
    with pytest.raises(SandboxError, match="could not be built"):
        await sandbox.run("result = 1", {})
    assert "could not be built" in str(sandbox.available())
    with pytest.raises(SandboxError, match="could not be built"):
        await sandbox.run("result = 1", {})


@pytest.mark.slow
async def test_a_damaged_guest_is_built_anew(tmp_path: Path) -> None:
    """In a process of its own: what keeps the event loop busy fails any test."""
    folder = tmp_path / "guest"
    folder.mkdir(mode=0o700)
    path = build.artifact(folder)
    path.write_bytes(b"not machine code")
    path.chmod(0o600)
    sandbox = Sandbox(folder)
    try:
        assert (await sandbox.run("result = 6 * 7", {})).result == 42
    finally:
        await sandbox.close()
    assert path.stat().st_size > 1 << 20
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(p.name for p in folder.iterdir()) == ["lock", path.name]
