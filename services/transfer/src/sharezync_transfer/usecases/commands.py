"""Commands: accept, reject, pause, resume and cancel a transfer. All may be repeated."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, Literal
from uuid import UUID

from sqlmodel import col, select

from sharezync_shared.problems import Forbidden, Invalid
from sharezync_shared.ranges import Pair, Ranges
from sharezync_shared.streams.log import StreamPosition
from sharezync_shared.streams.published import Published
from sharezync_shared.work import UnitOfWork, UnitsOfWork
from sharezync_transfer import access, states
from sharezync_transfer.access import Actor, TransferAggregate
from sharezync_transfer.cutting import bytes_in, chunk_count
from sharezync_transfer.errors import AcceptedOtherwise, NotInThisState, OtherDevice, TransferOver
from sharezync_transfer.models import Receipt, Recipient, TransferId
from sharezync_transfer.schemas import TransferRead
from sharezync_transfer.usecases import acquaintances
from sharezync_transfer.usecases.capabilities import Participation
from sharezync_transfer.usecases.transitions import (
    has_begun,
    move,
    progressed,
    publish_change,
    seen_by,
)

PlainAct = Literal["reject", "pause", "cancel"]

_TAKE: Final = """
INSERT INTO transfer.receipts (transfer_id, user_id, file_index, ranges, received_bytes)
SELECT $1, $2, unnest($3::int[]), '[]', 0
"""

MOST_RANGES = 1000
"""Kept of one file for one recipient: who confirms every other chunk must not fill our tables."""


async def accept(
    work: UnitsOfWork, actor: Actor, transfer_id: TransferId, files: Collection[int] | None
) -> Published[Participation]:
    """Accept these files of a transfer; None: all of them. Chunks may come from now on.

    Raises NotFound, Forbidden, Invalid, OtherDevice, AcceptedOtherwise, TransferOver.
    """
    async with work.begin() as unit:
        whole = await access.transfer_to_change(unit, actor, transfer_id)
        recipient = whole.own_part(actor)
        wanted = _wanted(whole, files)
        if recipient.state == "offered":
            _check_device(recipient, actor)
        changed = move(unit, recipient, "accept")
        if not changed:
            received_ranges = await received_by(unit, whole, actor)
            if files is not None and wanted != received_ranges.keys():
                raise AcceptedOtherwise(files=sorted(received_ranges))
            return _attached(whole, actor, received_ranges, {})
        await take(unit, whole, recipient, wanted, actor.device_id)
        positions = await publish_change(unit, whole, [recipient])
        await acquaintances.note(unit, whole.transfer.sender_id, [recipient.user_id])
        return _attached(whole, actor, {index: [] for index in sorted(wanted)}, positions)


async def take(
    unit: UnitOfWork,
    whole: TransferAggregate,
    recipient: Recipient,
    files: Collection[int],
    device_id: UUID | None,
) -> None:
    """Note what somebody has accepted, and on which device; their row must be in the database."""
    recipient.accepted_at = unit.now
    recipient.device_id = recipient.device_id or device_id
    recipient.accepted_files = len(files)
    recipient.accepted_bytes = sum(whole.files[index].size_bytes for index in files)
    connection = await unit.raw()
    await connection.execute(_TAKE, recipient.transfer_id, recipient.user_id, list(files))
    if has_begun(recipient):  # there is nothing in these files
        move(unit, recipient, progressed(whole.transfer, recipient))


async def act(
    work: UnitsOfWork, actor: Actor, transfer_id: TransferId, what: PlainAct
) -> Published[TransferRead]:
    """Reject an offer; or pause or cancel: a recipient for themselves, the sender for all.

    The sender pauses for all who have accepted, and cancels for all who have not completed. Raises
    NotFound, NotInThisState, TransferOver, and Forbidden for a sender who rejects.
    """
    async with work.begin() as unit:
        whole = await access.transfer_to_change(unit, actor, transfer_id)
        if what == "reject":
            whole.own_part(actor)
        changed = _have_happen(unit, whole, actor, what)
        positions = await publish_change(unit, whole, changed) if changed else {}
        return seen_by(whole, actor, positions)


async def resume(
    work: UnitsOfWork,
    actor: Actor,
    transfer_id: TransferId,
    have: Mapping[int, Ranges] | None = None,
) -> Published[Participation]:
    """Go on, on whichever device and in whichever process.

    `have` is what a recipient holds there of each file, and replaces what is on record of them;
    None: the record is right. Raises NotFound, Invalid, NotInThisState, TransferOver.
    """
    async with work.begin() as unit:
        whole = await access.transfer_to_change(unit, actor, transfer_id)
        if have is None:
            changed = _have_happen(unit, whole, actor, "resume")
            for recipient in changed:
                if has_begun(recipient):
                    move(unit, recipient, progressed(whole.transfer, recipient))
        else:
            changed = await _go_on_from(unit, whole, actor, have)
        positions = await publish_change(unit, whole, changed) if changed else {}
        return _attached(whole, actor, await received_by(unit, whole, actor), positions)


async def _go_on_from(
    unit: UnitOfWork, whole: TransferAggregate, actor: Actor, have: Mapping[int, Ranges]
) -> list[Recipient]:
    """Have a recipient go on where the actor is, with what they hold there; return who changed."""
    if whole.role_of(actor) == "sender":
        raise Forbidden("Only recipients can report received chunks")
    recipient = whole.own_part(actor)
    before = recipient.state, recipient.device_id
    move(unit, recipient, "resume")
    size = whole.transfer.chunk_size_bytes
    for receipt in await receipts_of(unit, recipient):
        file = whole.files[receipt.file_index]
        count = chunk_count(file.size_bytes, size)
        received_ranges = have.get(file.index, Ranges()).below(count).lowest(MOST_RANGES)
        receipt.ranges = received_ranges.pairs()
        received = bytes_in(received_ranges, file.size_bytes, size)
        recipient.received_bytes += received - receipt.received_bytes
        receipt.received_bytes = received
    recipient.device_id = actor.device_id or recipient.device_id
    if has_begun(recipient) or recipient.state == "verifying":
        move(unit, recipient, progressed(whole.transfer, recipient))
    return [] if (recipient.state, recipient.device_id) == before else [recipient]


def _have_happen(
    unit: UnitOfWork, whole: TransferAggregate, actor: Actor, what: PlainAct | Literal["resume"]
) -> list[Recipient]:
    """Have an act happen to the recipient who does it; where the sender does, to all that it can.

    Returns who is changed by it. Raises TransferOver or NotInThisState where that is nobody.
    """
    if whole.role_of(actor) == "recipient":
        recipient = whole.own_part(actor)
        return [recipient] if move(unit, recipient, what) else []
    able = [each for each in whole.recipients if states.after(each.state, what) is not None]
    if not able:
        state = whole.transfer.state
        problem = TransferOver if whole.transfer.over else NotInThisState
        raise problem(f"The transfer is {state}", state=state)
    return [each for each in able if move(unit, each, what)]


def _attached(
    whole: TransferAggregate,
    actor: Actor,
    received_ranges: Mapping[int, list[Pair]],
    positions: Mapping[UUID, StreamPosition],
) -> Published[Participation]:
    participation = Participation.from_aggregate(whole, actor, received_ranges)
    return Published(participation, positions.get(actor.user_id))


def _check_device(recipient: Recipient, actor: Actor) -> None:
    """Raise OtherDevice where the sender chose one, and it is certain that this is another."""
    if recipient.device_id and actor.device_id and recipient.device_id != actor.device_id:
        raise OtherDevice


def _wanted(whole: TransferAggregate, files: Collection[int] | None) -> set[int]:
    everything = {file.index for file in whole.files}
    if files is None:
        return everything
    wanted = set(files)
    if not wanted or not wanted <= everything:
        raise Invalid(f"`files` must contain indexes from 0 to {len(everything) - 1}")
    return wanted


async def received_by(
    unit: UnitOfWork, whole: TransferAggregate, actor: Actor
) -> dict[int, list[Pair]]:
    """Return what a recipient holds of each file they accepted; nothing of the sender."""
    if whole.role_of(actor) == "sender":
        return {}
    found = await receipts_of(unit, whole.own_part(actor))
    return {receipt.file_index: receipt.ranges for receipt in found}


async def receipts_of(unit: UnitOfWork, recipient: Recipient) -> Sequence[Receipt]:
    """Return what a recipient accepted and holds, file by file."""
    found = await unit.session.exec(
        select(Receipt)
        .where(Receipt.transfer_id == recipient.transfer_id, Receipt.user_id == recipient.user_id)
        .order_by(col(Receipt.file_index))
    )
    return found.all()
