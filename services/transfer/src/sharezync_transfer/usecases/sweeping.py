"""What time does to transfers: offers expire, and what is over is cleared away at storage."""

from contextlib import suppress
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlmodel import and_, col, or_, select

from sharezync_shared.background import AT_ONCE
from sharezync_shared.contracts.services import Services
from sharezync_shared.problems import Problem
from sharezync_shared.work import UnitsOfWork
from sharezync_transfer import access, states
from sharezync_transfer.models import Transfer, TransferFile
from sharezync_transfer.usecases.transitions import move, publish_change

_TRANSFERS: Final = 20  # in one transaction, or one round of calls


async def expire_some(work: UnitsOfWork) -> int:
    """Expire some transfers whose time is over; return how many. Replicas may do so at once."""
    expired = 0
    due = (
        select(Transfer.id)
        .where(col(Transfer.ended_at).is_(None), col(Transfer.expires_at) <= work.now())
        .order_by(col(Transfer.expires_at))
        .limit(_TRANSFERS)
    )
    async with work.read() as unit:
        transfer_ids = list(await unit.session.exec(due))
    for transfer_id in transfer_ids:
        # A transaction each: whose streams are busy keeps nobody else's waiting.
        async with work.begin() as unit:
            held = await unit.session.exec(
                select(Transfer)
                .where(Transfer.id == transfer_id, col(Transfer.ended_at).is_(None))
                .with_for_update(skip_locked=True)
            )
            if held.first() is None:
                continue
            (whole,) = await access.load(unit, [transfer_id])
            under_way = [each for each in whole.recipients if each.state not in states.FINAL]
            await publish_change(unit, whole, [e for e in under_way if move(unit, e, "expire")])
            expired += 1
    return expired


async def release_some(work: UnitsOfWork, services: Services, keep_completed: timedelta) -> int:
    """Have storage delete the chunks of some ended transfers; return of how many. Repeatable."""
    over = and_(
        col(Transfer.ended_at).is_not(None),
        col(Transfer.released_at).is_(None),
        or_(
            col(Transfer.state) != "completed",
            col(Transfer.ended_at) <= work.now() - keep_completed,
        ),
    )
    async with work.read() as unit:
        query = select(Transfer.id).where(over).order_by(col(Transfer.ended_at)).limit(_TRANSFERS)
        transfer_ids = list(await unit.session.exec(query))
        files = await unit.session.exec(
            select(TransferFile.transfer_id, TransferFile.upload_id).where(
                col(TransferFile.transfer_id).in_(transfer_ids)
            )
        )
        uploads: dict[UUID, list[UUID]] = {}
        for transfer_id, upload_id in files:
            uploads.setdefault(transfer_id, []).append(upload_id)
    released: list[UUID] = []
    for transfer_id in transfer_ids:
        with suppress(Problem):  # the next round tries again
            await services.storage.abort_uploads(uploads[transfer_id])
            released.append(transfer_id)
    if released:
        async with work.begin() as unit:
            connection = await unit.raw()
            await connection.execute(
                "UPDATE transfer.transfers SET released_at = $2 WHERE id = ANY($1::uuid[])",
                released,
                unit.now,
            )
    return len(released)


async def expire(work: UnitsOfWork) -> timedelta | None:
    """Expire some; return AT_ONCE where there may be more to do."""
    return AT_ONCE if await expire_some(work) == _TRANSFERS else None


async def release(
    work: UnitsOfWork, services: Services, keep_completed: timedelta
) -> timedelta | None:
    """Release some; return AT_ONCE where there may be more to do."""
    released = await release_some(work, services, keep_completed)
    return AT_ONCE if released == _TRANSFERS else None
