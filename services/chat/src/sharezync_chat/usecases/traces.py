"""What the logs of streams still say of somebody who is gone.

A finished frame holds the names of its time, and a log keeps it for days. Where such a frame is
taken out the log has a hole, and a hole is answered as a log that does not reach back far enough:
`reset`. So a client that was away since before it fetches its state anew, without the names, and
all others notice nothing.
"""

from collections.abc import Sequence
from uuid import UUID

from sharezync_chat.models import channel_stream, inbox_stream
from sharezync_shared.ids import UserId
from sharezync_shared.names.filenames import NAMELESS
from sharezync_shared.streams.log import Connection
from sharezync_shared.work import UnitOfWork


async def erase(unit: UnitOfWork, user_id: UserId) -> None:
    """Take every frame that names a deleted user out of the logs, and the names of their files.

    Call it when their names are erased and before their leaving is published. Takes hold of every
    channel in which they are named, so that no frame with an old name can come after. Reads what
    these channels said in the last days: seconds where that was a million frames. Repeatable: it
    takes out the events of their leaving then, and more clients refetch.
    """
    connection = await unit.raw()
    # Only one's own files can be attached. They go with the event of each, which may be far behind.
    await connection.execute(
        "UPDATE chat.attachments AS a SET name = $2 FROM chat.messages AS m "
        "WHERE m.id = a.message_id AND m.author_id = $1",
        user_id,
        NAMELESS,
    )
    channels = [channel_stream(channel_id) for channel_id in await _channels(unit, user_id)]
    await unit.lock_streams(*channels)
    # Names never stand without the id.
    inboxes = await _inboxes_of_joined(connection, channels)
    await _take_out(connection, [*channels, *inboxes], naming=user_id)
    # The heads stay, so that no `seq` comes twice.
    await connection.execute("DELETE FROM chat.stream_log WHERE stream = $1", inbox_stream(user_id))


async def forget_channel(connection: Connection, channel_id: UUID) -> None:
    """Take what a channel that is gone said out of the logs; the last frame, its end, stays."""
    stream = channel_stream(channel_id)
    inboxes = await _inboxes_of_joined(connection, [stream])
    await _take_out(connection, inboxes, naming=channel_id)
    await connection.execute(
        "DELETE FROM chat.stream_log AS l USING chat.stream_heads AS h "
        "WHERE l.stream = $1 AND h.stream = l.stream AND l.seq < h.last_seq",
        stream,
    )


async def _take_out(connection: Connection, streams: Sequence[str], *, naming: UUID) -> None:
    await connection.execute(
        "DELETE FROM chat.stream_log WHERE stream = ANY($1::text[]) AND strpos(text, $2) > 0",
        streams,
        str(naming),
    )


async def _inboxes_of_joined(connection: Connection, channels: Sequence[str]) -> list[str]:
    """Return the streams in which somebody was sent their membership in one of these channels.

    It was sent with the channel's participants and its last message.
    """
    rows = await connection.fetch(
        "SELECT DISTINCT jsonb_array_elements_text(control -> 'join') AS user_id "
        "FROM chat.stream_log WHERE stream = ANY($1::text[]) AND control ? 'join'",
        channels,
    )
    return [inbox_stream(UUID(row["user_id"])) for row in rows]


async def _channels(unit: UnitOfWork, user_id: UserId) -> list[UUID]:
    """Return the channels that may have named a user within the life of a log."""
    connection = await unit.raw()
    rows = await connection.fetch(
        "SELECT channel_id FROM chat.members WHERE user_id = $1 "
        "UNION SELECT channel_id FROM chat.messages WHERE author_id = $1 "
        # Those they left without a word: their own log has their joining and leaving.
        "UNION SELECT (text::jsonb #>> '{data,channel_id}')::uuid FROM chat.stream_log "
        "WHERE stream = $2 AND text::jsonb -> 'data' ? 'channel_id'",
        user_id,
        inbox_stream(user_id),
    )
    return [row["channel_id"] for row in rows]
