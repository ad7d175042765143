"""`@name` and `@channel` in a text: who is called, and whom that is in a channel."""

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from sharezync_chat.models import ChannelId
from sharezync_shared.names.mentionable import SIGNS, names_called
from sharezync_shared.streams.log import Connection
from sharezync_shared.text import key_of

CHANNEL: Final = "channel"
"""`@channel` calls everyone in it; nobody can be called so: auth reserves the name."""
MAX_NAMES: Final = 50
"""Of one message. A text that calls more people than that means nobody in particular."""
MAX_KEYS: Final = 4 * MAX_NAMES
"""Of one message: what is looked up, where several names may be meant by one call."""

_NAME_BEGINS_SO: Final = re.compile(rf"{CHANNEL}[-.]\w")

_RESOLVE: Final = """
    SELECT DISTINCT n, id FROM (
        SELECT DISTINCT ON (d.n, d.call) d.n, u.id
          FROM unnest($1::int[], $2::uuid[], $3::int[], $4::text[])
               WITH ORDINALITY AS d(n, channel_id, call, key, place)
          JOIN chat.users AS u ON u.username_key = d.key AND NOT u.deleted
          JOIN chat.members AS m ON m.channel_id = d.channel_id AND m.user_id = u.id
         ORDER BY d.n, d.call, d.place
    ) AS called
     ORDER BY n, id
"""


class MentionedNames(NamedTuple):
    """Whom a text calls, and whether everyone.

    Each call is the keys of the names that it may mean: the first that a member has is meant.
    """

    calls: tuple[tuple[str, ...], ...] = ()
    channel: bool = False


NOBODY: Final = MentionedNames()


def calls_in(text: str) -> MentionedNames:
    """Return whom a text calls. Pure; names that nobody has are sorted out later."""
    if not any(sign in text for sign in SIGNS):
        return NOBODY
    everyone = False
    calls: dict[tuple[str, ...], None] = {}
    room = MAX_KEYS
    for names in names_called(text):
        keys = tuple(dict.fromkeys(map(key_of, names)))
        if CHANNEL in keys and not _NAME_BEGINS_SO.match(keys[0]):
            everyone = True
        elif keys not in calls and len(calls) < MAX_NAMES and len(keys) <= room:
            calls[keys] = None
            room -= len(keys)
    return MentionedNames(tuple(calls), everyone)


async def resolve(
    connection: Connection, texts: Sequence[tuple[ChannelId, MentionedNames]]
) -> Mapping[int, list[UUID]]:
    """Return, by place in `texts`, the ids of those members of each channel whose names are called.

    One statement for all; places where nobody is called are absent.
    """
    wanted = [
        (place, channel_id, number, key)
        for place, (channel_id, called) in enumerate(texts)
        for number, keys in enumerate(called.calls)
        for key in keys
    ]
    if not wanted:
        return {}
    found: dict[int, list[UUID]] = {}
    for row in await connection.fetch(_RESOLVE, *zip(*wanted, strict=True)):
        found.setdefault(row["n"], []).append(row["id"])
    return found
