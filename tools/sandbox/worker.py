"""A process that runs code in the guest, one run after another, each in a fresh instance that is thrown away after.

It holds no secret, has an empty environment, and ends when its pipe does, which is when the process that started it
dies in any way. What the guest says is passed on, never acted upon.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Mapping
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from tools.sandbox import frames
from tools.sandbox.machine import THREAD_STACK, make_engine, make_linker, make_store

if TYPE_CHECKING:
    from wasmtime import Engine, Store
    from wasmtime.component import Func

LARGEST_PRINTED = 64 << 10
LARGEST_REPORT = 4 << 20
LARGEST_CALL = 1 << 20
MEGABYTE = 1 << 20
TABLE_ELEMENTS = 100_000
ROOM_FOR_COPIES = 192 * MEGABYTE
FIRST: Mapping[str, Any] = {
    "code": "import time; time.sleep(0.001)",
    "inputs": {},
    "tools": [],
    "allowed_modules": None,
}


class Broken(Exception):
    """The guest broke the rules of the pipe, or said too much; the message says how."""


class Pipe:
    """The two ends that were standard input and output; nothing else in this process may write to them."""

    def __init__(self) -> None:
        self._in, self._out = os.dup(0), os.dup(1)
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nothing, number)
        os.close(nothing)
        self.received: SimpleQueue[tuple[bytes, str]] = SimpleQueue()

    def read_all(self) -> None:
        """Runs in a thread of its own: the end of the pipe ends the process, whatever it is doing."""
        while True:
            kind, length = frames.HEADER.unpack(self._exactly(frames.HEADER.size))
            self.received.put((kind, self._exactly(length).decode("utf-8", "surrogatepass")))

    def _exactly(self, length: int) -> bytes:
        parts = []
        while length:
            part = os.read(self._in, min(length, MEGABYTE))
            if not part:
                os._exit(0)
            parts.append(part)
            length -= len(part)
        return b"".join(parts)

    def send(self, kind: bytes, text: str) -> None:
        data = memoryview(frames.pack(kind, text))
        while data:
            try:
                data = data[os.write(self._out, data) :]
            except BrokenPipeError:
                os._exit(0)


class Deadline:
    """Raises the engine's epoch when the time is up, from a thread of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._changed = threading.Condition()
        self._at: float | None = None
        self.passed = False
        threading.Thread(target=self._watch, daemon=True).start()

    def arm(self, seconds: float) -> None:
        with self._changed:
            self._at = time.monotonic() + seconds
            self.passed = False
            self._changed.notify()

    def disarm(self) -> float:
        """Stop the clock; the seconds that were left."""
        with self._changed:
            left = 0.0 if self._at is None else max(0.0, self._at - time.monotonic())
            self._at = None
            return left

    def _watch(self) -> None:
        with self._changed:
            while True:
                if self._at is None:
                    self._changed.wait()
                elif (left := self._at - time.monotonic()) > 0:
                    self._changed.wait(left)
                else:
                    self._at = None
                    self.passed = True
                    self._engine.increment_epoch()


