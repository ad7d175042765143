"""Composition of the transfer service: all of its parts, on one screen."""

from functools import partial

from fastapi import FastAPI

from sharezync_shared.contracts.services import Services
from sharezync_shared.ids import UserId
from sharezync_shared.platform import Platform, fleet_platform
from sharezync_shared.service import ServiceCore
from sharezync_shared.streams.api import streams_router
from sharezync_shared.streams.declared import Realtime
from sharezync_shared.streams.log import Connection
from sharezync_shared.users_projection import FILL_AGAIN_SECONDS
from sharezync_transfer.api import commands, internal, policies, transfers
from sharezync_transfer.api.documentation import FIELDS, TAGS
from sharezync_transfer.consumers import CONSUMERS
from sharezync_transfer.models import SCHEMA, USERS, metadata, transfers_stream
from sharezync_transfer.settings import MAX_OFFER_BYTES, TransferSettings
from sharezync_transfer.usecases import sweeping
from sharezync_transfer.usecases.capabilities import CapabilityIssuer
from sharezync_transfer.usecases.context import TransferServiceContext
from sharezync_transfer.usecases.events import EVENTS
from sharezync_transfer.usecases.progress_broadcast import ProgressBroadcast


def create_app(settings: TransferSettings, platform: Platform | None = None) -> FastAPI:
    """Return the transfer service; without a platform, that of a process of its own."""
    platform = platform or fleet_platform(settings, SCHEMA)
    core = ServiceCore(SCHEMA, settings, platform, metadata)
    services = Services.from_platform(platform)
    progress = ProgressBroadcast(core.work)

    async def streams_of_user(_: Connection, user_id: UserId) -> list[str]:
        return [transfers_stream(user_id)]

    app = core.app(
        summary="File transfers between users",
        description="Transfers of files from user to user, in verified chunks.",
        routers=[
            commands.ENDPOINT.router,  # routes are tried in turn, and these are the busiest
            internal.router,
            streams_router(
                database=core.database,
                log=core.streams,
                streams_of_user=streams_of_user,
                is_publishing=core.is_publishing,
            ),
            policies.router,
            transfers.router,
        ],
        consumers=CONSUMERS,
        resources=[
            progress.running,
            lambda: core.housekeeping(
                {
                    "expire": partial(sweeping.expire, core.work),
                    "release": partial(
                        sweeping.release, core.work, services, settings.keep_completed
                    ),
                },
                settings.transfer_sweep_seconds,
            ),
            lambda: core.periodic(
                partial(USERS.fill, core.work, services.auth), "backfill", FILL_AGAIN_SECONDS
            ),
        ],
        max_body_bytes=MAX_OFFER_BYTES,
        realtime=Realtime(EVENTS, commands.COMMANDS),
        tags=TAGS,
        fields=FIELDS,
    )
    app.state.context = TransferServiceContext(
        work=core.work,
        settings=settings,
        services=services,
        capabilities=CapabilityIssuer(core.work, settings),
        progress=progress,
    )
    return app
