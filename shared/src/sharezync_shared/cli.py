"""The command line of a service: `python -m sharezync_chat serve|migrate|openapi|renew-epoch`."""

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from fastapi import FastAPI

from sharezync_shared.db.database import Database, user_of
from sharezync_shared.db.migrations import Migrations
from sharezync_shared.db.starting import database_explained
from sharezync_shared.observability import configure_logging
from sharezync_shared.platform import Platform, fleet_platform
from sharezync_shared.server import run, serve, server_settings
from sharezync_shared.settings import Settings, read_settings
from sharezync_shared.start_refused import explained
from sharezync_shared.streams.epochs import EpochInUse, renew_epoch

OwnSettings = TypeVar("OwnSettings", bound=Settings)


@dataclass(frozen=True)
class CliCommand(Generic[OwnSettings]):
    """One more thing that a service's command line can do."""

    help: str
    run: Callable[[OwnSettings, argparse.Namespace], Awaitable[int | None]]
    """Returns the exit status; None is 0."""
    arguments: Callable[[argparse.ArgumentParser], None] = lambda _: None


@dataclass(frozen=True)
class ServiceCommand(Generic[OwnSettings]):
    """The command line of the service `name`.

    `create_app` gets the settings and the platform; `commands` are the service's own, by name.
    """

    name: str
    settings: Callable[[], OwnSettings]
    create_app: Callable[[OwnSettings, Platform], FastAPI]
    migrations: Migrations
    commands: dict[str, CliCommand[OwnSettings]] = field(default_factory=dict)

    def main(self, arguments: Sequence[str] | None = None) -> int:
        """Run the command that `arguments` (None: the process's) name; return the exit status."""
        parser = argparse.ArgumentParser(prog=f"python -m sharezync_{self.name}")
        subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
        subparsers.add_parser("serve", help="serve until SIGTERM or SIGINT (settings: README)")
        subparsers.add_parser("migrate", help="create or upgrade this service's schema")
        subparsers.add_parser("openapi", help="print the OpenAPI document")
        subparsers.add_parser(
            "renew-epoch",
            help="have clients fetch their state anew, after a restore (it is rarely needed: a "
            "service notices by itself); exit status 2: a process of this service is connected",
        )
        for name, command in self.commands.items():
            command.arguments(subparsers.add_parser(name, help=command.help))
        chosen = parser.parse_args(arguments)
        with explained(), database_explained():
            settings = read_settings(self.settings)
            configure_logging(
                settings.log_level, settings.log_format, self.name, error_hook=settings.error_hook
            )
            return self._run(chosen, settings)

    def _run(self, chosen: argparse.Namespace, settings: OwnSettings) -> int:
        match chosen.command:
            case "serve":
                run(self._serve(settings))
            case "migrate":
                asyncio.run(self._migrate(settings))
            case "renew-epoch":
                return asyncio.run(self._renew_epoch(settings))
            case "openapi":
                app = self.create_app(settings, fleet_platform(settings, self.name))
                json.dump(app.openapi(), sys.stdout, indent=2)
            case name:
                return asyncio.run(_status(self.commands[name].run(settings, chosen)))
        return 0

    async def _migrate(self, settings: OwnSettings) -> None:
        url = settings.require_database_url()
        if settings.migrate_database_url:
            service = settings.database_role or user_of(url)
            await self.migrations.upgrade(settings.migrate_database_url, service=service)
        else:
            await self.migrations.upgrade(url, role=settings.database_role)

    async def _renew_epoch(self, settings: OwnSettings) -> int:
        url = settings.require_database_url()
        try:
            await renew_epoch(Database(url, self.name, role=settings.database_role))
        except EpochInUse:
            sentence = f"{self.name} is connected to this database: stop all its processes first."
            print(sentence, file=sys.stderr)  # noqa: T201 - a command talks to a person
            return 2
        return 0

    async def _serve(self, settings: OwnSettings) -> None:
        platform = fleet_platform(settings, self.name)
        await serve(
            self.create_app(settings, platform),
            server_settings(settings),
            draining=platform.draining,
            registry=platform.registry,
        )


async def _status(outcome: Awaitable[int | None]) -> int:
    return await outcome or 0
