"""What storage does when others say that something happened.

Each function runs in a unit in which the event was claimed: a repeated delivery is not even seen
here. What each says about repeating is for dead letters that are replayed after the claim expired.
"""

from collections.abc import Mapping
from typing import Final

from sharezync_shared.events.contracts import (
    ChannelDeleted,
    Event,
    MessageDeleted,
    MessageSent,
    TransferEnded,
    TransferOffered,
    UserDeleted,
)
from sharezync_shared.ids import UserId
from sharezync_shared.work import Consumer, UnitOfWork
from sharezync_storage.usecases import holding
from sharezync_storage.usecases.erasing import erase_user


async def on_user_deleted(unit: UnitOfWork, event: UserDeleted) -> None:
    """Erase what is kept of somebody. Safe to repeat: there is nothing left the second time."""
    await erase_user(unit, UserId(event.user_id))


async def on_message_sent(unit: UnitOfWork, event: MessageSent) -> None:
    """Keep the files of a message for those who read it. Safe to repeat, and to come too late."""
    await holding.hold(
        unit,
        holder="message",
        holder_id=event.message_id,
        group_id=event.channel_id,
        file_ids=event.attachments,
    )


async def on_message_deleted(unit: UnitOfWork, event: MessageDeleted) -> None:
    """Keep nothing for a message any more. Safe to repeat, and to come before it was sent.

    One that has no files now never holds any: they were deleted before, and can't be held.
    """
    await holding.release(unit, event.message_id, remember=bool(event.attachments))


async def on_channel_deleted(unit: UnitOfWork, event: ChannelDeleted) -> None:
    """Keep nothing for the messages of a channel any more. Safe to repeat, and to come early."""
    await holding.release_group(unit, event.channel_id)


async def on_transfer_offered(unit: UnitOfWork, event: TransferOffered) -> None:
    """Keep what is offered until the transfer is over. Safe to repeat, and to come too late."""
    await holding.hold(
        unit, holder="transfer", holder_id=event.transfer_id, file_ids=event.file_ids
    )


async def on_transfer_ended(unit: UnitOfWork, event: TransferEnded) -> None:
    """Keep nothing for a transfer any more. Safe to repeat, and to come before it was offered."""
    await holding.release(unit, event.transfer_id)


CONSUMERS: Final[Mapping[type[Event], Consumer]] = {
    UserDeleted: on_user_deleted,
    MessageSent: on_message_sent,
    MessageDeleted: on_message_deleted,
    ChannelDeleted: on_channel_deleted,
    TransferOffered: on_transfer_offered,
    TransferEnded: on_transfer_ended,
}
"""What storage reacts to."""
