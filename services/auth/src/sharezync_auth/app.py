"""auth's wiring, on one screen."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from sharezync_auth.api import devices, internal, sessions, tokens, users
from sharezync_auth.keyring import Keyring
from sharezync_auth.models import account_stream, metadata
from sharezync_auth.passwords import Passwords
from sharezync_auth.settings import AuthSettings
from sharezync_auth.usecases.sweeping import sweeping
from sharezync_shared.ids import UserId
from sharezync_shared.platform import Platform, fleet_platform
from sharezync_shared.service import ServiceCore
from sharezync_shared.streams.api import streams_router


def create_app(settings: AuthSettings, platform: Platform | None = None) -> FastAPI:
    """Return auth as an application; nothing is connected before its lifespan begins."""
    platform = platform or fleet_platform(settings, "auth")
    keyring = Keyring(settings)
    core = ServiceCore("auth", settings, platform, metadata, keys=keyring)
    passwords = Passwords(threads=settings.password_threads, queue=settings.password_queue)

    @asynccontextmanager
    async def keys_and_threads() -> AsyncGenerator[None]:
        await keyring.load(core.work)
        yield
        passwords.close()

    async def streams_of_user(user_id: UserId) -> list[str]:
        return [account_stream(user_id)]

    streams = streams_router(
        database=core.database, log=core.streams, streams_of_user=streams_of_user
    )
    app = core.app(
        summary="Accounts, sessions and devices",
        description=__doc__ or "",
        version=version("sharezync-auth"),
        routers=[
            tokens.router,
            users.router,
            sessions.router,
            devices.router,
            internal.router,
            streams,
        ],
        resources=[keys_and_threads, lambda: sweeping(core.work, settings)],
    )
    app.state.keyring = keyring
    app.state.passwords = passwords
    return app
