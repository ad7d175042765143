"""`sharezync-server restore`: an installation from a backup.

It ends with new epochs of all streams and without logins; until then a mark lies in the folder and
nothing starts there. Clients that saw more than what was restored must fetch their state anew, and
what was logged out or revoked after the backup must not be valid again.
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import asyncpg

from sharezync_auth.commands.end_all_sessions import end_all_sessions
from sharezync_auth.key_store import WrongSecretKey
from sharezync_auth.settings import AuthSettings
from sharezync_embedded import archive
from sharezync_embedded.archive import BackupRefused, Manifest
from sharezync_embedded.backup import refuse_foreign
from sharezync_embedded.compose import MIGRATIONS, migrate, role_of
from sharezync_embedded.occupancy import RESTORING, sole_use
from sharezync_embedded.postgres import EmbeddedPostgres
from sharezync_embedded.secret_key import secret_key_of
from sharezync_embedded.stream_epochs import note_place, renew_all
from sharezync_shared.db.migrating import Roles
from sharezync_shared.settings import Settings
from sharezync_shared.start_refused import StartRefused

_NOT_DATA = {".serving.lock"}


def restore(settings: Settings, source: Path) -> Manifest:
    """Restore the backup `source` into `settings.data_dir`, which must not be there, or be empty.

    Raises BackupRefused with nothing changed, and PostgresFailed and OSError: what is in the folder
    then can't be started, and is to be removed.
    """
    refuse_foreign(settings)
    data_dir, source = settings.data_dir.absolute(), source.absolute()
    with _alone(data_dir):
        if {path.name for path in data_dir.iterdir()} - _NOT_DATA:
            raise BackupRefused(f"{data_dir} is not empty: restore into another folder.")
        manifest = archive.verified(source)
        _refuse_newer(manifest)
        has_secret = (source / archive.SECRET_KEY).exists()
        if not has_secret and settings.secret_key is None:
            raise BackupRefused("The backup has no SECRET_KEY: give the one of the installation.")
        (data_dir / RESTORING).touch()
        for path in sorted((source / archive.FILES).rglob("*")):
            if not path.is_dir():
                archive.copy_file(path, data_dir / path.relative_to(source))
        if has_secret:
            archive.copy_file(source / archive.SECRET_KEY, data_dir / archive.SECRET_KEY)
        with EmbeddedPostgres(data_dir) as postgres:
            asyncio.run(_restore_database(settings, postgres, source))
        os.sync()
        (data_dir / RESTORING).unlink()
    return manifest


async def _restore_database(settings: Settings, postgres: EmbeddedPostgres, source: Path) -> None:
    url = postgres.url()
    connection = await asyncpg.connect(url)
    try:
        for migrations in MIGRATIONS:
            roles = Roles.for_service(role_of(migrations.schema), None)
            for role in filter(None, (roles.owner, roles.service)):
                await connection.execute(f'CREATE ROLE "{role}" NOLOGIN')
        dump = str(source / archive.DUMP)
        await asyncio.to_thread(postgres.run_client, "pg_restore", "--exit-on-error", dump)
        await connection.execute("ANALYZE")
    finally:
        await connection.close()
    await migrate(url)
    await renew_all(url)
    note_place(settings.data_dir)
    secret_key = (
        settings.require_secret_key() if settings.secret_key else secret_key_of(settings.data_dir)
    )
    try:
        await end_all_sessions(
            AuthSettings(
                database_url=url,
                database_role=role_of("auth"),
                secret_key=secret_key,
                data_dir=settings.data_dir,
            )
        )
    except WrongSecretKey:
        raise BackupRefused(
            "SECRET_KEY is not the one of the installation that was backed up: give that one, and "
            f"restore again into an empty folder ({settings.data_dir.absolute()} is not any more)."
        ) from None


def _refuse_newer(manifest: Manifest) -> None:
    for migrations in MIGRATIONS:
        if manifest.revisions.get(migrations.schema) not in migrations.revisions():
            raise BackupRefused(
                f"The backup is of version {manifest.version}, whose tables of {migrations.schema} "
                "this version doesn't know: restore it with that version or a newer one."
            )


@contextmanager
def _alone(data_dir: Path) -> Iterator[None]:
    """As `sole_use`; raises BackupRefused instead of ending the process."""
    with ExitStack() as stack:
        try:
            stack.enter_context(sole_use(data_dir))
        except StartRefused as refusal:
            raise BackupRefused(f"{refusal}. Stop it first.") from None
        yield
