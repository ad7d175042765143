"""`sharezync-server backup`: a copy of everything, taken while the product runs.

In this order: from now on nothing is deleted from the store that is still needed; one moment of the
database; then the files that this moment names. What comes or goes later changes nothing about
these, for a file never changes, and what an upload has on record stays as it is.
"""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

import asyncpg
import msgspec

from sharezync_embedded import archive
from sharezync_embedded.archive import BackupRefused, Manifest
from sharezync_embedded.compose import MIGRATIONS
from sharezync_embedded.postgres import EmbeddedPostgres
from sharezync_shared.settings import Settings
from sharezync_storage.settings import StorageSettings
from sharezync_storage.usecases.inventory import NeededBlob, needed_blobs
from sharezync_storage.usecases.sweeping import hold_deletions

_COMPRESSION: Final = "gzip:1"
"""A third of the time of the default, for a tenth more room."""


def back_up(settings: Settings, destination: Path) -> Manifest:
    """Make a backup of the installation in `settings.data_dir` in the folder `destination`.

    The folder must not be there, or be empty. Starts PostgreSQL where it doesn't run. Raises
    BackupRefused, PostgresFailed and OSError; what was written until then is no backup.
    """
    refuse_foreign(settings)
    data_dir, destination = settings.data_dir.absolute(), destination.absolute()
    if not (data_dir / "postgres" / "PG_VERSION").exists():
        raise BackupRefused(f"There is nothing to back up in {data_dir}.")
    if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
        raise BackupRefused(f"{destination} is there already: choose a folder that is not.")
    archive.make_folder(destination)
    destination.chmod(0o700)
    with EmbeddedPostgres(data_dir) as postgres:
        return asyncio.run(_copy_all(data_dir, destination, postgres))


def refuse_foreign(settings: Settings) -> None:
    """Raise BackupRefused where the database is not the embedded one."""
    if settings.database_url:
        raise BackupRefused(
            "DATABASE_URL is given: back up and restore that server by its own means "
            "(docs/operations/backup-and-restore.md)."
        )


async def _copy_all(data_dir: Path, destination: Path, postgres: EmbeddedPostgres) -> Manifest:
    url = postgres.url()
    holding, reading = await asyncpg.connect(url), await asyncpg.connect(url)
    try:
        if await holding.fetchval("SELECT to_regclass('storage.deletions')") is None:
            raise BackupRefused(f"There is nothing to back up in {data_dir}.")
        await hold_deletions(holding)
        async with reading.transaction(isolation="repeatable_read", readonly=True):
            snapshot = await reading.fetchval("SELECT pg_export_snapshot()")
            made_at = datetime.now(UTC)
            revisions = {
                each.schema: await reading.fetchval(
                    f'SELECT version_num FROM "{each.schema}".alembic_version'  # noqa: S608 - our name
                )
                for each in MIGRATIONS
            }
            await asyncio.to_thread(
                postgres.run_client,
                "pg_dump",
                *("--format=custom", f"--compress={_COMPRESSION}", f"--snapshot={snapshot}"),
                f"--file={destination / archive.DUMP}",
            )
            bucket = StorageSettings(data_dir=data_dir).s3_bucket_name
            copy = _FileCopy(data_dir / "files", destination / archive.FILES)
            if not bucket:
                async for blob in needed_blobs(reading):
                    await asyncio.to_thread(copy.take, blob)
    finally:
        await reading.close()
        await holding.close()
    secret = data_dir / archive.SECRET_KEY
    if secret.exists():
        archive.write(destination, archive.SECRET_KEY, secret.read_bytes())
    manifest = Manifest(
        made_at=made_at.isoformat(timespec="seconds"),
        version=version("sharezync-embedded"),
        revisions=revisions,
        file_count=len(copy.digests),
        file_bytes=copy.size_bytes,
        bucket=bucket,
        missing=copy.missing,
    )
    archive.write(destination, archive.MANIFEST, msgspec.json.encode(manifest))
    await asyncio.to_thread(archive.seal, destination, copy.digests)
    return manifest


class _FileCopy:
    """The store's files on their way into the archive."""

    def __init__(self, store: Path, target: Path) -> None:
        self._store = store
        self._target = target
        self.digests: dict[str, bytes] = {}
        self.missing: list[str] = []
        self.size_bytes = 0

    def take(self, blob: NeededBlob) -> None:
        """Copy what is needed under a key; note what isn't there as it must be."""
        for key in (blob.key, blob.successor):
            target = self._target / blob.key
            with suppress(FileNotFoundError):
                size, sha256 = archive.copy_file(self._store / key, target)
                break
        else:
            if blob.finished or blob.size_bytes:
                self.missing.append(blob.key)
            return
        self.digests[f"{archive.FILES}/{blob.key}"] = sha256
        self.size_bytes += size
        if size < blob.size_bytes or (
            blob.finished and (size, blob.sha256 or sha256) != (blob.size_bytes, sha256)
        ):
            self.missing.append(blob.key)
