"""Uploads that begin once for each `Idempotency-Key`, however often they are asked for."""

from collections.abc import Awaitable, Callable

from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from sharezync_shared.db.work import UnitsOfWork
from sharezync_shared.ids import UserId
from sharezync_shared.problems import Conflict
from sharezync_storage.models import Upload


async def once(
    work: UnitsOfWork,
    *,
    owner_id: UserId,
    key: str | None,
    same: Callable[[Upload], bool],
    begin: Callable[[], Awaitable[Upload]],
) -> tuple[Upload, bool]:
    """Return what `begin` begins, which records the key; or what began with this key before.

    With it comes whether it is new. `same` tells whether an upload is what is asked for now; it
    may have ended since. Raises Conflict where the key began something else, and what `begin`
    raises: then the key is free, unless `begin` left a row that has it.
    """
    before = await _begun(work, owner_id, key)
    if before is None:
        try:
            return await begin(), True
        except IntegrityError:
            before = await _begun(work, owner_id, key)  # in this very moment, by another request
            if before is None:
                raise
    if not same(before):
        raise Conflict("This Idempotency-Key was used for another upload")
    return before, False


async def _begun(work: UnitsOfWork, owner_id: UserId, key: str | None) -> Upload | None:
    if key is None:
        return None
    statement = select(Upload).where(Upload.owner_id == owner_id, Upload.idempotency_key == key)
    async with work.read() as unit:
        return (await unit.session.exec(statement)).one_or_none()
