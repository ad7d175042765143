"""Paging through a channel, newest first, from any place in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

from sharezync_chat import access
from sharezync_chat.models import ChannelId
from sharezync_chat.schemas import MessageRead
from sharezync_chat.usecases import reads
from sharezync_shared.ids import UserId
from sharezync_shared.pages import json_bytes, take_page
from sharezync_shared.problems import NotFound
from sharezync_shared.sizes import MAX_PAGE_BYTES
from sharezync_shared.streams.log import Connection
from sharezync_shared.work import UnitsOfWork

Edge = Literal["before", "after", "around"]
"""Which messages: older than the mark, newer than it, or on both sides of it and the one there."""

_OLDER: Final = ("m.channel_id = $1 AND m.seq < $2", "m.seq DESC")
_NEWER: Final = ("m.channel_id = $1 AND m.seq > $2", "m.seq")
_LATER_THAN_ALL: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class MessagePage:
    """Messages, newest first, and the marks to go on from; None where there is nothing more."""

    items: Sequence[MessageRead]
    older: int | None
    newer: int | None


async def page(
    work: UnitsOfWork,
    *,
    user_id: UserId,
    channel_id: ChannelId,
    edge: Edge = "before",
    mark: int | UUID | None = None,
    limit: int,
) -> MessagePage:
    """Return up to `limit` messages of a channel to a member, as many as a page holds.

    `mark` is a `seq` or a message of the channel; None is the end. Deleted messages are listed as
    what is left of them: nothing shifts. Raises NotFound, also for a message that is elsewhere.
    """
    async with work.read() as unit:
        channel, _ = await access.channel_to_read(unit, user_id, channel_id)
        connection = await unit.raw()
        seq = await _seq_of(connection, channel_id, mark)
        items: list[MessageRead] = []
        if edge != "before":
            newer, max_bytes = limit, MAX_PAGE_BYTES
            if edge == "around":
                newer, max_bytes = limit // 2, MAX_PAGE_BYTES // 2
            found = await reads.message_page(
                connection, *_NEWER, channel_id, seq, limit=newer, viewer=user_id
            )
            items = take_page(found, newer, max_bytes=max_bytes)[::-1]
        if edge != "after":
            before = seq if edge == "before" else min(seq, _LATER_THAN_ALL - 1) + 1
            older = limit - len(items)
            found = await reads.message_page(
                connection, *_OLDER, channel_id, before, limit=older, viewer=user_id
            )
            items += take_page(found, older, max_bytes=MAX_PAGE_BYTES - sum(map(json_bytes, items)))
        if not items:
            return MessagePage([], None, None)
        # Numbers have no gaps: they show what lies beyond the page.
        oldest, newest = items[-1], items[0]
        return MessagePage(
            items,
            older=oldest.seq if oldest.number > 1 else None,
            newer=newest.seq if newest.number < channel.message_count else None,
        )


async def _seq_of(connection: Connection, channel_id: ChannelId, mark: int | UUID | None) -> int:
    if mark is None:
        return _LATER_THAN_ALL
    if isinstance(mark, int):
        return min(mark, _LATER_THAN_ALL)
    seq: int | None = await connection.fetchval(
        "SELECT seq FROM chat.messages WHERE id = $1 AND channel_id = $2", mark, channel_id
    )
    if seq is None:
        raise NotFound("The message doesn't exist in this channel")
    return seq
