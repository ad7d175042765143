"""What gateways report of chunks, twice a second for each end, and recipients without a socket.

No row is read that a report doesn't touch.
"""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

import msgspec

from sharezync_shared.contracts.transfer import Standing
from sharezync_shared.problems import Forbidden, Invalid
from sharezync_shared.ranges import Pair, Ranges
from sharezync_shared.work import UnitOfWork
from sharezync_transfer import access, states
from sharezync_transfer.access import Actor, TransferAggregate
from sharezync_transfer.cutting import bytes_in, chunk_count
from sharezync_transfer.errors import NotInThisState, TransferOver
from sharezync_transfer.models import Recipient, Transfer, TransferId
from sharezync_transfer.schemas import RecipientRead
from sharezync_transfer.states import State
from sharezync_transfer.usecases.commands import MOST_RANGES, receipts_of
from sharezync_transfer.usecases.context import TransferServiceContext
from sharezync_transfer.usecases.transitions import move, progressed, publish_change

_COUNTED: Final[frozenset[State]] = states.DELIVERING | {"paused"}
"""In which what a recipient confirms is counted: not before they accept, nor after the end."""

_STORED: Final = """
UPDATE transfer.files AS f SET stored_bytes = LEAST(f.size_bytes, g.bytes)
FROM unnest($2::int[], $3::bigint[]) AS g(index, bytes)
WHERE f.transfer_id = $1 AND f.index = g.index AND f.stored_bytes < LEAST(f.size_bytes, g.bytes)
"""
_RECEIPTS: Final = """
SELECT r.file_index, r.ranges::text AS ranges, r.received_bytes, f.size_bytes
FROM transfer.receipts AS r
JOIN transfer.files AS f ON f.transfer_id = r.transfer_id AND f.index = r.file_index
WHERE r.transfer_id = $1 AND r.user_id = $2 AND r.file_index = ANY($3::int[])
"""
_RECEIVED: Final = """
UPDATE transfer.receipts AS r SET ranges = g.ranges::jsonb, received_bytes = g.bytes
FROM unnest($3::int[], $4::text[], $5::bigint[]) AS g(index, ranges, bytes)
WHERE r.transfer_id = $1 AND r.user_id = $2 AND r.file_index = g.index
"""


async def report(
    context: TransferServiceContext,
    actor: Actor,
    transfer_id: TransferId,
    *,
    stored: Mapping[int, int],
    received: Mapping[int, Ranges],
) -> Standing:
    """Note how far a transfer is: the sender's files in bytes, a recipient's in chunks. Repeatable,
    in any order. A recipient who has all they accepted completes as soon as the files are
    confirmed.

    Raises NotFound, and Forbidden where somebody reports for the other end.
    """
    async with context.work.begin() as unit:
        transfer = await access.lock(unit, transfer_id)
        recipient = await unit.session.get(Recipient, (transfer.id, actor.user_id))
        role = access.role_in(transfer, recipient, actor)
        if (stored and role == "recipient") or (received and role == "sender"):
            raise Forbidden("Sender and recipients can only report for themselves")
        if stored:
            connection = await unit.raw()
            await connection.execute(_STORED, transfer.id, list(stored), list(stored.values()))
        if role == "sender":
            recipient = None
        elif recipient is not None and received and recipient.state in _COUNTED:
            if new_bytes := await _receive(unit, transfer, actor.user_id, received):
                recipient.received_bytes += new_bytes
                recipient.received_at = unit.now
                if recipient.began_at is None:
                    recipient.began_at = unit.now
                    recipient.began_bytes = recipient.received_bytes
            if move(unit, recipient, progressed(transfer, recipient)):
                (whole,) = await access.load(unit, [transfer.id])
                await publish_change(unit, whole, [recipient])
        sent = await context.progress.broadcast(unit, transfer)
    if not sent:
        context.progress.later(transfer_id)
    recipient_state = recipient.state if recipient is not None else None
    return Standing(state=transfer.state, recipient_state=recipient_state)


async def confirm(
    context: TransferServiceContext,
    actor: Actor,
    transfer_id: TransferId,
    *,
    file: int,
    ranges: Ranges,
) -> RecipientRead:
    """Note that a recipient without a socket holds these chunks of a file; return how far they are.

    May be repeated, also once all has come. Raises NotFound, Forbidden, Invalid for a file that
    they did not accept, NotInThisState before they accept, and TransferOver.
    """
    async with context.work.read() as unit:
        whole = await access.transfer_to_see(unit, actor, transfer_id)
        if whole.role_of(actor) == "sender":
            raise Forbidden("Only recipients can report received chunks")
        accepted = await receipts_of(unit, _receiving(whole, actor))
    if file not in {receipt.file_index for receipt in accepted}:
        raise Invalid("`file` isn't an accepted file")
    await report(context, actor, transfer_id, stored={}, received={file: ranges})
    async with context.work.read() as unit:
        whole = await access.transfer_to_see(unit, actor, transfer_id)
        # It may have ended meanwhile: then nothing was noted.
        return RecipientRead.model_validate(_receiving(whole, actor))


def _receiving(whole: TransferAggregate, actor: Actor) -> Recipient:
    """Return the actor as a recipient who may confirm. Raises NotInThisState and TransferOver."""
    recipient = whole.own_part(actor)
    state = recipient.state
    if state == "offered":
        raise NotInThisState("Accept the transfer first", state=state)
    if state in states.FINAL - {"completed"}:
        raise TransferOver(f"The transfer is {state}", state=state)
    return recipient


async def _receive(
    unit: UnitOfWork, transfer: Transfer, user_id: UUID, received: Mapping[int, Ranges]
) -> int:
    """Add chunks to what a recipient holds; return how many bytes are new."""
    connection = await unit.raw()
    rows = await connection.fetch(_RECEIPTS, transfer.id, user_id, list(received))
    chunk_bytes = transfer.chunk_size_bytes
    changed: list[tuple[int, Ranges, int]] = []
    new_bytes = 0
    for row in rows:
        before = Ranges(msgspec.json.decode(row["ranges"], type=list[Pair]))
        more = received[row["file_index"]].below(chunk_count(row["size_bytes"], chunk_bytes))
        after = (before | more).lowest(MOST_RANGES)
        if after != before:
            total = bytes_in(after, row["size_bytes"], chunk_bytes)
            changed.append((row["file_index"], after, total))
            new_bytes += total - row["received_bytes"]
    if changed:
        await connection.execute(
            _RECEIVED,
            transfer.id,
            user_id,
            [index for index, _, _ in changed],
            [msgspec.json.encode(after.pairs()).decode() for _, after, _ in changed],
            [total for _, _, total in changed],
        )
    return new_bytes
