"""Transitions of recipients and of their transfer: the resulting state, its events and facts."""

from collections.abc import Collection, Mapping
from typing import Final
from uuid import UUID

from sharezync_shared.events.contracts import TransferCompleted, TransferEnded
from sharezync_shared.streams.frames import Control, Frame
from sharezync_shared.streams.log import Entry, StreamPosition
from sharezync_shared.streams.published import Published
from sharezync_shared.work import UnitOfWork, to_json
from sharezync_transfer import states
from sharezync_transfer.access import Actor, Role, TransferAggregate
from sharezync_transfer.errors import NotInThisState, TransferOver
from sharezync_transfer.models import Recipient, Transfer, chunks_stream, transfers_stream
from sharezync_transfer.schemas import TransferRead
from sharezync_transfer.states import Act
from sharezync_transfer.usecases import statistics

_NOWHERE: Final[Mapping[UUID, StreamPosition]] = {}
CHANGED: Final = "changed"
"""In a control frame of `transfer:<id>`: gateways that deal with it must ask how it stands."""


def move(unit: UnitOfWork, recipient: Recipient, act: Act) -> bool:
    """Have `act` happen to a recipient; False where it changes nothing.

    Raises TransferOver and NotInThisState where the table refuses it.
    """
    before = recipient.state
    reached = states.after(before, act)
    if reached is None:
        problem = TransferOver if before in states.FINAL else NotInThisState
        raise problem(f"The transfer is {before}", state=before)
    if reached == before:
        return False
    recipient.state = reached
    recipient.updated_at = unit.now
    if reached == "completed":
        recipient.completed_at = unit.now
    return True


def progressed(transfer: Transfer, recipient: Recipient) -> Act:
    """Return what has happened to a recipient, as far as bytes go."""
    if recipient.received_bytes < recipient.accepted_bytes:
        return "receive"
    return "verify" if transfer.confirmed_at is None else "complete"


def has_begun(recipient: Recipient) -> bool:
    """Whether there is anything to say about how far a recipient is."""
    return recipient.received_bytes > 0 or recipient.accepted_bytes == 0


async def publish_change(
    unit: UnitOfWork,
    whole: TransferAggregate,
    changed: Collection[Recipient],
    *,
    everyone: bool = False,
) -> dict[UUID, StreamPosition]:
    """Derive the transfer's state after a change to these recipients, and publish it.

    To the sender and to those recipients; with `everyone`, to all who have not finished. Returns
    the position of the event in each user's stream. Lock all of these streams before, if a unit of
    work calls it several times.
    """
    derive_state(unit, whole, changed)
    concerned = {each.user_id for each in changed if not each.hidden}
    if everyone:
        under_way = (each for each in whole.recipients if each.state not in states.FINAL)
        concerned |= {each.user_id for each in under_way if not each.hidden}
    sender_id = whole.transfer.sender_id
    done = {each.user_id for each in changed if each.state == "completed"}
    if done:
        done.add(sender_id)
    types = {
        user_id: "transfer_completed" if user_id in done else "transfer_updated"
        for user_id in concerned | {sender_id}
    }
    positions = await unit.publish_events(events_for(whole, types))
    await statistics.add(unit, whole, changed)
    # Straight to gateways: the text of events is for clients, and nobody parses it on the way.
    stream = chunks_stream(whole.transfer.id)
    unit.signals.append(Frame(stream, "", 0, b"", Control(chunk=[CHANGED])))
    return dict(zip(types, positions, strict=True))


def events_for(whole: TransferAggregate, types: Mapping[UUID, str]) -> list[Entry]:
    """Return an event of its type for each of these users, with the transfer as they see it.

    A user who sends to themselves gets one event, as the sender.
    """
    sender_id = whole.transfer.sender_id
    users: list[tuple[Role, UUID]] = [
        ("sender" if user_id == sender_id else "recipient", user_id) for user_id in types
    ]
    return [
        Entry(transfers_stream(user_id), types[user_id], to_json(read))
        for (_, user_id), read in zip(users, TransferRead.of_each(whole, users), strict=True)
    ]


def seen_by(
    whole: TransferAggregate, actor: Actor, positions: Mapping[UUID, StreamPosition] = _NOWHERE
) -> Published[TransferRead]:
    """Return the transfer as the actor sees it now, and where that stands."""
    read = TransferRead.from_aggregate(whole, whole.role_of(actor), actor.user_id)
    return Published(read, positions.get(actor.user_id))


def derive_state(
    unit: UnitOfWork, whole: TransferAggregate, changed: Collection[Recipient]
) -> None:
    """Derive the transfer's state after a change to these recipients, and emit the facts."""
    transfer = whole.transfer
    was_over = transfer.over
    transfer.state = states.overall(recipient.state for recipient in whole.recipients)
    for recipient in changed:
        if recipient.state == "completed":
            unit.emit(
                TransferCompleted(
                    transfer_id=transfer.id,
                    sender_id=transfer.sender_id,
                    recipient_id=recipient.user_id,
                    size_bytes=recipient.accepted_bytes,
                )
            )
    if transfer.over and not was_over:
        transfer.ended_at = unit.now
        transfer.completed_at = unit.now if transfer.state == "completed" else None
        unit.emit(TransferEnded(transfer_id=transfer.id, outcome=transfer.state))
