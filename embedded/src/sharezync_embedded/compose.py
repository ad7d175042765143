"""The five services in one process: the same applications, other surroundings.

One bus, one registry of metrics and one drain for all; the way from one service to another, and
from the gateway to each, is a direct ASGI call.
"""

import sys
from contextlib import AsyncExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from starlette.types import Receive, Scope, Send

import sharezync_auth.app
import sharezync_chat.app
import sharezync_gateway.app
import sharezync_storage.app
import sharezync_transfer.app
from sharezync_auth.migrations import MIGRATIONS as AUTH
from sharezync_auth.settings import AuthSettings
from sharezync_chat.migrations import MIGRATIONS as CHAT
from sharezync_chat.settings import ChatSettings
from sharezync_gateway.proxy.asgi import AsgiUpstream
from sharezync_gateway.settings import GatewaySettings
from sharezync_gateway.transfers.core.chunk_store import AsgiTransport, ChunkStore
from sharezync_shared.asgi.lifespan import LifespanFailed, running
from sharezync_shared.asgi.middleware import HttpMetrics
from sharezync_shared.platform import Platform, key_source, make_bus, service_secret
from sharezync_shared.server import Draining
from sharezync_shared.settings import OwnSettings, Settings, read_settings
from sharezync_shared.tracing.setup import make_tracing
from sharezync_storage.migrations import MIGRATIONS as STORAGE
from sharezync_storage.settings import StorageSettings
from sharezync_transfer.migrations import MIGRATIONS as TRANSFER
from sharezync_transfer.settings import TransferSettings

if find_spec("sniffio") is None:
    # At each request httpx's ASGITransport imports what finds out whether trio runs here. That
    # there is no such thing takes a search of every folder, unless it is written down.
    sys.modules["sniffio"] = None  # type: ignore[assignment]  # "known to be absent", as imports read it

MIGRATIONS = (AUTH, CHAT, STORAGE, TRANSFER)


def role_of(schema: str) -> str:
    """The role that the service of this schema works as."""
    return f"sharezync_{schema}"


async def migrate(database_url: str) -> None:
    """Create or upgrade every schema. Safe to repeat, and quick where there is nothing to do."""
    for migrations in MIGRATIONS:
        await migrations.upgrade(database_url, role=role_of(migrations.schema))


def check_settings() -> None:
    """Raise StartRefused where what the environment says to any of the five isn't valid."""
    for settings in (
        GatewaySettings, AuthSettings, ChatSettings, TransferSettings, StorageSettings,
    ):  # fmt: skip
        read_settings(settings)


class CombinedApp:
    """All five services as one ASGI application, `app`.

    `draining` and `registry` are those of the one process that serves it; `gateway` has
    the settings of the gateway; `apps` are the services behind the gateway, by name.
    """

    def __init__(self, *, database_url: str, secret_key: str, data_dir: Path) -> None:
        self.draining = Draining()
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        metrics = HttpMetrics(self.registry)
        common: dict[str, Any] = {"secret_key": secret_key, "data_dir": data_dir}
        own = Settings(**common)
        self.gateway = GatewaySettings(**common)
        self._bus = make_bus(own, "embedded", self.registry)
        self.apps: dict[str, FastAPI] = {}

        def endpoint_for(service: str) -> tuple[str, httpx.AsyncBaseTransport]:
            async def app(scope: Scope, receive: Receive, send: Send) -> None:
                await self.apps[service](scope, receive, send)  # made after its callers

            # As over HTTP, a peer's accident is a broken answer and no exception of ours.
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            return f"http://{service}", transport

        def platform(name: str) -> Platform:
            return Platform(
                name,
                bus=self._bus,
                registry=self.registry,
                http_metrics=metrics,
                service_secret=service_secret(own, name),
                endpoint_for=endpoint_for,
                keys=key_source(own),
                jwks_lifespan_seconds=own.jwks_lifespan_seconds,
                draining=self.draining,
                owns_bus=False,
                tracing=make_tracing(own, name),
            )

        def stored(settings: type[OwnSettings], name: str) -> OwnSettings:
            of_it: dict[str, Any] = {
                **common,
                "database_url": database_url,
                "database_role": role_of(name),
            }
            return settings(**of_it)

        self.apps = {
            "auth": sharezync_auth.app.create_app(stored(AuthSettings, "auth"), platform("auth")),
            "storage": sharezync_storage.app.create_app(
                stored(StorageSettings, "storage"), platform("storage")
            ),
            "chat": sharezync_chat.app.create_app(stored(ChatSettings, "chat"), platform("chat")),
            "transfer": sharezync_transfer.app.create_app(
                stored(TransferSettings, "transfer"), platform("transfer")
            ),
        }
        gateway = platform("gateway")
        self._gateway = sharezync_gateway.app.create_app(
            self.gateway,
            gateway,
            upstreams={name: AsgiUpstream(app) for name, app in self.apps.items()},
            chunks=ChunkStore(AsgiTransport(self.apps["storage"]), gateway.credentials),
        )

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve everything through the gateway; live as long as all five do."""
        if scope["type"] != "lifespan":
            await self._gateway(scope, receive, send)
            return
        await receive()
        try:
            async with AsyncExitStack() as stack:
                # auth first: the others ask it for keys and tokens as they start.
                for app in self.apps.values():
                    await stack.enter_async_context(running(app))
                await stack.enter_async_context(running(self._gateway))
                stack.push_async_callback(self._bus.aclose)
                await self._bus.start()
                await send({"type": "lifespan.startup.complete"})
                await receive()
        except LifespanFailed as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
        else:
            await send({"type": "lifespan.shutdown.complete"})
