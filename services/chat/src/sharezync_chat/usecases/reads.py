"""Rows into documents: each shape of `schemas.py` is read in one place.

Plain statements on the connection of a unit; `tail` is everything after FROM and is written in
this package, never made from input.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

import asyncpg
import msgspec

from sharezync_chat.models import MessageRow
from sharezync_chat.reach import HAS_BLOCKED
from sharezync_chat.schemas import (
    ChannelRead,
    MemberRead,
    MembershipRead,
    MessageRead,
    UserRead,
)
from sharezync_chat.usecases.emoji_forms import bare, shown
from sharezync_shared.pages import bytes_before
from sharezync_shared.problems import NotFound
from sharezync_shared.sizes import MAX_PAGE_BYTES
from sharezync_shared.streams.log import Connection

Document = TypeVar("Document")

# JSON leaves the database as text: whether a connection decodes it depends on who opened it.

_MESSAGES: Final = """
    SELECT {columns}, m.edited_at,
           CASE WHEN m.edited_at IS NOT NULL THEN coalesce(m.edited_by, m.author_id) END
               AS edited_by,
           m.deleted_at, u.username, u.display_name,
           (SELECT json_agg(json_build_object('file_id', a.file_id, 'name', a.name,
                                              'size_bytes', a.size_bytes, 'mime', a.mime)
                            ORDER BY a.position)::text
              FROM chat.attachments AS a WHERE a.message_id = m.id) AS attachments,
           (SELECT json_agg(r ORDER BY r.emoji)::text
              FROM (SELECT max(emoji) AS emoji, count(DISTINCT user_id) AS count,
                           coalesce(bool_or(user_id = $VIEWER::uuid), false) AS me
                      FROM chat.reactions WHERE message_id = m.id GROUP BY {bare}) AS r)
               AS reactions
""".format(bare=bare("emoji"), columns=", ".join(f"m.{name}" for name in MessageRow._fields))  # noqa: S608 - text of ours
_FROM_MESSAGES: Final = "FROM chat.messages AS m JOIN chat.users AS u ON u.id = m.author_id "
_FROM_LATEST: Final = f"""
    FROM (
        SELECT l.*, {bytes_before("l.text", "c.place")} AS bytes_before
          FROM unnest($1::uuid[]) WITH ORDINALITY AS c(id, place) CROSS JOIN LATERAL (
            SELECT * FROM chat.messages AS l WHERE l.channel_id = c.id ORDER BY l.seq DESC LIMIT 1
        ) AS l
    ) AS m JOIN chat.users AS u ON u.id = m.author_id WHERE m.bytes_before < $2
"""  # noqa: S608 - text of ours

_CHANNEL_COLUMNS: Final = """
    {columns},
    CASE WHEN c.kind IN ('direct', 'group') THEN
        (SELECT json_agg(json_build_object('id', u.id, 'username', u.username,
                                           'display_name', u.display_name) ORDER BY u.id)::text
           FROM chat.members AS p JOIN chat.users AS u ON u.id = p.user_id
          WHERE p.channel_id = c.id) END AS participants
""".format(  # noqa: S608 - text of ours
    columns=", ".join(f"c.{name}" for name in ChannelRead.model_fields if name != "participants")
)

AUTHOR: Final = object()

_CALLS: Final = """
    FROM chat.mentions AS n WHERE n.channel_id = m.channel_id AND n.target_id = {target}
"""
_UNREAD: Final = f"{_CALLS} AND n.number > m.last_read_number"
_IN_ORDER: Final = f"""
    SELECT number FROM (
        SELECT n.number, n.author_id {_UNREAD} ORDER BY n.number LIMIT 5000) AS calls
     WHERE NOT {HAS_BLOCKED.format(one="m.user_id", other="calls.author_id")} LIMIT 1000
"""  # noqa: S608 - text of ours
# From author to author along the index, so that those who are blocked are passed over with all that
# they called. Only where the steps in order did not reach the end: most have few calls to read.
_BY_AUTHOR: Final = f"""
    WITH RECURSIVE authors AS (
        (SELECT n.author_id AS id {_CALLS} ORDER BY n.author_id LIMIT 1)
        UNION ALL
        SELECT (SELECT n.author_id {_CALLS} AND n.author_id > authors.id
                 ORDER BY n.author_id LIMIT 1)
          FROM authors WHERE authors.id IS NOT NULL)
    SELECT calls.number
      FROM (SELECT id FROM authors LIMIT 5000) AS author
     CROSS JOIN LATERAL (
        SELECT n.number {_CALLS} AND n.author_id = author.id
           -- As a row: PostgreSQL then doesn't take the primary key, past everybody's.
           AND (n.author_id, n.number) > (author.id, m.last_read_number) LIMIT 1000) AS calls
     WHERE author.id IS NOT NULL AND NOT {HAS_BLOCKED.format(one="m.user_id", other="author.id")}
       AND EXISTS (SELECT {_UNREAD} OFFSET 4999) LIMIT 1000
"""  # noqa: S608 - text of ours
_HALVES: Final = " UNION ".join(
    f"({half.format(target=target)})"
    for target in ("m.user_id", "m.channel_id")
    for half in (_IN_ORDER, _BY_AUTHOR)
)
MENTION_COUNT: Final = f"(SELECT count(*) FROM ({_HALVES} LIMIT 1000) AS unread)"  # noqa: S608 - text of ours
"""How many unread messages call the member `m`, by name or all; 1000 stands for more, too.

