"""What the command line is handed: the parts of the application, each made when it is first asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from chat.service import ChatService
    from engine.engine import Engine
    from engine.models import Models
    from engine.timetable import Timetable
    from sessions.files import FileStore
    from sessions.postgres import Postgres
    from sessions.workflows import Workflows
    from tools.registry import ToolRegistry
    from tools.sandbox.pool import Sandbox

OWNER = "local"


class House(Protocol):
    """The composition root as the command line sees it. `version` is the program's, `home` the data folder."""

    version: str
    home: Path
    database_path: Path
    host: str
    port: int

    @property
    def postgres(self) -> Postgres | None:
        """Where runs are kept, when that is not the database at `database_path`."""
        ...

    @property
    def tools(self) -> ToolRegistry: ...

    @property
    def models(self) -> Models: ...

    @property
    def sandbox(self) -> Sandbox: ...

    @property
    def engine(self) -> Engine: ...

    @property
    def workflows(self) -> Workflows: ...

    @property
    def files(self) -> FileStore: ...

    @property
    def timetable(self) -> Timetable: ...

    @property
    def service(self) -> ChatService: ...

    def force_model(self, model: str) -> None:
        """Send every model call of this process to `model`."""
        ...

    def serve(self, host: str, port: int) -> None:
        """Serve page and API until the process is told to stop."""
        ...

    async def close(self) -> None: ...
