"""Parlance: the composition root. Everything is built here, once, when it is first needed, and closed here.

python app.py            serve the page and the HTTP API
python app.py --help     all verbs
"""

from __future__ import annotations

import logging
import sys
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from chat.terminal.main import WRONG_USE, main
from configs.settings import Settings, SettingsError, read_settings
from engine.errors import ParlanceError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from chat.assistant import Assistant
    from chat.assistant.nearest import Nearest
    from chat.proof import Proofs
    from chat.service import ChatService
    from engine.dispatch import MakeDispatcher
    from engine.engine import Engine
    from engine.models import Models
    from engine.models.limits import Limits
    from engine.ports import RunStore
    from engine.timetable import Timetable
    from sessions.db import Database
    from sessions.files import FileStore
    from sessions.limit_queue import Leases
    from sessions.postgres import Postgres
    from sessions.workflows import Workflows
    from tools.registry import ToolRegistry
    from tools.sandbox.pool import Sandbox

VERSION = "0.1.0"


class House:
    """The parts of the application. A part is imported and made when it is first asked for."""

    version = VERSION

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._forced = settings.force_model
        self.home: Path = settings.home
        self.database_path: Path = settings.database_path
        self.host = settings.host
        self.port = settings.port

    def force_model(self, model: str) -> None:
        """Send every model call of this process to `model`; to be said before `models` is used."""
        self._forced = model

    @cached_property
    def tools(self) -> ToolRegistry:
        from tools.registry import ToolRegistry

        return ToolRegistry(no_code=lambda: self.sandbox.available())

    @cached_property
    def db(self) -> Database:
        from sessions.db import open_db

        return open_db(self.database_path)

    @cached_property
    def postgres(self) -> Postgres | None:
        """The database of PARLANCE_DATABASE_URL, where that is PostgreSQL."""
        url = self._settings.postgres_url
        if url is None:
            return None
        from sessions.postgres import open_postgres

        return open_postgres(url.get_secret_value())

    @cached_property
    def store(self) -> RunStore:
        """Where runs are kept."""
        if self.postgres is not None:
            from sessions.postgres_runs import PostgresRunStore

            return PostgresRunStore(self.postgres)
        from sessions.runs import SqliteRunStore

        return SqliteRunStore(self.db)

    @cached_property
    def models(self) -> Models:
        from engine.models import ModelChoice, Models
        from sessions.credentials import Credentials

        settings = self._settings
        choice = ModelChoice(
            model=settings.model,
            force_model=self._forced,
            api_base=settings.api_base,
            api_key=settings.api_key.get_secret_value() if settings.api_key else None,
            keys={provider: key.get_secret_value() for provider, key in settings.keys.items()},
            home=self.home,
        )
        return Models(choice, Credentials(self.home), limits=self._limits())

    def _limits(self) -> Limits | None:
        """What PARLANCE_LIMITS bounds, shared with every process of this store; None without it."""
        if not self._settings.limits:
            return None
        from engine.models.limits import Limit
        from engine.process import this_process
        from sessions.limit_queue import SharedLimits

        bounds = {
            name: Limit(found.calls, found.requests_per_minute, found.tokens_per_minute)
            for name, found in self._settings.limits.items()
        }
        return SharedLimits(self._leases, bounds, this_process(None, time.time()))

    @cached_property
    def _lease_server(self) -> Postgres | None:
        """As `postgres`, with a writer of its own: who waits for a model keeps no run waiting."""
        url = self._settings.postgres_url
        if url is None:
            return None
        from sessions.postgres import open_postgres

        return open_postgres(url.get_secret_value())

    @property
    def _leases(self) -> Leases:
        if self._lease_server is not None:
            from sessions.postgres_limits import PostgresLeases

            return PostgresLeases(self._lease_server)
        from sessions.limits import SqlLeases

        return SqlLeases(self.db)

    @cached_property
    def engine(self) -> Engine:
        from engine.engine import Engine

        return Engine(
            self.store,
            self.models,
            self.tools,
            secrets=self._secret,
            sandbox=self.sandbox,
            workflows=self.workflows.text,
            dispatcher=self._dispatcher,
            files=self.files,
        )

    @cached_property
    def files(self) -> FileStore:
        """What people attach."""
        from sessions.files import FileStore

        return FileStore(self.db, self.home / "files")

    @property
    def _dispatcher(self) -> MakeDispatcher:
        """Who executes runs: this process, or workers that share the PostgreSQL database."""
        url = self._settings.postgres_url
        if self._settings.dispatch == "local" or self.postgres is None or url is None:
            from engine.dispatch import LocalDispatcher

            return LocalDispatcher
        from sessions.dbos_dispatch import for_workers

        return for_workers(self.postgres, url.get_secret_value(), self.version)

    @cached_property
    def sandbox(self) -> Sandbox:
        from tools.sandbox.pool import Sandbox

        return Sandbox()

    @cached_property
    def workflows(self) -> Workflows:
        from sessions.workflows import Workflows

        return Workflows(self.db)

    @cached_property
    def timetable(self) -> Timetable:
        from chat.schedules import make_timetable
        from sessions.inbox import Inbox
        from sessions.schedules import SqlScheduleStore

        store = SqlScheduleStore(self.postgres or self.db)
        return make_timetable(store, self.engine, self.workflows, self.models, self.tools, Inbox(self.db))

    @cached_property
    def assistant(self) -> Assistant:
        from chat.assistant import Assistant
        from sessions.preferences import Preferences
        from sessions.spending import Spending
        from sessions.summaries import ConversationSummaries

        return Assistant(
            self.models,
            self.tools,
            self.engine,
            self.workflows,
            nearest=self.nearest,
            tests=self.proofs.tests,
            proofs=self.proofs,
            timetable=self.timetable,
            preferences=Preferences(self.db),
            spending=Spending(self.db),
            summaries=ConversationSummaries(self.db),
            files=self.files,
        )

    @cached_property
    def proofs(self) -> Proofs:
        from chat.proof import Proofs
        from sessions.workflow_tests import WorkflowTests

        return Proofs(self.engine, self.tools, self.workflows, WorkflowTests(self.db))

    @cached_property
    def nearest(self) -> Nearest:
        """Finds templates by meaning, for the assistant and for the page."""
        from chat.assistant.nearest import Nearest
        from chat.gallery import Gallery

        return Nearest(Gallery())

    @cached_property
    def service(self) -> ChatService:
        from chat.service import ChatService

        return ChatService(
            self.db,
            self.engine,
            self.models,
            self.tools,
            self.assistant,
            self.timetable,
            home=self.home,
            proofs=self.proofs,
            files=self.files,
        )

    def serve(self, host: str, port: int) -> None:
        """Serve page and API until told to stop. InputError or Conflict when that can't be done here."""
        from chat.server import serve

        logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        serve(
            lambda: self._application(host),
            home=self.home,
            host=host,
            port=port,
            password=self._password,
            started=self._started,
            stopping=self._stopping,
        )

    @property
    def _password(self) -> str | None:
        return self._settings.password.get_secret_value() if self._settings.password else None

    def _application(self, host: str) -> ASGIApp:
        from chat.api.app import build_app
        from chat.browser import mount_page

        return build_app(
            self.service,
            version=self.version,
            host=host,
            home=self.home,
            password=self._password,
            page=lambda app: mount_page(app, self.service, self.models, self.tools, self.nearest),
            close=self.close,
        )

    async def _started(self, address: str) -> None:
        """Say where the page is and who answers; then load the embedded model if it is the one that does."""
        print(f"Parlance {self.version} is ready: {address}", flush=True)
        try:
            info = await self.models.info()
        except ParlanceError as error:
            print(error, flush=True)
            return
        print(f"Model: {info.name} ({info.source})", *filter(None, [info.note]), sep="\n", flush=True)
        async for _ in self.models.warm():
            pass
        await self.assistant.warm()

    async def _stopping(self) -> None:
        await self.service.close()

    def _secret(self, name: str) -> str | None:
        found = self._settings.secrets.get(name)
        return found.get_secret_value() if found else None

    async def close(self) -> None:
        """Close what was made, the last first."""
        made = self.__dict__
        for part in ("service", "engine", "sandbox", "models"):
            if part in made:
                await made[part].close()
        for name in ("_lease_server", "postgres", "db"):
            if made.get(name) is not None:
                made[name].close()


def run(argv: list[str]) -> int:
    """Read the settings, when a verb needs them, and do what the command line says."""
    try:
        return main(argv, lambda: House(read_settings()), VERSION)
    except SettingsError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return WRONG_USE


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
