"""How far somebody has read."""

import asyncio
from collections.abc import Collection, Mapping
from typing import NamedTuple
from uuid import UUID

from sharezync_chat import access
from sharezync_chat.models import ChannelId, channel_stream, inbox_stream
from sharezync_chat.schemas import ReadRead
from sharezync_chat.usecases import reads
from sharezync_chat.usecases.actor import ActingUser
from sharezync_shared.ids import UserId
from sharezync_shared.problems import NotFound
from sharezync_shared.streams.log import Connection
from sharezync_shared.streams.published import Published
from sharezync_shared.work import UnitsOfWork

_MOVE = """
    UPDATE chat.members SET last_read_seq = $3, last_read_number = greatest(last_read_number, (
               SELECT number FROM chat.messages WHERE channel_id = $1 AND seq <= $3
                ORDER BY seq DESC LIMIT 1))
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


class ReadMarker(NamedTuple):
    """A place in a channel: a `seq`, a message, or without either the end."""

    seq: int | None = None
    message_id: UUID | None = None


Outcomes = Mapping[ReadMarker, Published[ReadRead] | NotFound]


class ReadMarkBatch:
    """What several marks come to where they came together: one write for each user and channel.

    First `add` all of them, then `write` each.
    """

    def __init__(self, work: UnitsOfWork) -> None:
        self._work = work
        self._added: dict[tuple[UserId, ChannelId], set[ReadMarker]] = {}
        self._written: dict[tuple[UserId, ChannelId], asyncio.Task[Outcomes]] = {}

    def add(self, user_id: UserId, channel_id: ChannelId, mark: ReadMarker) -> None:
        """Take a mark into account."""
        self._added.setdefault((user_id, channel_id), set()).add(mark)

    async def write(self, user_id: UserId, channel_id: ChannelId, mark: ReadMarker) -> ReadRead:
        """Return how far the channel is read once the furthest mark is written. See `mark_read`."""
        key = (user_id, channel_id)
        if key not in self._written:
            self._written[key] = asyncio.create_task(
                mark_furthest(self._work, user_id, channel_id, self._added[key])
            )
        return _stood((await self._written[key])[mark]).outcome


async def mark_read(
    actor: ActingUser, channel_id: ChannelId, mark: ReadMarker
) -> Published[ReadRead]:
    """Mark a channel as read up to a place.

    It only ever moves forward: an older mark, from a device that lags behind, changes nothing. The
    user's other devices are sent it. A `seq` ahead of the stream means its end. Raises NotFound and
    NotMember.
    """
    outcomes = await mark_furthest(actor.work, actor.user_id, channel_id, [mark])
    return _stood(outcomes[mark])


async def mark_furthest(
    work: UnitsOfWork, user_id: UserId, channel_id: ChannelId, marks: Collection[ReadMarker]
) -> Outcomes:
    """Do what `mark_read` would for each of these marks, in one write and with one event.

    Returns what becomes of each: how far the channel is read then, or NotFound where it names a
    message that isn't there. Raises NotFound and NotMember for all of them.
    """
    async with work.begin() as unit:
        await access.channel_to_read(unit, user_id, channel_id)
        await unit.lock_streams(inbox_stream(user_id))
        connection = await unit.raw()
        places = await _places(connection, channel_id, marks)
        nowhere = NotFound("The message doesn't exist in this channel")
        if not places:
            return dict.fromkeys(marks, nowhere)
        seq = max(places.values())
        # Their own post may be moving the same mark at this moment: the statement decides.
        moved = await connection.fetchval(_MOVE, channel_id, user_id, seq)
        standing = await connection.fetchrow(_STANDING, channel_id, user_id)
        if standing is None:  # removed meanwhile
            raise NotFound
        read = ReadRead(channel_id=channel_id, **standing)
        at = (
            await unit.publish_event(inbox_stream(user_id), "read.updated", read) if moved else None
        )
        return {mark: Published(read, at) if mark in places else nowhere for mark in marks}


async def _places(
    connection: Connection, channel_id: ChannelId, marks: Collection[ReadMarker]
) -> Mapping[ReadMarker, int]:
    """Return the `seq` that each mark means; those of unknown messages are absent."""
    head: int = await connection.fetchval(
        "SELECT last_seq FROM chat.stream_heads WHERE stream = $1", channel_stream(channel_id)
    )
    named = [mark.message_id for mark in marks if mark.message_id is not None]
    found = {}
    if named:
        statement = (
            "SELECT id, seq FROM chat.messages WHERE id = ANY($1::uuid[]) AND channel_id = $2"
        )
        rows = await connection.fetch(statement, named, channel_id)
        found = {row["id"]: row["seq"] for row in rows}
    places: dict[ReadMarker, int] = {}
    for mark in marks:
        if mark.message_id is None:
            places[mark] = head if mark.seq is None else min(mark.seq, head)
        elif mark.message_id in found:
            places[mark] = found[mark.message_id]
    return places


def _stood(outcome: Published[ReadRead] | NotFound) -> Published[ReadRead]:
    if isinstance(outcome, NotFound):
        raise outcome
    return outcome
