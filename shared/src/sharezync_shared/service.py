"""What every service with a database is made of, put together once.

`ServiceCore` holds the parts (database, streams, outbox relay, unit of work, token verifier) and
makes the application from them; a service's `app.py` adds its routes and its consumers.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI
from sqlalchemy import MetaData

from sharezync_shared.asgi.app import create_service_app
from sharezync_shared.background import Periodic
from sharezync_shared.calls.client import is_unanswered
from sharezync_shared.costly import CostlyReads
from sharezync_shared.db.database import Database
from sharezync_shared.db.outages import install_outage_handlers, is_away, is_outage
from sharezync_shared.events.bus import BusUnavailable, Envelope, NotNow, PermanentError
from sharezync_shared.events.contracts import Event
from sharezync_shared.events.inbox import prune as prune_inbox
from sharezync_shared.events.relay import Relay
from sharezync_shared.health import Dependency, Health
from sharezync_shared.platform import Platform
from sharezync_shared.settings import Settings
from sharezync_shared.sizes import MAX_JSON_BODY_BYTES
from sharezync_shared.streams.declared import Realtime
from sharezync_shared.streams.epochs import HEARTBEAT_SECONDS
from sharezync_shared.streams.frames import Control, Frame
from sharezync_shared.streams.log import StreamLog, StreamPosition
from sharezync_shared.tokens.keys import KeySource
from sharezync_shared.tokens.verifier import Revocations, TokenVerifier
from sharezync_shared.tracing.spans import SpanKind, span
from sharezync_shared.work import Consumer, UnitsOfWork

_HOUR_SECONDS = 3600
_BETWEEN_BATCHES_SECONDS = 0.1  # room for the others: nobody waits for the housekeeping


class ServiceCore:
    """The parts of one service, by name. Nothing is connected before the lifespan begins.

    `metadata` holds the service's tables, those of streams, outbox and inbox among them. `keys`
    are those that tokens are verified with; None means the platform's (auth has its own at hand).
    """

    def __init__(
        self,
        name: str,
        settings: Settings,
        platform: Platform,
        metadata: MetaData,
        *,
        keys: KeySource | None = None,
    ) -> None:
        self.name = name
        self.settings = settings
        self.platform = platform
        self.streams = StreamLog(name)
        self.database = Database(
            settings.require_database_url(),
            name,
            role=settings.database_role,
            pool_size=settings.database_pool_size,
            on_connect=self.streams.epochs.check,
        )
        self.database.measure(platform.registry, units="units", statements="statements")
        self.relay = Relay(
            self.database.engine,
            metadata.tables[f"{name}.outbox"],
            platform.bus,
            self._load_frames,
            registry=platform.registry,
            tracing=platform.tracing,
        )
        # What the last request committed is published before we go, or else by a replica.
        platform.draining.add(f"{name}-outbox", self._flush, after_requests=True)
        self.work = UnitsOfWork(self.database, self.streams, self.relay)
        searches = Database(
            settings.require_database_url(),
            name,
            role=settings.database_role,
            pool_size=settings.searches_at_once,
            statement_seconds=settings.search_timeout_seconds,
            on_connect=self.streams.epochs.check,
        )
        searches.measure(platform.registry, units="search_units", statements="searches")
        self.costly = CostlyReads(
            searches,
            self.streams,
            at_once=settings.searches_at_once,
            per_user=settings.searches_at_once_per_user,
        )
        self.revocations = Revocations(
            access_lifetime_seconds=settings.access_token_expire_minutes * 60
        )
        self.verifier = TokenVerifier(
            keys or platform.keys,
            issuer=settings.jwt_issuer,
            audience=settings.jwt_audience,
            revocations=self.revocations,
        )
        self._consumers: dict[type[Event], Consumer] = {}
        self._announced_epoch: str | None = None

    def app(
        self,
        *,
        summary: str,
        description: str,
        routers: Sequence[APIRouter],
        consumers: Mapping[type[Event], Consumer] | None = None,
        resources: Sequence[Callable[[], AbstractAsyncContextManager[object]]] = (),
        dependencies: Mapping[str, Dependency] | None = None,
        max_body_bytes: int | None = MAX_JSON_BODY_BYTES,
        realtime: Realtime | None = None,
        tags: Mapping[str, str] | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> FastAPI:
        """Return the service's application.

        `consumers` maps each event that the service reacts to on the function that does.
        `resources` are asynchronous context managers entered after the database and left before
        it. `dependencies` are those that the service has beside its database and the broker.
        `realtime` is what the service says on sockets. `tags` and `fields` describe the API, as
        in `create_service_app`. The application's `state` carries `core`, `work`, `costly`,
        `verifier` and `settings`.
        """
        self._consumers = dict(consumers or {})
        health = Health(
            self.name,
            {**self._dependencies(), **(dependencies or {})},
            self.platform.registry,
            gates={"draining": lambda: self.platform.draining.staying},
        )

        @asynccontextmanager
        async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
            async with AsyncExitStack() as stack:
                stack.push_async_callback(self.database.aclose)
                stack.push_async_callback(self.costly.aclose)
                await self.streams.open(await self.database.pool())
                for resource in resources:
                    await stack.enter_async_context(resource())
                stack.push_async_callback(self.relay.aclose)
                await self.relay.start()
                await self._consume()
                stack.push_async_callback(self.platform.aclose)
                await self.platform.start()
                await stack.enter_async_context(health.running())
                for act, name, every_seconds in (
                    (self._prune, "prune", _HOUR_SECONDS),
                    (self._refresh_epoch, "epoch", HEARTBEAT_SECONDS),
                ):
                    await stack.enter_async_context(self.periodic(act, name, every_seconds))
                yield

        app = create_service_app(
            name=self.name,
            summary=summary,
            description=description,
            version=version(f"sharezync-{self.name}"),
            lifespan=lifespan,
            registry=self.platform.registry,
            routers=routers,
            health=health,
            metrics=self.platform.http_metrics,
            tracing=self.platform.tracing,
            max_body_bytes=max_body_bytes,
            realtime=realtime,
            tags=tags,
            fields=fields,
        )
        install_outage_handlers(app, self.database.outages)
        app.state.core = self
        app.state.work = self.work
        app.state.costly = self.costly
        app.state.verifier = self.verifier
        app.state.settings = self.settings
        return app

    def periodic(
        self,
        act: Callable[[], Awaitable[timedelta | None]],
        name: str,
        every_seconds: float,
        **options: Any,  # noqa: ANN401 - as Periodic has them
    ) -> AbstractAsyncContextManager[None]:
        """Call `act` again and again inside the block; the options are those of `Periodic`."""
        return Periodic(
            act,
            name=f"{self.name}-{name}",
            every_seconds=every_seconds,
            is_outage=lambda error: is_outage(error) or is_unanswered(error),
            registry=self.platform.registry,
            **options,
        ).running()

    @asynccontextmanager
    async def housekeeping(
        self, tasks: Mapping[str, Callable[[], Awaitable[timedelta | None]]], every_seconds: float
    ) -> AsyncGenerator[None]:
        """Repeat each of `tasks`, by name, inside the block.

        Each by itself: one that fails, or takes long, keeps no other from its turn.
        """
        async with AsyncExitStack() as stack:
            for name, act in tasks.items():
                await stack.enter_async_context(self.periodic(act, name, every_seconds))
            yield

    def _dependencies(self) -> dict[str, Dependency]:
        async def finds_broker() -> bool:
            return self.platform.bus.ready

        return {
            "database": Dependency(
                check=self.database.answers,
                degraded="Requests are refused with 503",
                needed_to_start=True,
            ),
            "broker": Dependency(
                check=finds_broker,
                degraded="Gateways ask for events each second; other services hear of facts later",
                from_memory=True,
            ),
        }

    def is_publishing(self) -> bool:
        """Return whether what is committed now can be published at once."""
        return self.platform.bus.ready

    async def _consume(self) -> None:
        if not self._consumers:
            return
        by_type = {event.type: event for event in self._consumers}

        async def handle(envelope: Envelope) -> None:
            event_class = by_type.get(envelope.type)
            if event_class is None:
                raise PermanentError(f"{self.name} has no consumer for {envelope.type}")
            event = event_class.decode(envelope)
            try:
                with (
                    self.platform.tracing.following(envelope.traceparent, envelope.tracestate),
                    span(f"process {envelope.type}", SpanKind.CONSUMER, _of_event(envelope)),
                ):
                    async with self.work.begin() as unit:
                        unit.caused_at = envelope.time
                        if await unit.claim(self.name, envelope.id):
                            await self._consumers[event_class](unit, event)
            except Exception as error:
                if is_away(error):
                    raise NotNow(repr(error)) from error
                raise

        await self.platform.bus.consume(f"{self.name}.events", sorted(by_type), handle)

    async def _flush(self, seconds: float) -> None:
        await self.relay.flush(seconds)

    async def _load_frames(self, positions: Sequence[StreamPosition]) -> list[Frame]:
        async with (await self.database.pool()).acquire() as connection:
            return await self.streams.load(connection, positions)

    async def _refresh_epoch(self) -> None:
        """Note that the database is in use; tell gateways of an epoch that they may not know."""
        async with (await self.database.pool()).acquire() as connection:
            await self.streams.epochs.refresh(connection)
        epoch = self.streams.epoch
        if epoch != self._announced_epoch:
            told = Frame(f"epoch:{self.name}", epoch, 0, b"", Control(epoch_of=self.name))
            with suppress(BusUnavailable):  # the next time
                await self.platform.bus.send_frames([told])
                self._announced_epoch = epoch

    async def _prune(self) -> None:
        """Delete what streams and the inbox need no more, in small batches."""
        async with (await self.database.pool()).acquire() as connection:
            now = datetime.now(UTC)
            await _until_none(partial(self.streams.prune, connection, now))
            await _until_none(partial(prune_inbox, connection, self.name, now))


def _of_event(envelope: Envelope) -> dict[str, str]:
    return {
        "messaging.operation.type": "process",
        "messaging.operation.name": "process",
        "messaging.destination.name": envelope.type,
        "messaging.message.id": str(envelope.id),
    }


async def _until_none(delete_batch: Callable[[], Awaitable[int]]) -> None:
    while await delete_batch():  # noqa: ASYNC110 - a pause between batches, no waiting for a state
        await asyncio.sleep(_BETWEEN_BATCHES_SECONDS)
