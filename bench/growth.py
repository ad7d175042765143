"""Whether things get slower as they grow: send, page and sync in a small and in a large database.

    python bench/growth.py
    python bench/growth.py --channels 10000 --messages 1000000 --runs 200

Two databases on one PostgreSQL: one of 50 channels with 1,000 messages, one of 10,000 channels with
1,000,000. In both, the person who does things is in 50 channels of 10 members each, so that what is
asked for is the same and only what lies around it differs. The use cases are called directly, first
in the one and then in the other, over and over. Goal 9 of performance.md: at most 1.5 times.

The rows are made in SQL, as posting would have left them: numbers and places without gaps, heads,
counts, read marks, and the log of the latest tenth (older frames are pruned in the product, too).
The words for search are left out: nothing is searched here.
"""

import argparse
import json
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import uvloop
from fastapi import FastAPI

sys.path.insert(0, str(Path(__file__).parent))

from load.meters import percentile
from load.results import keep, show
from load.service import Underneath, running_chat, running_servers

from sharezync_chat.models import ChannelId
from sharezync_chat.usecases import history, memberships
from sharezync_chat.usecases.batch import MessageDraft
from sharezync_shared.ids import UserId, uuid7

OWN_CHANNELS = 50
MEMBERS = 10
SMALL = {"channels": OWN_CHANNELS, "messages": 1000}
WARM_UP = 20
COLUMNS = ["p50_ms", "p90_ms"]

# User 1 is in the first channels; the others are spread over all of them, in turn.
_FILL = """
    CREATE TEMPORARY TABLE people AS
    SELECT n, gen_random_uuid() AS id FROM generate_series(1, greatest(20, {channels} / 5)) AS n;

    CREATE TEMPORARY TABLE rooms AS
    SELECT n, gen_random_uuid() AS id, {messages} / {channels} AS messages
      FROM generate_series(1, {channels}) AS n;

    CREATE TEMPORARY TABLE seats AS
    SELECT DISTINCT r.n AS room, r.id AS channel_id, p.id AS user_id, p.n AS person
      FROM rooms AS r CROSS JOIN generate_series(0, {members} - 1) AS k
      JOIN people AS p ON p.n = CASE
           WHEN k = 0 AND r.n <= {own} THEN 1
           ELSE 2 + (r.n * 7 + k) % ((SELECT count(*) FROM people) - 1) END;

    INSERT INTO chat.users (id, username, username_key, display_name, names_at, deleted)
    SELECT id, 'grown' || n, 'grown' || n, 'Grown ' || n, now(), false FROM people;

    INSERT INTO chat.channels (id, kind, name, description, topic, member_count, message_count,
                               archived, created_at, updated_at)
    SELECT r.id, 'private', 'channel ' || r.n, '', '', count(*), r.messages, false,
           now() - interval '1 year', now() - interval '1 year'
      FROM rooms AS r JOIN seats AS s ON s.room = r.n GROUP BY r.id, r.n, r.messages;

    INSERT INTO chat.stream_heads (stream, last_seq)
    SELECT 'channel:' || id, 1 + messages FROM rooms
    UNION ALL SELECT 'inbox:' || id, 0 FROM people;

    INSERT INTO chat.members (channel_id, user_id, role, joined_at, last_read_seq,
                              last_read_number, muted)
    SELECT s.channel_id, s.user_id, 'member', now() - interval '1 year', 1 + r.messages / 2,
           r.messages / 2, false
      FROM seats AS s JOIN rooms AS r ON r.n = s.room;

    CREATE TEMPORARY TABLE said AS
    SELECT row_number() OVER () AS n, gen_random_uuid() AS id, r.id AS channel_id, a.number,
           w.who[1 + a.number % cardinality(w.who)] AS author_id, r.messages
      FROM rooms AS r
      JOIN (SELECT room, array_agg(user_id) AS who FROM seats GROUP BY room) AS w ON w.room = r.n
     CROSS JOIN LATERAL generate_series(1, r.messages) AS a(number);

    INSERT INTO chat.messages (id, channel_id, author_id, text, mentions, mentions_channel, seq,
                               number, epoch, client_message_id, created_at)
    SELECT id, channel_id, author_id, repeat('lorem ipsum ', 16), '{{}}',
           false, 1 + number, number, (SELECT epoch FROM chat.stream_epoch), 'grown-' || n,
           now() - interval '1 year' * (1 - number::float / (messages + 1))
      FROM said ORDER BY number;

    INSERT INTO chat.stream_log (stream, seq, at, text)
    SELECT 'channel:' || channel_id, 1 + number, now(),
           '{{"type":"message.created","stream":"channel:' || channel_id || '","seq":' ||
           1 + number || ',"data":{{"id":"' || id || '","text":"' ||
           repeat('lorem ipsum ', 16) || '"}}}}'
      FROM said WHERE number > 0.9 * messages ORDER BY number;

    INSERT INTO chat.search_heads (channel_id, indexed_number) SELECT id, messages FROM rooms;
"""