class Worker:
    """The guest, loaded; and an instance that is ready before it is asked for.

    The first run is our own: wasmtime starts its threads when a guest waits for the first time, and may start none
    later.
    """

    def __init__(self, artifact: str, pipe: Pipe) -> None:
        from wasmtime.component import Component

        self.pipe = pipe
        self.engine = make_engine()
        self.component = Component.deserialize_file(self.engine, artifact)
        self.linker = make_linker(self.engine, self.component, self._host)
        self.deadline = Deadline(self.engine)
        self.request = ""
        self.printed = 0
        self.ended = False
        self.first = True
        self.ready = self._instance()
        self.run({"timeout": 10, "memory_mb": 64}, json.dumps(FIRST))
        self.first = False

    def _instance(self) -> tuple[Store, Func]:
        """What the next run takes place in."""
        store = make_store(self.engine)
        run = self.linker.instantiate(store, self.component).get_func(store, "run")
        if run is None:
            raise ValueError("the guest has no function run")
        return store, run

    def run(self, limits: Mapping[str, Any], request: str) -> None:
        """One run, to its end; reports it. `request` is the guest's, passed on as it is."""
        store, function = self.ready
        self.request, self.printed, self.ended = request, 0, False
        self._limit(store, limits["memory_mb"] * MEGABYTE)
        try:
            ended, detail = self._call(store, function, limits["timeout"])
        finally:
            store.close()
        if self.first and ended != "returned":
            raise ValueError(f"the guest does not run ({ended} {detail})")
        self._send(frames.DONE, json.dumps({"ended": ended, "detail": detail}))
        self.request = ""
        self.ready = self._instance()

    def _call(self, store: Store, function: Func, timeout: float) -> tuple[str, str]:
        from wasmtime import WasmtimeError

        store.set_epoch_deadline(1)
        self.deadline.arm(timeout)
        try:
            function(store)
            return ("returned" if self.ended else "silent"), ""
        except Broken as error:
            return "broken", str(error)
        except MemoryError:
            return "memory", ""
        except WasmtimeError as error:
            if self.deadline.passed:
                return "timeout", ""
            return "trapped", str(error)[-500:]
        finally:
            self.deadline.disarm()

    def _limit(self, store: Store, memory: int) -> None:
        store.set_limits(
            memory_size=memory, table_elements=TABLE_ELEMENTS, instances=1000, tables=1000, memories=100
        )
        limit_data(memory + ROOM_FOR_COPIES)

    def _host(self, _: object, kind: str, payload: str) -> str:
        """The guest's one call. Broken ends the run."""
        if self.ended:
            raise Broken("It went on after its report.")
        if kind == "request":
            return self.request
        if kind == "print":
            self._print(payload)
            return ""
        if kind == "tool":
            return self._tool(payload)
        if kind == "end":
            if len(payload) > LARGEST_REPORT:
                raise Broken(f"The result is larger than {LARGEST_REPORT >> 20} MB.")
            self.ended = True
            self._send(frames.REPORT, payload)
            return ""
        raise Broken("It asked for what the sandbox does not have.")

    def _print(self, text: str) -> None:
        room = LARGEST_PRINTED - self.printed
        if room > 0:
            self.printed += len(text)
            cut = text if len(text) <= room else f"{text[:room]}\n… (cut after {LARGEST_PRINTED >> 10} kB)\n"
            self._send(frames.PRINTED, cut)

    def _send(self, kind: bytes, text: str) -> None:
        if not self.first:
            self.pipe.send(kind, text)

    def _tool(self, payload: str) -> str:
        """Waiting for a tool does not count: the host's own time limit holds for that."""
        if len(payload) > LARGEST_CALL:
            raise Broken(f"The arguments of a tool are larger than {LARGEST_CALL >> 20} MB.")
        left = self.deadline.disarm()
        self.pipe.send(frames.TOOL, payload)
        kind, text = self.pipe.received.get()
        if kind != frames.ANSWER:
            os._exit(3)
        self.deadline.arm(left)
        return text


def shut_in() -> None:
    """What the system itself can take away from this process: files, further processes, core dumps."""
    if os.name == "nt":
        return
    import resource

    # No more threads or processes; the ones that this process needs run already. Root is exempt from this one.
    for name, value in (("RLIMIT_CORE", 0), ("RLIMIT_FSIZE", 0), ("RLIMIT_NOFILE", 16), ("RLIMIT_NPROC", 0)):
        limit = getattr(resource, name, None)
        if limit is not None:
            resource.setrlimit(limit, (value, value))


def limit_data(more: int) -> None:
    """On Linux: how much memory of its own the process may have beyond what it has now. `more` in bytes."""
    if sys.platform != "linux":
        return
    import resource

    with open("/proc/self/statm", encoding="ascii") as file:
        pages = int(file.read().split()[5])
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (pages * resource.getpagesize() + more, hard))


def main(artifact: str) -> None:
    """Serve runs until the pipe ends, in a thread that has the stack for it."""
    threading.stack_size(THREAD_STACK)
    thread = threading.Thread(target=serve, args=(artifact,))
    thread.start()
    thread.join()


def serve(artifact: str) -> None:
    """Load the guest, say so, and serve."""
    pipe = Pipe()
    threading.stack_size(0)
    try:
        worker = Worker(artifact, pipe)
        threading.Thread(target=pipe.read_all, daemon=True).start()
        shut_in()
    except Exception as error:  # noqa: BLE001  (whatever it is, the pool is told why)
        pipe.send(frames.BROKEN, f"{type(error).__name__}: {error}")
        return
    pipe.send(frames.HELLO, "")
    try:
        while True:
            kind, text = pipe.received.get()
            if kind != frames.RUN:
                os._exit(3)
            limits, _, request = text.partition("\n")
            worker.run(json.loads(limits), request)
    except Exception:  # noqa: BLE001  (a fault of ours: the pool says that the process ended with this code)
        os._exit(4)


if __name__ == "__main__":
    main(sys.argv[1])
