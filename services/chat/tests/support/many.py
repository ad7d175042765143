"""A user of years: more channels than a test would make by hand."""

from collections.abc import Sequence

import httpx

from services.chat.tests.support.world import Json, Person, World

_CHANNELS = """
    WITH made AS (
        INSERT INTO chat.channels (id, kind, name, description, topic, owner_id, member_count,
                                   message_count, archived, created_at, updated_at)
        SELECT gen_random_uuid(), 'private', 'channel ' || n, '', '', $1::uuid, 2, 0, false,
               now(), now() FROM generate_series(1, $3::int) AS n
        RETURNING id
    ), streams AS (
        INSERT INTO chat.stream_heads (stream, last_seq) SELECT 'channel:' || id, 1 FROM made
    ), seats AS (
        INSERT INTO chat.members (channel_id, user_id, role, joined_at, last_read_seq,
                                  last_read_number, muted, acted_at)
        SELECT made.id, who.id, who.role, now(), 1, 0, false, now()
          FROM made, (VALUES ($1::uuid, 'owner'), ($2::uuid, 'member')) AS who(id, role)
    )
    SELECT id::text FROM made ORDER BY id
"""


_TEXTS = ("hello", "@{reader}, look", "@channel, too")


async def many_channels(
    world: World, owner: Person, reader: Person, *, count: int, texts: Sequence[str] = _TEXTS
) -> list[str]:
    """Return the ids of private channels of these two, with messages that the reader hasn't read.

    The channels come straight into the database; what is said in them is posted: a greeting, a
    message that calls the reader by name, and one that calls everyone.
    """
    await owner.channel("private", reader)  # chat knows both from now on
    rows = await world.rows(_CHANNELS, owner.id, reader.id, count)
    ids = [row["id"] for row in rows]
    gateway = await world.service()
    for text in texts:
        await post_to_all(gateway, owner, ids, text.format(reader=reader.username))
    return ids


async def post_to_all(
    gateway: httpx.AsyncClient, author: Person, channel_ids: list[str], text: str
) -> list[Json]:
    """Post to each of these channels, as a gateway does; returns the messages."""
    commands = [
        {
            "user_id": author.id,
            "kind": "send_message",
            "data": {"channel_id": channel_id, "text": text},
        }
        for channel_id in channel_ids
    ]
    answer = await gateway.post("/internal/commands", json={"commands": commands})
    return [result["data"] for result in answer.json()["results"]]
