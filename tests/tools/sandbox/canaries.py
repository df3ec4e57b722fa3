"""What an attack would have to touch on this machine, and whether it did. The guest's own word counts for nothing."""

from __future__ import annotations

import os
import secrets
import select
import signal
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

MARK = "sandbox-canary"
VARIABLE = "PARLANCE_SANDBOX_CANARY"


@dataclass
class Canaries:
    """A secret in a file, in a variable and behind a link; sockets that count; a folder; handlers of signals."""

    folder: Path
    secret: str = field(default_factory=lambda: secrets.token_hex(16))
    signals: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.file = self.folder / "secret.txt"
        self.file.write_text(self.secret)
        self.link = self.folder / "harmless.txt"
        self.link.symlink_to(self.file)
        self._before = os.environ.get(VARIABLE, "")
        os.environ[VARIABLE] = self.secret
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.unix = socket.socket(socket.AF_UNIX)
        self.unix.bind(str(self.folder / "socket"))
        self.unix.listen()
        self._handlers = {
            n: signal.signal(n, self._heard) for n in (signal.SIGUSR1, signal.SIGTERM, signal.SIGALRM)
        }
        self.files = self._files()
        self.hidden = {"the secret": self.secret, "PATH": os.environ["PATH"], "where Python is": sys.prefix}
        self.hidden["/etc/passwd"] = Path("/etc/passwd").read_text().splitlines()[0]

    def _heard(self, number: int, _: Any) -> None:
        self.signals.append(number)

    def _files(self) -> dict[str, tuple[int, int]]:
        found = (p.lstat() for p in sorted(self.folder.rglob("*")))
        names = [str(p) for p in sorted(self.folder.rglob("*"))]
        return {name: (stat.st_mode, stat.st_size) for name, stat in zip(names, found, strict=True)}

    def values(self) -> dict[str, Any]:
        """What the attacks are told, so that they need not search."""
        return {
            "file": str(self.file),
            "folder": str(self.folder),
            "link": str(self.link),
            "unix": str(self.folder / "socket"),
            "port": self.tcp.getsockname()[1],
            "udp": self.udp.getsockname()[1],
            "pid": os.getpid(),
            "mark": MARK,
        }

    def touched(self, workers: list[int], said: str) -> list[str]:
        """All signs that something got out. `said` is all text that came from the run."""
        found = []
        found += [f"{name} came out" for name, text in self.hidden.items() if text in said]
        if self.file.read_text() != self.secret or self._files() != self.files:
            found.append("files were changed")
        if select.select([self.tcp, self.udp, self.unix], [], [], 0)[0]:
            found.append("a socket was reached")
        if self.signals:
            found.append(f"signals arrived: {self.signals}")
        found += self._processes(workers)
        return found

    def _processes(self, workers: list[int]) -> list[str]:
        """Processes that a worker has started, files that it holds, and what it has written."""
        found = []
        for pid in workers:
            try:
                worker = psutil.Process(pid)
                started = worker.children(recursive=True)
                if started:
                    found.append(f"processes were started: {started}")
                files = [f for f in worker.open_files() if not (f.path.endswith(".cwasm") and f.mode == "r")]
                if files:
                    found.append(f"files are open: {files}")
                if worker.net_connections():
                    found.append(f"connections are open: {worker.net_connections()}")
                if worker.environ():
                    found.append("a worker has an environment")
                if worker.memory_info().rss > 1200 << 20:
                    found.append("a worker holds over 1200 MB")
            except psutil.NoSuchProcess:
                continue
        lines = (process.info["cmdline"] or () for process in psutil.process_iter(["cmdline"]))
        alive = any(part.startswith(f"{MARK}-process") for line in lines for part in line)
        return [*found, "a process of the attack is alive"] if alive else found

    def close(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        for each in (self.tcp, self.udp, self.unix):
            each.close()
        os.environ[VARIABLE] = self._before