_EPOCH = "INSERT INTO chat.stream_epoch VALUES (true, 'grown') ON CONFLICT DO NOTHING;"


class World:
    """One of the databases, and somebody who does things in it."""

    def __init__(self, app: FastAPI, user_id: UserId, channel_ids: list[ChannelId]) -> None:
        self._app = app
        self._user_id = user_id
        self._channel_ids = channel_ids
        self._turn = 0

    @classmethod
    async def of(cls, app: FastAPI) -> "World":
        """Return the world of chat's database."""
        async with (await app.state.core.database.pool()).acquire() as connection:
            user_id = await connection.fetchval("SELECT id FROM chat.users WHERE username='grown1'")
            rows = await connection.fetch(
                "SELECT channel_id FROM chat.members WHERE user_id = $1", user_id
            )
        return cls(app, UserId(user_id), [ChannelId(row["channel_id"]) for row in rows])

    async def send(self) -> None:
        """Post a message of 200 bytes."""
        draft = MessageDraft(
            id=uuid7(), channel_id=self._channel(), author_id=self._user_id,
            text="x" * 200, client_message_id=uuid7().hex,
        )  # fmt: skip
        await self._app.state.context.posting.post(draft)

    async def page(self) -> None:
        """Read the latest messages of a channel."""
        page = await history.page(
            self._app.state.work, user_id=self._user_id, channel_id=self._channel(),
            edge="before", limit=self.page_size,
        )  # fmt: skip
        if len(page.items) != self.page_size:
            raise RuntimeError(f"a page of {len(page.items)} messages")

    page_size = 20  # as many as each channel of the small one has

    async def sync(self) -> None:
        """Fetch everything that a client needs at first."""
        read = await memberships.sync(self._app.state.work, user_id=self._user_id)
        if len(read.memberships) != OWN_CHANNELS:
            raise RuntimeError(f"{len(read.memberships)} memberships")

    def _channel(self) -> ChannelId:
        self._turn += 1
        return self._channel_ids[self._turn % len(self._channel_ids)]


async def run(underneath: Underneath, asked: argparse.Namespace) -> list[dict[str, Any]]:
    """Make both databases, and measure in turn."""
    sizes = {"small": SMALL, "large": {"channels": asked.channels, "messages": asked.messages}}
    worlds: dict[str, World] = {}
    async with AsyncExitStack() as stack:
        for name, size in sizes.items():
            began = time.monotonic()
            fill = _EPOCH + _FILL.format(**size, members=MEMBERS, own=OWN_CHANNELS)
            app = await stack.enter_async_context(
                running_chat(underneath, f"growth_{name}", fill=fill, amqp=False)
            )
            worlds[name] = await World.of(app)
            print(f"{name}: {size}, made in {time.monotonic() - began:.0f} s", flush=True)
        rows = []
        for act in ("send", "page", "sync"):
            took = await _in_turn(
                {name: getattr(world, act) for name, world in worlds.items()}, asked.runs
            )
            for name, times_ms in took.items():
                row = {
                    "system": name,
                    "act": act,
                    **sizes[name],
                    "p50_ms": percentile(times_ms, 0.5),
                    "p90_ms": percentile(times_ms, 0.9),
                }
                rows.append(row)
                print(json.dumps(row), flush=True)
        return rows


async def _in_turn(
    acts: dict[str, Callable[[], Awaitable[None]]], runs: int
) -> dict[str, list[float]]:
    """Do the same here and there, so many times; return how long each took, in milliseconds."""
    took: dict[str, list[float]] = {name: [] for name in acts}
    for number in range(runs + WARM_UP):
        for name, act in acts.items():
            began = time.perf_counter()
            await act()
            if number >= WARM_UP:
                took[name].append((time.perf_counter() - began) * 1000)
    return took


def main() -> None:
    """Run what was asked for, and print it."""
    parser = argparse.ArgumentParser(description="The same in a small and in a large database")
    parser.add_argument("--channels", type=int, default=10_000)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=300)
    asked = parser.parse_args()
    with running_servers(broker=False) as underneath:
        rows = uvloop.run(run(underneath, asked))
    print("\nlarge : small (goal: at most 1.5)")
    for act in dict.fromkeys(row["act"] for row in rows):
        some = [row for row in rows if row["act"] == act]
        show(act, some, COLUMNS)
        small, large = some
        print(f"{act}: p50 {large['p50_ms'] / small['p50_ms']:.2f} x")
    print(f"\nkept in {keep('growth', rows)}")


if __name__ == "__main__":
    main()
