"""How far somebody has read."""

from uuid import UUID

from sharezync_chat import access
from sharezync_chat.models import ChannelId, channel_stream, inbox_stream
from sharezync_chat.usecases import reads
from sharezync_chat.usecases.wire import ReadRead
from sharezync_shared.db.work import Work
from sharezync_shared.ids import UserId
from sharezync_shared.problems import NotFound
from sharezync_shared.streams.log import Connection
from sharezync_shared.streams.told import Told

_MOVE = """
    UPDATE chat.members SET last_read_seq = $3, last_read_number = greatest(last_read_number, $4)
     WHERE channel_id = $1 AND user_id = $2 AND last_read_seq < $3
 RETURNING true
"""

_STANDING = f"""
    SELECT m.last_read_seq, m.last_read_number, c.message_count,
           c.message_count - m.last_read_number AS unread_count,
           {reads.MENTION_COUNT} AS mention_count
      FROM chat.members AS m JOIN chat.channels AS c ON c.id = m.channel_id
     WHERE m.channel_id = $1 AND m.user_id = $2
"""  # noqa: S608 - text of ours


async def mark_read(
    work: Work,
    *,
    user_id: UserId,
    channel_id: ChannelId,
    seq: int | None = None,
    message_id: UUID | None = None,
) -> Told[ReadRead]:
    """Mark a channel as read up to a `seq` or a message; by default up to its end.

    It only ever moves forward: an older mark, from a device that lags behind, changes nothing. The
    user's other devices hear of it. A `seq` ahead of the stream means its end. Raises NotFound and
    NotMember.
    """
    async with work.begin() as unit:
        await access.channel_to_read(unit, user_id, channel_id)
        await unit.lock_streams(inbox_stream(user_id))
        connection = await unit.raw()
        seq, number = await _mark(connection, channel_id, seq, message_id)
        # Their own post may be moving the same mark at this moment: the statement decides.
        moved = await connection.fetchval(_MOVE, channel_id, user_id, seq, number)
        standing = await connection.fetchrow(_STANDING, channel_id, user_id)
        if standing is None:  # removed meanwhile
            raise NotFound
        read = ReadRead(channel_id=channel_id, **standing)
        if not moved:
            return Told(read)
        return Told(read, await unit.tell(inbox_stream(user_id), "read.updated", read))


async def _mark(
    connection: Connection, channel_id: ChannelId, seq: int | None, message_id: UUID | None
) -> tuple[int, int]:
    """Return the `seq` that was meant, and the number of the latest message up to there."""
    if message_id is not None:
        seq = await connection.fetchval(
            "SELECT seq FROM chat.messages WHERE id = $1 AND channel_id = $2",
            message_id,
            channel_id,
        )
        if seq is None:
            raise NotFound("There is no such message in this channel")
    head: int = await connection.fetchval(
        "SELECT last_seq FROM chat.stream_heads WHERE stream = $1", channel_stream(channel_id)
    )
    seq = head if seq is None else min(seq, head)
    number = await connection.fetchval(
        "SELECT number FROM chat.messages WHERE channel_id = $1 AND seq <= $2 "
        "ORDER BY seq DESC LIMIT 1",
        channel_id,
        seq,
    )
    return seq, number or 0