Not those by people whom the member has blocked, however many there are. The work is bounded: each
half looks at five thousand calls in order and, where there are more, at five thousand authors; it
ends when a thousand calls count.
"""

_MEMBERS: Final = """
    SELECT m.channel_id, m.user_id, u.username, u.display_name, m.role, m.joined_at
      FROM chat.members AS m JOIN chat.users AS u ON u.id = m.user_id
"""


async def messages(
    connection: Connection,
    tail: str,
    *args: Any,  # noqa: ANN401 - arguments of SQL
    viewer: object = None,
    source: str = _FROM_MESSAGES,
) -> list[MessageRead]:
    """Return messages; in `tail` their table is `m` and their author `u`.

    `viewer` is whose reactions are marked `me`; None: nobody's; AUTHOR: of each its author's.
    """
    if viewer is AUTHOR:
        select = _MESSAGES.replace("$VIEWER", "m.author_id")
    else:
        select, args = _MESSAGES.replace("$VIEWER", f"${len(args) + 1}"), (*args, viewer)
    return [_message(row) for row in await connection.fetch(select + source + tail, *args)]


async def message_page(
    connection: Connection,
    condition: str,
    order: str,
    *args: Any,  # noqa: ANN401 - as above
    limit: int,
    viewer: object,
) -> list[MessageRead]:
    """Return the messages that fulfil `condition`, `limit` at most, in this order of `m`.

    No more are read than a page holds, and one (`bytes_before`): `take_page` decides.
    """
    count = len(args)
    source = f"""
        FROM (SELECT m.*, {bytes_before("m.text", order)} AS bytes_before
                FROM (SELECT m.* FROM chat.messages AS m
                       WHERE {condition} ORDER BY {order} LIMIT ${count + 1}) AS m
             ) AS m JOIN chat.users AS u ON u.id = m.author_id
       WHERE m.bytes_before < ${count + 2} ORDER BY {order}
    """  # noqa: S608 - text of ours
    return await messages(
        connection, "", *args, limit, MAX_PAGE_BYTES, viewer=viewer, source=source
    )


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
        MemberRead.model_validate({**row, "user": user(row, "user_id")})
        for row in await connection.fetch(_MEMBERS + tail, *args)
    ]


async def memberships(connection: Connection, tail: str, *args: Any) -> list[MembershipRead]:  # noqa: ANN401 - as above
    """Return memberships; in `tail` their table is `m`, and `c` that of their channels.

    The texts of their latest messages fill a page at most (`bytes_before`): the memberships after
    that have none. `take_page` ends before them.
    """
    rows = await connection.fetch(
        f"SELECT m.user_id, m.role, m.joined_at, m.last_read_seq, m.last_read_number, m.muted, "  # noqa: S608 - text of ours
        f"m.hidden_up_to, m.acted_at IS NOT NULL AS accepted, {MENTION_COUNT} AS mention_count, "
        f"{_CHANNEL_COLUMNS} "
        f"FROM chat.members AS m JOIN chat.channels AS c ON c.id = m.channel_id {tail}",
        *args,
    )
    last = await _last_messages(
        connection, {row["id"]: row["user_id"] for row in rows if row["message_count"]}
    )
    return [
        MembershipRead.model_validate(
            {
                **row,
                "channel": _channel(row),
                "unread_count": row["message_count"] - row["last_read_number"],
                "last_message": last.get(row["id"]),
            }
        )
        for row in rows
    ]


async def message(
    connection: Connection, message_id: object, *, viewer: object = None
) -> MessageRead:
    """Return this message. Raises NotFound."""
    return _one(await messages(connection, "WHERE m.id = $1", message_id, viewer=viewer))


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
    connection: Connection, members: Mapping[object, object]
) -> dict[object, MessageRead]:
    """Return the latest message of each channel, by its id; `members` is who looks at which."""
    by_viewer: dict[object, list[object]] = {}
    for channel_id, viewer in members.items():
        by_viewer.setdefault(viewer, []).append(channel_id)
    found: dict[object, MessageRead] = {}
    for (
        viewer,
        channel_ids,
    ) in by_viewer.items():  # one, but where several users are sent it at once
        latest = await messages(
            connection, "", channel_ids, MAX_PAGE_BYTES, viewer=viewer, source=_FROM_LATEST
        )
        found |= {each.channel_id: each for each in latest}
    return found


def _one(found: list[Document]) -> Document:
    if not found:
        raise NotFound
    return found[0]


def user(row: asyncpg.Record, id_column: str, prefix: str = "") -> UserRead:
    """Return the person in a row of `username` and `display_name`, called so behind `prefix`."""
    username, display_name = row[f"{prefix}username"], row[f"{prefix}display_name"]
    return UserRead(id=row[id_column], username=username, display_name=display_name)


def _message(row: asyncpg.Record) -> MessageRead:
    return MessageRead.model_validate(
        {
            **row,
            "author": user(row, "author_id"),
            "attachments": msgspec.json.decode(row["attachments"] or "[]"),
            "reactions": [
                {**each, "emoji": shown(each["emoji"])}
                for each in msgspec.json.decode(row["reactions"] or "[]")
            ],
            "deleted": row["deleted_at"] is not None,
        }
    )


def _channel(row: asyncpg.Record) -> ChannelRead:
    participants = msgspec.json.decode(row["participants"] or "[]")
    return ChannelRead.model_validate({**row, "participants": participants})
