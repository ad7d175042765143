"""Queries: a transfer, a page of them, missing chunks, what somebody is to a transfer."""

from collections.abc import Iterator, Sequence
from uuid import UUID

from asyncpg import Record

from sharezync_shared.pages import take_page
from sharezync_shared.ranges import Ranges
from sharezync_shared.work import UnitsOfWork
from sharezync_transfer import access
from sharezync_transfer.access import Actor, Role, TransferAggregate
from sharezync_transfer.cutting import chunk_count
from sharezync_transfer.models import TransferFile, TransferId
from sharezync_transfer.schemas import MissingOfFile, MissingRead, TransferRead
from sharezync_transfer.settings import MAX_FILES
from sharezync_transfer.states import State
from sharezync_transfer.usecases.capabilities import Participation
from sharezync_transfer.usecases.commands import receipts_of, received_by
from sharezync_transfer.usecases.context import TransferServiceContext

# Two walks along an index each, and no more rows than asked for: quick at any number of transfers.
_PAGE = """
SELECT mine.id, mine.sent, t.file_count FROM (
SELECT id, bool_or(sent) AS sent FROM (
    (SELECT t.id, true AS sent FROM transfer.transfers AS t
     WHERE $2::text IS DISTINCT FROM 'recipient' AND t.sender_id = $1
       AND ($3::uuid IS NULL OR t.id < $3) AND ($4::text IS NULL OR t.state = $4)
     ORDER BY t.id DESC LIMIT $5)
    UNION ALL
    (SELECT r.transfer_id, false FROM transfer.recipients AS r
     WHERE $2::text IS DISTINCT FROM 'sender' AND r.user_id = $1 AND NOT r.hidden
       AND ($3::uuid IS NULL OR r.transfer_id < $3) AND ($4::text IS NULL OR r.state = $4)
     ORDER BY r.transfer_id DESC LIMIT $5)
) AS walked GROUP BY id ORDER BY id DESC LIMIT $5
) AS mine JOIN transfer.transfers AS t ON t.id = mine.id ORDER BY mine.id DESC
"""


async def get(work: UnitsOfWork, actor: Actor, transfer_id: TransferId) -> TransferRead:
    async with work.read() as unit:
        whole = await access.transfer_to_see(unit, actor, transfer_id)
        return TransferRead.from_aggregate(whole, whole.role_of(actor), actor.user_id)


async def page(
    work: UnitsOfWork,
    *,
    user_id: UUID,
    role: Role | None,
    state: State | None,
    before: UUID | None,
    limit: int,
) -> list[TransferRead]:
    """List what the user sends and is sent, newest first: those made before `before`.

    `state` is the state as each of them shows it. What one sends to oneself counts as sent. They
    are read in steps, until there are more than a page holds.
    """
    async with work.read() as unit:
        connection = await unit.raw()
        rows = await connection.fetch(_PAGE, user_id, role, before, state, limit)
        found: list[TransferRead] = []
        for step in _steps(rows):
            sent = {row["id"]: row["sent"] for row in step}
            found += [
                TransferRead.from_aggregate(
                    whole, "sender" if sent[whole.transfer.id] else "recipient", user_id
                )
                for whole in await access.load(unit, list(sent))
            ]
            if len(take_page(found, limit)) < len(found):
                break
        return found


def _steps(rows: Sequence[Record]) -> Iterator[list[Record]]:
    """Yield transfers in order, in steps of at most `MAX_FILES` files in all."""
    step: list[Record] = []
    files = 0
    for row in rows:
        files += row["file_count"]
        if step and files > MAX_FILES:
            yield step
            step, files = [], row["file_count"]
        step.append(row)
    if step:
        yield step


async def missing(
    context: TransferServiceContext, actor: Actor, transfer_id: TransferId
) -> MissingRead:
    """Return which chunks are missing: to the sender by storage's own record, to a recipient those
    accepted and not confirmed. Raises NotFound and Unavailable.
    """
    present: dict[int, Ranges] = {}
    async with context.work.read() as unit:
        whole = await access.transfer_to_see(unit, actor, transfer_id)
        recipient = whole.recipient(actor.user_id)
        if whole.role_of(actor) == "recipient" and recipient is not None:
            present = {r.file_index: Ranges(r.ranges) for r in await receipts_of(unit, recipient)}
            return _missing(whole, present)
    present = {file.index: Ranges.whole(_count(whole, file)) for file in whole.files}
    asked = [file for file in whole.files if file.root is None and not whole.transfer.over]
    if asked:
        stored = await context.services.storage.stored([file.upload_id for file in asked])
        # What storage gave up is missing altogether.
        present |= {file.index: stored.get(file.upload_id, Ranges()) for file in asked}
    return _missing(whole, present)


def _count(whole: TransferAggregate, file: TransferFile) -> int:
    return chunk_count(file.size_bytes, whole.transfer.chunk_size_bytes)


def _missing(whole: TransferAggregate, present: dict[int, Ranges]) -> MissingRead:
    return MissingRead(
        transfer_id=whole.transfer.id,
        files=[
            MissingOfFile(
                index=index,
                chunk_count=_count(whole, whole.files[index]),
                missing=ranges.gaps(_count(whole, whole.files[index])).pairs(),
            )
            for index, ranges in sorted(present.items())
        ],
    )


async def participation(work: UnitsOfWork, actor: Actor, transfer_id: TransferId) -> Participation:
    """Return what the actor is to a transfer, and where its chunks go. Raises NotFound."""
    async with work.read() as unit:
        whole = await access.transfer_to_see(unit, actor, transfer_id)
        return Participation.from_aggregate(whole, actor, await received_by(unit, whole, actor))
