"""Rows into documents: each shape of `wire.py` is read in one place.

Plain statements on the connection of a unit; `tail` is everything after FROM and is written in
this package, never made from input.
"""

from typing import Any, Final, TypeVar

import asyncpg
import msgspec

from sharezync_chat.usecases.wire import (
    ChannelRead,
    MemberRead,
    MembershipRead,
    MessageRead,
    UserRead,
)
from sharezync_shared.problems import NotFound
from sharezync_shared.streams.log import Connection

Document = TypeVar("Document")

# JSON leaves the database as text: whether a connection decodes it depends on who opened it.

_MESSAGES: Final = """
    SELECT m.id, m.channel_id, m.author_id, u.username, u.display_name, m.text, m.reply_to, m.seq,
           m.epoch, m.number, m.edited_at, m.deleted_at, m.client_message_id, m.created_at,
           (SELECT json_agg(json_build_object('file_id', a.file_id, 'name', a.name,
                                              'size_bytes', a.size_bytes, 'mime', a.mime)
                            ORDER BY a.position)::text
              FROM chat.attachments AS a WHERE a.message_id = m.id) AS attachments
      FROM chat.messages AS m JOIN chat.users AS u ON u.id = m.author_id
"""

_CHANNEL_COLUMNS: Final = """
    c.id, c.kind, c.name, c.description, c.topic, c.owner_id, c.member_count, c.message_count,
    c.archived, c.created_at, c.updated_at,
    CASE WHEN c.kind IN ('direct', 'group') THEN
        (SELECT json_agg(json_build_object('id', u.id, 'username', u.username,
                                           'display_name', u.display_name) ORDER BY u.id)::text
           FROM chat.members AS p JOIN chat.users AS u ON u.id = p.user_id
          WHERE p.channel_id = c.id) END AS participants
"""

_MEMBERS: Final = """
    SELECT m.channel_id, m.user_id, u.username, u.display_name, m.role, m.joined_at
      FROM chat.members AS m JOIN chat.users AS u ON u.id = m.user_id
"""


async def messages(connection: Connection, tail: str, *args: Any) -> list[MessageRead]:  # noqa: ANN401 - arguments of SQL
    """Return messages; in `tail` their table is `m` and their author `u`."""
    return [_message(row) for row in await connection.fetch(_MESSAGES + tail, *args)]


async def channels(connection: Connection, tail: str, *args: Any) -> list[ChannelRead]:  # noqa: ANN401 - as above
    """Return channels; in `tail` their table is `c`."""
    rows = await connection.fetch(
        f"SELECT {_CHANNEL_COLUMNS} FROM chat.channels AS c {tail}",  # noqa: S608 - text of ours
        *args,
    )
    return [_channel(row) for row in rows]


async def members(connection: Connection, tail: str, *args: Any) -> list[MemberRead]:  # noqa: ANN401 - as above
    """Return members; in `tail` their table is `m`."""
    return [
        MemberRead(
            channel_id=row["channel_id"],
            user=_user(row, "user_id"),
            role=row["role"],
            joined_at=row["joined_at"],
        )
        for row in await connection.fetch(_MEMBERS + tail, *args)
    ]


async def memberships(connection: Connection, tail: str, *args: Any) -> list[MembershipRead]:  # noqa: ANN401 - as above
    """Return memberships; in `tail` their table is `m`, and `c` that of their channels."""
    rows = await connection.fetch(
        f"SELECT m.role, m.joined_at, m.last_read_seq, m.last_read_number, m.muted, "  # noqa: S608 - text of ours
        f"{_CHANNEL_COLUMNS} FROM chat.members AS m "
        f"JOIN chat.channels AS c ON c.id = m.channel_id {tail}",
        *args,
    )
    last = await _last_messages(connection, [row["id"] for row in rows if row["message_count"]])
    return [
        MembershipRead(
            channel=_channel(row),
            role=row["role"],
            unread_count=row["message_count"] - row["last_read_number"],
            last_read_seq=row["last_read_seq"],
            last_read_number=row["last_read_number"],
            last_message=last.get(row["id"]),
            muted=row["muted"],
            joined_at=row["joined_at"],
        )
        for row in rows
    ]


async def message(connection: Connection, message_id: object) -> MessageRead:
    """Return this message. Raises NotFound."""
    return _one(await messages(connection, "WHERE m.id = $1", message_id))


async def channel(connection: Connection, channel_id: object) -> ChannelRead:
    """Return this channel. Raises NotFound."""
    return _one(await channels(connection, "WHERE c.id = $1", channel_id))


async def member(connection: Connection, channel_id: object, user_id: object) -> MemberRead:
    """Return this member. Raises NotFound."""
    tail = "WHERE m.channel_id = $1 AND m.user_id = $2"
    return _one(await members(connection, tail, channel_id, user_id))


async def membership(connection: Connection, channel_id: object, user_id: object) -> MembershipRead:
    """Return how this user stands in this channel. Raises NotFound."""
    tail = "WHERE m.channel_id = $1 AND m.user_id = $2"
    return _one(await memberships(connection, tail, channel_id, user_id))


async def _last_messages(
    connection: Connection, channel_ids: list[object]
) -> dict[object, MessageRead]:
    found = await messages(
        connection,
        "WHERE m.id IN (SELECT latest.id FROM unnest($1::uuid[]) AS c(id) CROSS JOIN LATERAL ("
        "SELECT l.id FROM chat.messages AS l WHERE l.channel_id = c.id "
        "ORDER BY l.seq DESC LIMIT 1) AS latest)",
        channel_ids,
    )
    return {each.channel_id: each for each in found}


def _one(found: list[Document]) -> Document:
    if not found:
        raise NotFound
    return found[0]


def _user(row: asyncpg.Record, id_column: str) -> UserRead:
    return UserRead(id=row[id_column], username=row["username"], display_name=row["display_name"])


def _message(row: asyncpg.Record) -> MessageRead:
    return MessageRead(
        id=row["id"],
        channel_id=row["channel_id"],
        author=_user(row, "author_id"),
        text=row["text"],
        attachments=msgspec.json.decode(row["attachments"] or "[]"),
        reply_to=row["reply_to"],
        seq=row["seq"],
        epoch=row["epoch"],
        number=row["number"],
        edited_at=row["edited_at"],
        deleted=row["deleted_at"] is not None,
        client_message_id=row["client_message_id"],
        created_at=row["created_at"],
    )


def _channel(row: asyncpg.Record) -> ChannelRead:
    return ChannelRead(
        id=row["id"],
        kind=row["kind"],
        name=row["name"],
        description=row["description"],
        topic=row["topic"],
        owner_id=row["owner_id"],
        member_count=row["member_count"],
        message_count=row["message_count"],
        archived=row["archived"],
        participants=msgspec.json.decode(row["participants"] or "[]"),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
