"""Messages that a channel keeps at hand."""

from collections.abc import Sequence
from typing import Final

from sharezync_chat import access
from sharezync_chat.errors import TooManyPins
from sharezync_chat.models import ChannelId, Message, MessageId, Pin
from sharezync_chat.schemas import PinChanged, PinRead
from sharezync_chat.usecases import membership_changes, people, reads
from sharezync_chat.usecases.actor import ActingUser
from sharezync_shared.ids import UserId
from sharezync_shared.pages import bytes_before
from sharezync_shared.problems import NotFound
from sharezync_shared.sizes import MAX_PAGE_BYTES
from sharezync_shared.streams.log import StreamPosition
from sharezync_shared.streams.published import Published
from sharezync_shared.work import UnitOfWork

_PAGE: Final = f"""
    SELECT p.message_id, p.pinned_at, u.id, u.username, u.display_name
      FROM (SELECT p.*, {bytes_before("m.text", "p.pinned_at DESC, p.message_id DESC")} AS bytes
              FROM chat.pins AS p JOIN chat.messages AS m ON m.id = p.message_id
             WHERE p.channel_id = $1
               AND ($2::timestamptz IS NULL OR (p.pinned_at, p.message_id) < ($2, $3::uuid))
           ) AS p JOIN chat.users AS u ON u.id = p.pinned_by
     WHERE p.bytes < $4 ORDER BY p.pinned_at DESC, p.message_id DESC
"""  # noqa: S608 - text of ours


async def pin(actor: ActingUser, channel_id: ChannelId, message_id: MessageId) -> Published[None]:
    """Pin a message, and publish it to the channel. One that is pinned stays as it is.

    Raises NotFound, NotMember, Forbidden, MessageGone, ChannelArchived, UserBlocked,
    UserUnreachable and TooManyPins.
    """
    user_id, limit = actor.user_id, actor.limits.pins_per_channel
    async with actor.work.begin() as unit:
        message = await access.message_to_pin(unit, user_id, channel_id, message_id)
        if await unit.get(Pin, message_id) is not None:
            return Published(None)
        connection = await unit.raw()
        count = await connection.fetchval(
            "SELECT count(*) FROM chat.pins WHERE channel_id = $1", channel_id
        )
        if count >= limit:
            raise TooManyPins(limit=limit)
        pinned = Pin(
            message_id=message_id, channel_id=channel_id, pinned_by=user_id, pinned_at=unit.now
        )
        unit.add(pinned)
        await membership_changes.agree(unit, channel_id, user_id)
        return Published(None, await _publish(unit, message, user_id, pinned))


async def unpin(actor: ActingUser, channel_id: ChannelId, message_id: MessageId) -> Published[None]:
    """Let go of a pinned message. One that isn't pinned stays as it is. Raises as `pin`."""
    async with actor.work.begin() as unit:
        message = await access.message_to_pin(unit, actor.user_id, channel_id, message_id)
        return Published(None, await drop(unit, message, by=actor.user_id))


async def drop(unit: UnitOfWork, message: Message, *, by: UserId) -> StreamPosition | None:
    """Unpin a message if it is pinned; return the event's position. The channel is locked."""
    pinned = await unit.get(Pin, message.id)
    if pinned is None:
        return None
    await unit.session.delete(pinned)
    return await _publish(unit, message, by, None)


async def page(
    actor: ActingUser, channel_id: ChannelId, *, after: MessageId | None
) -> Sequence[PinRead]:
    """List what is pinned in a channel, the latest first, to a member: from behind `after`.

    No more are read than a page holds, and one. Raises NotFound, also where `after` is not pinned
    there any more: its place is lost.
    """
    async with actor.work.read() as unit:
        channel, _ = await access.channel_to_read(unit, actor.user_id, channel_id)
        connection = await unit.raw()
        pinned_at = None
        if after is not None:
            pinned_at = await connection.fetchval(
                "SELECT pinned_at FROM chat.pins WHERE message_id = $1 AND channel_id = $2",
                after,
                channel.id,
            )
            if pinned_at is None:
                raise NotFound("The message isn't pinned any more; begin with the first page")
        rows = await connection.fetch(_PAGE, channel.id, pinned_at, after, MAX_PAGE_BYTES)
        found = await reads.messages(
            connection,
            "WHERE m.id = ANY($1::uuid[])",
            [row["message_id"] for row in rows],
            viewer=actor.user_id,
        )
        by_id = {message.id: message for message in found}
        return [
            PinRead(
                message=by_id[row["message_id"]],
                pinned_by=reads.user(row, "id"),
                pinned_at=row["pinned_at"],
            )
            for row in rows
        ]


async def _publish(
    unit: UnitOfWork, message: Message, by: UserId, pinned: Pin | None
) -> StreamPosition:
    changed = PinChanged(
        channel_id=message.channel_id,
        message_id=message.id,
        by=await people.named(unit, by),
        pinned_at=pinned.pinned_at if pinned else None,
    )
    event_type = "message.pinned" if pinned else "message.unpinned"
    return await unit.publish_event(message.stream, event_type, changed)
