"""Composition of the chat service: all of its parts, on one screen."""

from contextlib import aclosing
from functools import partial

from fastapi import FastAPI

from sharezync_chat.api import (
    channels,
    internal,
    invites,
    me,
    members,
    messages,
    pins,
    reactions,
    search,
)
from sharezync_chat.api.dependencies import ChatContext
from sharezync_chat.api.documentation import FIELDS, TAGS
from sharezync_chat.consumers import CONSUMERS
from sharezync_chat.models import SCHEMA, metadata
from sharezync_chat.settings import ChatSettings
from sharezync_chat.usecases import emoji_forms, indexing, purge
from sharezync_chat.usecases.events import EVENTS
from sharezync_chat.usecases.indexing import Indexer
from sharezync_chat.usecases.memberships import streams_of_user
from sharezync_chat.usecases.people import USERS
from sharezync_chat.usecases.posting import MessageWriter
from sharezync_shared.contracts.services import Services
from sharezync_shared.platform import Platform, fleet_platform
from sharezync_shared.service import ServiceCore
from sharezync_shared.streams.api import streams_router
from sharezync_shared.streams.declared import Realtime
from sharezync_shared.users_projection import FILL_AGAIN_SECONDS


def create_app(settings: ChatSettings, platform: Platform | None = None) -> FastAPI:
    """Return the chat service; without a platform, that of a process of its own."""
    platform = platform or fleet_platform(settings, SCHEMA)
    core = ServiceCore(SCHEMA, settings, platform, metadata)
    services = Services.from_platform(platform)
    indexer = Indexer(core.database)
    posting = MessageWriter(core.database, core.streams, core.relay, indexer)

    app = core.app(
        summary="Channels, conversations and messages",
        description="Channels, conversations, messages and search.",
        routers=[
            internal.ENDPOINT.router,  # routes are tried in turn, and this is the busiest
            channels.router,
            members.router,
            invites.router,
            messages.router,
            reactions.router,
            pins.router,
            search.router,
            me.router,
            me.sync_router,
            internal.router,
            streams_router(
                database=core.database,
                log=core.streams,
                streams_of_user=streams_of_user,
                is_publishing=core.is_publishing,
            ),
        ],
        consumers=CONSUMERS,
        resources=[
            posting.running,
            emoji_forms.loaded,
            lambda: aclosing(indexer),
            lambda: core.periodic(indexer.catch_up, "indexing", indexing.LOOK_EVERY_SECONDS),
            lambda: core.periodic(
                partial(purge.purge, core.database), "purge", purge.LOOK_EVERY_SECONDS
            ),
            lambda: core.periodic(
                partial(USERS.fill, core.work, services.auth), "backfill", FILL_AGAIN_SECONDS
            ),
        ],
        realtime=Realtime(EVENTS, internal.COMMANDS),
        tags=TAGS,
        fields=FIELDS,
    )
    app.state.context = ChatContext(
        work=core.work,
        settings=settings,
        services=services,
        posting=posting,
        indexer=indexer,
    )
    return app
