"""The application: what the storage service is made of, on one screen."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI

from sharezync_shared.contracts.auth import AuthClient
from sharezync_shared.health import Dependency
from sharezync_shared.platform import Platform, fleet_platform
from sharezync_shared.service import ServiceCore
from sharezync_storage.api import direct, downloads, files, internal, links, tus, tus_creation
from sharezync_storage.api.chunk_layer import ChunkLayer
from sharezync_storage.api.documentation import FIELDS, TAGS
from sharezync_storage.api.tus_headers import TusLayer
from sharezync_storage.auditing import ROUND_SECONDS, StoreAudit
from sharezync_storage.consumers import CONSUMERS
from sharezync_storage.metrics import StorageMetrics
from sharezync_storage.models import SCHEMA, metadata
from sharezync_storage.passwords import LinkPasswords
from sharezync_storage.settings import StorageSettings
from sharezync_storage.signatures import Signer
from sharezync_storage.stores import open_store
from sharezync_storage.usecases import claims, collecting
from sharezync_storage.usecases import links as link_cases
from sharezync_storage.usecases.assembler import Assembler
from sharezync_storage.usecases.checksums import WholeDigests
from sharezync_storage.usecases.chunk_rows import ChunkRows
from sharezync_storage.usecases.chunks import Chunks
from sharezync_storage.usecases.context import StorageContext
from sharezync_storage.usecases.sweeping import Sweeper
from sharezync_storage.usecases.uploads import give_up_expired
from sharezync_storage.usecases.writers import Leases, Writers, WriterSlots


def create_app(settings: StorageSettings, platform: Platform | None = None) -> FastAPI:
    """Return the storage service; without a platform, that of a process of its own."""
    platform = platform or fleet_platform(settings, SCHEMA)
    core = ServiceCore(SCHEMA, settings, platform, metadata)
    store = open_store(settings)
    metrics = StorageMetrics(platform.registry)
    audit = StoreAudit(core.work, store, metrics, quota_bytes=settings.quota_bytes)
    assembler, passwords = Assembler(core.work, store), LinkPasswords()
    context = StorageContext(
        work=core.work,
        settings=settings,
        store=store,
        slots=WriterSlots(settings.max_writers),
        writers=Writers(Leases(core.database, settings.upload_lifetime)),
        wholes=WholeDigests(),
        chunks=Chunks(ChunkRows(core.database, settings.upload_lifetime), store),
        assembler=assembler,
        passwords=passwords,
        sweeper=Sweeper(
            core.work,
            store,
            {
                "uploads": partial(give_up_expired, core.work),
                "unheld-files": partial(collecting.remove_unheld, core.work),
                "deleted-files": partial(collecting.forget_deleted, core.work),
                "assemblies": assembler.finish_stranded,
                "claims": partial(claims.sweep, core.work),
                "links": partial(link_cases.sweep, core.work),
            },
            registry=platform.registry,
        ),
        signer=Signer(settings.require_secret_key()),
        metrics=metrics,
        audit=audit,
        auth=platform.client(AuthClient),
    )

    @asynccontextmanager
    async def started_store() -> AsyncGenerator[None]:
        await store.start()
        if settings.s3_bucket_name is None:
            metrics.watch_disk(settings.data_dir, platform.registry)
        try:
            yield
        finally:
            await store.aclose()

    app = core.app(
        summary="Files, uploads and quotas",
        description="Files, uploads, links and quotas.",
        routers=[
            internal.chunk_router,  # routes are tried in turn, and these are the busiest
            internal.batch_router,
            tus_creation.router,
            tus.router,
            direct.part_router,
            direct.router,
            downloads.router,
            files.router,
            links.router,
            links.public_router,
            internal.router,
        ],
        consumers=CONSUMERS,
        resources=[
            started_store,
            context.chunks.running,
            context.assembler.running,
            passwords.running,
            context.sweeper.running,
            lambda: core.periodic(audit.count, "count", ROUND_SECONDS),
            lambda: core.periodic(
                audit.audit_next, "audit", ROUND_SECONDS, first_seconds=ROUND_SECONDS
            ),
        ],
        dependencies={
            "store": Dependency(
                check=store.ready, degraded="Files can't be read or written", needed_to_start=True
            )
        },
        max_body_bytes=None,  # files come here; every route sees to its own body
        tags=TAGS,
        fields=FIELDS,
    )
    app.add_middleware(TusLayer)
    app.add_middleware(
        ChunkLayer,
        service=SCHEMA,
        metrics=platform.http_metrics,
        handlers=app.exception_handlers,
    )
    app.state.context = context
    return app
