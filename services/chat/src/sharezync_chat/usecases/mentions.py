"""`@name` and `@channel` in a text: who is called, and whom that is in a channel."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from sharezync_chat.models import ChannelId
from sharezync_shared.names.mentionable import names_called
from sharezync_shared.streams.log import Connection
from sharezync_shared.text import key_of

CHANNEL: Final = "channel"
"""`@channel` calls everyone in it; nobody can be called so: auth reserves the name."""
MAX_NAMES: Final = 50
"""Of one message. A text that calls more people than that means nobody in particular."""

_RESOLVE: Final = """
    SELECT d.n, u.id
      FROM unnest($1::int[], $2::uuid[], $3::text[]) AS d(n, channel_id, key)
      JOIN chat.users AS u ON u.username_key = d.key AND NOT u.deleted
      JOIN chat.members AS m ON m.channel_id = d.channel_id AND m.user_id = u.id
     ORDER BY d.n, u.id
"""


class MentionedNames(NamedTuple):
    """Whom a text calls: by the keys of their names, and whether everyone."""

    keys: tuple[str, ...] = ()
    channel: bool = False


NOBODY: Final = MentionedNames()


def calls_in(text: str) -> MentionedNames:
    """Return whom a text calls. Pure; names that nobody has are sorted out later."""
    if "@" not in text:
        return NOBODY
    names = dict.fromkeys(names_called(text))
    keys = dict.fromkeys(map(key_of, names))
    channel = keys.pop(CHANNEL, NOBODY) is None
    return MentionedNames(tuple(keys)[:MAX_NAMES], channel)


async def resolve(
    connection: Connection, calls: Sequence[tuple[ChannelId, Collection[str]]]
) -> Mapping[int, list[UUID]]:
    """Return, by place in `calls`, the ids of those members of each channel whose names are called.

    One statement for all; places where nobody is called are absent.
    """
    wanted = [
        (place, channel_id, key) for place, (channel_id, keys) in enumerate(calls) for key in keys
    ]
    if not wanted:
        return {}
    places, channel_ids, keys = zip(*wanted, strict=True)
    found: dict[int, list[UUID]] = {}
    for row in await connection.fetch(_RESOLVE, places, channel_ids, keys):
        found.setdefault(row["n"], []).append(row["id"])
    return found
