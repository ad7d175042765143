"""auth's wiring, on one screen."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from sharezync_auth.api import blocks, devices, internal, jwks, sessions, tokens, users
from sharezync_auth.api.documentation import FIELDS, TAGS
from sharezync_auth.consumers import CONSUMERS
from sharezync_auth.keyring import Keyring
from sharezync_auth.metrics import AuthMetrics
from sharezync_auth.models import account_stream, metadata
from sharezync_auth.passwords import Passwords
from sharezync_auth.settings import AuthSettings
from sharezync_auth.usecases import sweeping
from sharezync_auth.usecases.context import AuthContext
from sharezync_auth.usecases.events import EVENTS
from sharezync_auth.usecases.grants import OwnCredentials
from sharezync_auth.usecases.throttling import LoginThrottle
from sharezync_shared.contracts.services import Services
from sharezync_shared.ids import UserId
from sharezync_shared.platform import Platform, fleet_platform
from sharezync_shared.service import ServiceCore
from sharezync_shared.streams.api import streams_router
from sharezync_shared.streams.declared import Realtime
from sharezync_shared.streams.log import Connection


def create_app(settings: AuthSettings, platform: Platform | None = None) -> FastAPI:
    """Return auth as an application; nothing is connected before its lifespan begins."""
    platform = platform or fleet_platform(settings, "auth")
    keyring = Keyring(settings, registry=platform.registry)
    core = ServiceCore("auth", settings, platform, metadata, keys=keyring)
    metrics = AuthMetrics(platform.registry)
    passwords = Passwords(
        threads=settings.password_threads, queue=settings.password_queue, metrics=metrics
    )

    @asynccontextmanager
    async def keys_and_threads() -> AsyncGenerator[None]:
        async with keyring.kept(core.work):
            yield
        passwords.close()

    async def streams_of_user(_: Connection, user_id: UserId) -> list[str]:
        return [account_stream(user_id)]

    streams = streams_router(
        database=core.database,
        log=core.streams,
        streams_of_user=streams_of_user,
        is_publishing=core.is_publishing,
    )
    app = core.app(
        summary="Accounts, sessions and devices",
        description=(
            "Accounts, tokens, sessions, devices and blocked users. Get a token with "
            "`POST /token` and send it as `Authorization: Bearer …`."
        ),
        routers=[
            internal.router,  # routes are tried in turn, and these are the busiest
            streams,
            tokens.router,
            jwks.router,
            users.account_router,
            users.router,
            sessions.router,
            devices.router,
            blocks.router,
        ],
        consumers=CONSUMERS,
        resources=[
            keys_and_threads,
            lambda: core.housekeeping(
                sweeping.tasks(core.work, settings, passwords), sweeping.EVERY_SECONDS
            ),
        ],
        realtime=Realtime(EVENTS),
        tags=TAGS,
        fields=FIELDS,
    )
    app.state.context = AuthContext(
        work=core.work,
        settings=settings,
        services=Services.from_platform(platform, OwnCredentials(keyring)),
        keyring=keyring,
        passwords=passwords,
        throttle=LoginThrottle(core.work, passwords, settings, metrics),
        metrics=metrics,
    )
    return app
