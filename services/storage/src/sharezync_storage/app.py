"""The front door: what the storage service is made of, on one screen."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version

from fastapi import FastAPI

from sharezync_shared.platform import Platform, fleet_platform
from sharezync_shared.service import ServiceCore
from sharezync_storage import __doc__ as what_it_owns
from sharezync_storage.api import files, internal_files, internal_uploads
from sharezync_storage.api.dependencies import Parts
from sharezync_storage.consumers import CONSUMERS
from sharezync_storage.metrics import StorageMetrics
from sharezync_storage.models import SCHEMA, metadata
from sharezync_storage.settings import StorageSettings
from sharezync_storage.signatures import Signer
from sharezync_storage.stores import open_store
from sharezync_storage.usecases.chunk_rows import ChunkRows
from sharezync_storage.usecases.chunks import Chunks
from sharezync_storage.usecases.finishing import Finishing
from sharezync_storage.usecases.quota import Limits
from sharezync_storage.usecases.sweeping import Sweeper
from sharezync_storage.usecases.uploads import give_up_expired


def create_app(settings: StorageSettings, platform: Platform | None = None) -> FastAPI:
    """Return the storage service; without a platform, that of a process of its own."""
    platform = platform or fleet_platform(settings, SCHEMA)
    core = ServiceCore(SCHEMA, settings, platform, metadata)
    store = open_store(settings)
    parts = Parts(
        store=store,
        limits=Limits.of(settings),
        chunks=Chunks(ChunkRows(core.database, settings.upload_lifetime), store),
        finishing=Finishing(core.work, store),
        sweeper=Sweeper(core.work, store, [partial(give_up_expired, core.work)]),
        signer=Signer(settings.require_secret_key()),
        metrics=StorageMetrics(platform.registry),
        upload_lifetime=settings.upload_lifetime,
    )

    @asynccontextmanager
    async def started_store() -> AsyncGenerator[None]:
        await store.start()
        try:
            yield
        finally:
            await store.aclose()

    app = core.app(
        summary="Files, uploads and the room they take",
        description=what_it_owns or "",
        version=version("sharezync-storage"),
        routers=[
            internal_uploads.chunk_router,  # routes are tried in turn, and this is the busiest
            files.router,
            internal_files.router,
            internal_uploads.router,
        ],
        consumers=CONSUMERS,
        resources=[
            started_store,
            parts.chunks.running,
            parts.finishing.running,
            parts.sweeper.running,
        ],
        ready_checks={"store": store.ready},
        max_body_bytes=None,  # files come here; every route sees to its own body
    )
    app.state.parts = parts
    return app
