"""Room: reserved before bytes come, used once a file stands, given back when it goes.

Each function changes the user's row in the caller's transaction. Who also locks an upload or a
file does that first, so that two transactions never wait for each other.
"""

from collections.abc import Iterable
from typing import Final, TypeVar
from uuid import UUID

from sqlmodel import select

from sharezync_shared.contracts.storage import (
    FileTooLarge,
    QuotaExceeded,
    TooManyFiles,
    TooManyUploads,
)
from sharezync_shared.ids import UserId
from sharezync_shared.work import UnitOfWork, UnitsOfWork
from sharezync_storage.models import File, Upload, Usage
from sharezync_storage.settings import MIB, StorageSettings
from sharezync_storage.states import ENDED, UNFINISHED

Item = TypeVar("Item")

_STEP_BYTES: Final = 16 * MIB
"""How much is reserved at a time where nobody said how much will come."""
_RETRY_SECONDS: Final = 60
ENDED_KEPT: Final = 500
"""Uploads of one user that ended without a file, of which the outcome is kept."""

# What has finished expires no more, and is most: the index leaves it out.
_COUNTED: Final = """
SELECT count(*) FILTER (WHERE state = ANY($2::text[])) AS under_way,
       count(*) FILTER (WHERE state <> ALL($2::text[])) AS ended,
       (SELECT file_count FROM storage.usage WHERE user_id = $1) AS files
FROM storage.uploads WHERE owner_id = $1 AND expires_at IS NOT NULL
"""
# Who holds one of them first may be waiting for the user's row: it stays until the next time.
_FORGET_ENDED: Final = """
DELETE FROM storage.uploads WHERE id IN (
    SELECT id FROM storage.uploads
    WHERE owner_id = $1 AND expires_at IS NOT NULL AND state = ANY($2::text[])
    ORDER BY id DESC OFFSET $3 FOR UPDATE SKIP LOCKED
)
"""
_TAKE: Final = """
INSERT INTO storage.usage AS u (user_id, used_bytes, reserved_bytes) VALUES ($1, 0, $2)
ON CONFLICT (user_id) DO UPDATE SET reserved_bytes = u.reserved_bytes + $2
WHERE u.used_bytes + u.reserved_bytes + $2 <= $3 RETURNING user_id
"""
# Files of before there was a count were not all in it (migration 0003).
_MOVE: Final = """
UPDATE storage.usage SET used_bytes = used_bytes + $2, reserved_bytes = reserved_bytes + $3,
    file_count = greatest(file_count + $4, 0)
WHERE user_id = $1
"""
_LOCK: Final = """
INSERT INTO storage.usage AS u (user_id, used_bytes, reserved_bytes) VALUES ($1, 0, 0)
ON CONFLICT (user_id) DO UPDATE SET used_bytes = u.used_bytes
"""


def check_size(settings: StorageSettings, size_bytes: int) -> None:
    """Raise FileTooLarge for a file of more than one file may have."""
    if size_bytes > settings.max_file_bytes:
        raise FileTooLarge(
            f"A file may have at most {settings.max_file_bytes} bytes",
            limit_bytes=settings.max_file_bytes,
        )


async def look(work: UnitsOfWork, user_id: UserId) -> Usage:
    """Return what a user keeps, and what is reserved for them."""
    async with work.read() as unit:
        return await unit.get(Usage, user_id) or Usage(user_id=user_id)


async def reserve(
    unit: UnitOfWork, settings: StorageSettings, upload: Upload, more_bytes: int
) -> None:
    """Reserve `more_bytes` for an upload. Raises QuotaExceeded; then nothing is reserved."""
    await take(unit, settings, upload.owner_id, more_bytes)
    upload.reserved_bytes += more_bytes


async def take(
    unit: UnitOfWork, settings: StorageSettings, owner_id: UUID, more_bytes: int
) -> None:
    """Take `more_bytes` of a user's room, for uploads that note as much in `reserved_bytes`.

    One statement decides, so reservations at the same time can't overdraw together. Raises
    QuotaExceeded; then nothing is taken.
    """
    connection = await unit.raw()
    granted = more_bytes <= settings.quota_bytes and await connection.fetchval(
        _TAKE, owner_id, more_bytes, settings.quota_bytes
    )
    if not granted:
        raise await _exceeded(unit, settings, owner_id, more_bytes)


