"""Room: reserved before bytes come, used once a file stands, given back when it goes.

Each function changes the user's row in the caller's transaction. Who also locks an upload or a
file does that first, so that two transactions never wait for each other.
"""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import func, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select

from sharezync_shared.db.work import Unit, Work
from sharezync_shared.ids import UserId
from sharezync_storage.models import Upload, Usage
from sharezync_storage.problems import FileTooLarge, QuotaExceeded, TooManyUploads
from sharezync_storage.settings import MIB, StorageSettings
from sharezync_storage.states import UNFINISHED

_STEP_BYTES: Final = 16 * MIB
"""How much is reserved at a time where nobody said how much will come."""
_RETRY_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Limits:
    """How much there may be: of each user's, and of one file."""

    quota_bytes: int
    max_file_bytes: int
    max_uploads_per_user: int = 1000
    """Begun and not ended, by whatever door."""

    @classmethod
    def of(cls, settings: StorageSettings) -> "Limits":
        """Return the limits that the settings name."""
        return cls(settings.quota_bytes, settings.max_file_bytes, settings.max_uploads_per_user)

    def check_size(self, size_bytes: int) -> None:
        """Raise FileTooLarge for a file of more than one file may have."""
        if size_bytes > self.max_file_bytes:
            raise FileTooLarge(
                f"One file may have at most {self.max_file_bytes} bytes",
                limit_bytes=self.max_file_bytes,
            )


@dataclass(frozen=True, slots=True)
class Room:
    """How much of a user's quota is taken."""

    quota_bytes: int
    used_bytes: int
    reserved_bytes: int


async def look(work: Work, limits: Limits, user_id: UserId) -> Room:
    """Return how a user stands."""
    async with work.read() as unit:
        usage = await unit.get(Usage, user_id)
    if usage is None:
        return Room(limits.quota_bytes, 0, 0)
    return Room(limits.quota_bytes, usage.used_bytes, usage.reserved_bytes)


async def reserve(unit: Unit, limits: Limits, upload: Upload, more_bytes: int) -> None:
    """Reserve `more_bytes` for an upload. Raises QuotaExceeded; then nothing is reserved.

    One statement decides, so reservations at the same time can't overdraw together.
    """
    table = Usage.__table__  # type: ignore[attr-defined]  # SQLModel makes it, without telling mypy
    taken = table.c.used_bytes + table.c.reserved_bytes
    statement = (
        insert(table)
        .values(user_id=upload.owner_id, used_bytes=0, reserved_bytes=more_bytes)
        .on_conflict_do_update(
            index_elements=[table.c.user_id],
            set_={"reserved_bytes": table.c.reserved_bytes + more_bytes},
            where=taken + more_bytes <= limits.quota_bytes,
        )
        .returning(table.c.user_id)
    )
    granted = more_bytes <= limits.quota_bytes and await unit.session.scalar(statement)
    if not granted:
        raise await _exceeded(unit, limits, upload.owner_id, more_bytes)
    upload.reserved_bytes += more_bytes


async def reserve_up_to(unit: Unit, limits: Limits, upload: Upload, size_bytes: int) -> None:
    """Have room for `size_bytes` in all, for an upload whose length nobody knows.

    And for some more, where that is left: not each piece is worth a transaction. Raises
    QuotaExceeded.
    """
    missing = size_bytes - upload.reserved_bytes
    if missing <= 0:
        return
    ahead = min(_STEP_BYTES, limits.max_file_bytes - upload.reserved_bytes)
    if ahead > missing:
        try:
            await reserve(unit, limits, upload, ahead)
        except QuotaExceeded:
            pass
        else:
            return
    await reserve(unit, limits, upload, missing)


async def admit(unit: Unit, limits: Limits, owner_id: UUID) -> None:
    """Let a user begin one more upload. Raises TooManyUploads.

    To be called after `reserve`: that holds the user's row, so that two that are begun at the same
    time count each other.
    """
    under_way = await unit.session.scalar(
        select(func.count()).where(
            col(Upload.owner_id) == owner_id,
            # What has finished expires no more, and is most: the index leaves it out.
            col(Upload.expires_at).is_not(None),
            col(Upload.state).in_(UNFINISHED),
        )
    )
    if (under_way or 0) >= limits.max_uploads_per_user:
        raise TooManyUploads(
            f"{under_way} uploads are under way",
            limit=limits.max_uploads_per_user,
            under_way=under_way,
            headers={"Retry-After": str(_RETRY_SECONDS)},
        )


async def release(unit: Unit, upload: Upload) -> None:
    """Give back what an upload has reserved."""
    await _move(unit, upload.owner_id, reserved=-upload.reserved_bytes)
    upload.reserved_bytes = 0


async def settle(unit: Unit, upload: Upload, size_bytes: int) -> None:
    """Turn what an upload has reserved into a file of `size_bytes`."""
    await _move(unit, upload.owner_id, used=size_bytes, reserved=-upload.reserved_bytes)
    upload.reserved_bytes = 0


async def free(unit: Unit, owner_id: UUID, size_bytes: int) -> None:
    """Give back the room of a file."""
    await _move(unit, owner_id, used=-size_bytes)


async def _move(unit: Unit, user_id: UUID, *, used: int = 0, reserved: int = 0) -> None:
    await unit.session.exec(
        update(Usage)
        .where(col(Usage.user_id) == user_id)
        .values(
            used_bytes=col(Usage.used_bytes) + used,
            reserved_bytes=col(Usage.reserved_bytes) + reserved,
        )
        .execution_options(synchronize_session=False)
    )


async def _exceeded(unit: Unit, limits: Limits, user_id: UUID, wanted_bytes: int) -> QuotaExceeded:
    usage = (await unit.session.exec(select(Usage).where(Usage.user_id == user_id))).one_or_none()
    used, reserved = (usage.used_bytes, usage.reserved_bytes) if usage else (0, 0)
    left = max(0, limits.quota_bytes - used - reserved)
    return QuotaExceeded(
        f"{wanted_bytes} bytes are wanted, and {left} are left",
        quota_bytes=limits.quota_bytes,
        used_bytes=used,
        reserved_bytes=reserved,
        wanted_bytes=wanted_bytes,
    )