async def reserve_up_to(
    unit: UnitOfWork, settings: StorageSettings, upload: Upload, size_bytes: int
) -> None:
    """Have room for `size_bytes` in all, for an upload whose length nobody knows.

    And for some more, where that is left: not each piece is worth a transaction. Raises
    QuotaExceeded.
    """
    missing = size_bytes - upload.reserved_bytes
    if missing <= 0:
        return
    ahead = min(_STEP_BYTES, settings.max_file_bytes - upload.reserved_bytes)
    try:
        await reserve(unit, settings, upload, max(ahead, missing))
    except QuotaExceeded:
        if ahead <= missing:
            raise
        await reserve(unit, settings, upload, missing)


async def admit(
    unit: UnitOfWork, settings: StorageSettings, owner_id: UUID, more_uploads: int = 1
) -> None:
    """Let a user begin so many more uploads. Raises TooManyUploads and TooManyFiles.

    To be called after `reserve`: that holds the user's row, so that two that are begun at the same
    time count each other. What is under way may all become files.
    """
    connection = await unit.raw()
    ((under_way, ended, files),) = await connection.fetch(_COUNTED, owner_id, list(UNFINISHED))
    if under_way + more_uploads > settings.max_uploads_per_user:
        raise TooManyUploads(
            f"{under_way} uploads are under way",
            limit=settings.max_uploads_per_user,
            under_way=under_way,
            headers={"Retry-After": str(_RETRY_SECONDS)},
        )
    if files + under_way + more_uploads > settings.max_files_per_user:
        raise TooManyFiles(limit=settings.max_files_per_user)
    if ended > 2 * ENDED_KEPT:
        await connection.execute(_FORGET_ENDED, owner_id, list(ENDED), ENDED_KEPT)


async def hold(unit: UnitOfWork, owner_id: UserId) -> None:
    """Hold a user's row until the commit: nobody else counts what is theirs meanwhile."""
    connection = await unit.raw()
    await connection.execute(_LOCK, owner_id)


async def release(unit: UnitOfWork, *uploads: Upload) -> None:
    """Give back what uploads have reserved."""
    for owner_id, theirs in _by_owner((upload.owner_id, upload) for upload in uploads):
        await _move(unit, owner_id, reserved=-sum(each.reserved_bytes for each in theirs))
        for upload in theirs:
            upload.reserved_bytes = 0


async def settle(unit: UnitOfWork, *uploads: Upload) -> None:
    """Turn what each upload has reserved into a file of its size."""
    for owner_id, theirs in _by_owner((upload.owner_id, upload) for upload in uploads):
        await _move(
            unit,
            owner_id,
            used=sum(upload.size_bytes or 0 for upload in theirs),
            reserved=-sum(upload.reserved_bytes for upload in theirs),
            files=len(theirs),
        )
        for upload in theirs:
            upload.reserved_bytes = 0


async def free(unit: UnitOfWork, files: Iterable[File]) -> None:
    """Give back the room of files."""
    for owner_id, theirs in _by_owner((file.owner_id, file) for file in files):
        used = sum(file.size_bytes for file in theirs)
        await _move(unit, owner_id, used=-used, files=-len(theirs))


def _by_owner(owned: Iterable[tuple[UUID, Item]]) -> list[tuple[UUID, list[Item]]]:
    """Return what is whose, in the order in which everybody takes the rows of several users."""
    by_owner: dict[UUID, list[Item]] = {}
    for owner_id, item in owned:
        by_owner.setdefault(owner_id, []).append(item)
    return sorted(by_owner.items(), key=lambda each: each[0])


async def _move(
    unit: UnitOfWork, user_id: UUID, *, used: int = 0, reserved: int = 0, files: int = 0
) -> None:
    await (await unit.raw()).execute(_MOVE, user_id, used, reserved, files)


async def _exceeded(
    unit: UnitOfWork, settings: StorageSettings, user_id: UUID, wanted_bytes: int
) -> QuotaExceeded:
    found = await unit.session.exec(select(Usage).where(Usage.user_id == user_id))
    usage = found.one_or_none() or Usage(user_id=user_id)
    left = max(0, settings.quota_bytes - usage.used_bytes - usage.reserved_bytes)
    return QuotaExceeded(
        f"{wanted_bytes} bytes are wanted, and {left} are left",
        quota_bytes=settings.quota_bytes,
        used_bytes=usage.used_bytes,
        reserved_bytes=usage.reserved_bytes,
        wanted_bytes=wanted_bytes,
    )
