"""A message's way through chat beside the plain one: one transaction and one AMQP message each.

    python bench/posting.py
    python bench/posting.py --callers 1 50 --seconds 5 --runs 5

Both write the same rows to the same PostgreSQL (durable, as the product runs it) and tell the same
RabbitMQ, confirmed. The plain path is what one would write at first: SQLModel objects, a session
and a commit for each message, then its publication, then its outbox row deleted. Ours is
`Posting.post`. They take turns within one run; only their ratio means something.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import aio_pika
import uvloop
from fastapi import FastAPI
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import registry
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

sys.path.insert(0, str(Path(__file__).parent))

from load.meters import Servers, percentile
from load.results import keep, show
from load.service import Underneath, running_chat, running_servers

from sharezync_chat.models import Channel, ChannelId, Member, Message, User, metadata
from sharezync_chat.schemas import MessageRead, UserRead
from sharezync_chat.usecases.batch import MessageDraft
from sharezync_shared.events.outbox import OutboxRow
from sharezync_shared.ids import UserId, uuid7
from sharezync_shared.streams.frames import encode_frames
from sharezync_shared.streams.log import Entry

CHANNELS = 10
TEXT = ("lorem ipsum dolor sit amet consectetur adipiscing elit sed do " * 4)[:200]
COLUMNS = ["messages_s", "p50_ms", "p99_ms", "cpu_us_per_message"]

Post = Callable[[UserId, ChannelId], Awaitable[object]]


class _Head:
    """A row of `stream_heads`, as an object."""


class _Logged:
    """A row of `stream_log`, as an object."""


class _Outbox:
    """A row of `outbox`, as an object."""


def _map_tables() -> None:
    mapper = registry(metadata=metadata)
    for kind, table in ((_Head, "stream_heads"), (_Logged, "stream_log"), (_Outbox, "outbox")):
        mapper.map_imperatively(kind, metadata.tables[f"chat.{table}"])


def _row(kind: type, /, **values: object) -> Any:  # noqa: ANN401 - an object with just these columns
    row = kind()
    for name, value in values.items():
        setattr(row, name, value)
    return row


class Plain:
    """The plain path, over an engine and a broker's channel of its own."""

    def __init__(
        self, app: FastAPI, url: str, exchange: aio_pika.abc.AbstractExchange | None
    ) -> None:
        self._streams = app.state.core.streams
        self._exchange = exchange
        self.engine = create_async_engine(
            url.replace("postgresql://", "postgresql+asyncpg://"),
            pool_size=20, max_overflow=0, pool_timeout=120,
        )  # fmt: skip

    async def post(self, author_id: UserId, channel_id: ChannelId) -> None:
        """Post one message; returns when it is committed and told."""
        async with AsyncSession(self.engine, expire_on_commit=False) as session:
            row_id, body = await self._write(session, author_id, channel_id)
            await session.commit()
        if self._exchange is not None:
            await self._exchange.publish(aio_pika.Message(body), routing_key="frames")
        async with AsyncSession(self.engine) as session:
            await session.exec(delete(_Outbox).where(_Outbox.id == row_id))  # type: ignore[attr-defined]
            await session.commit()

    async def _write(
        self, session: AsyncSession, author_id: UserId, channel_id: ChannelId
    ) -> tuple[object, bytes]:
        now = datetime.now(UTC)
        head: Any = await session.get(_Head, f"channel:{channel_id}", with_for_update=True)
        found = await session.exec(
            select(Channel, Member, User)
            .join(Member, Member.channel_id == Channel.id)
            .join(User, User.id == Member.user_id)
            .where(Channel.id == channel_id, Member.user_id == author_id)
        )
        channel, member, user = found.one()
        (frame,) = self._streams.frames(
            [Entry(head.stream, "message.created", b"{}")], now, {head.stream: head.last_seq}
        )
        channel.message_count += 1
        head.last_seq = member.last_read_seq = frame.seq
        member.last_read_number = channel.message_count
        message = Message(
            id=uuid7(), channel_id=channel_id, author_id=author_id, text=TEXT, seq=frame.seq,
            number=channel.message_count, epoch=frame.epoch, client_message_id=uuid7().hex,
            created_at=now,
        )  # fmt: skip
        document = MessageRead(
            **{name: getattr(message, name) for name in _SAME},
            author=UserRead(id=user.id, username=user.username, display_name=user.display_name),
            attachments=[],
            deleted=False,
        )
        entry = Entry(head.stream, "message.created", document.model_dump_json().encode())
        frames = self._streams.frames([entry], now, {head.stream: head.last_seq - 1})
        row = OutboxRow.of_frames(frames, now)
        session.add(message)
        session.add(
            _row(_Logged, stream=head.stream, seq=frame.seq, at=now, text=frames[0].text.decode())
        )
        session.add(
            _row(
                _Outbox, id=row.id, kind=row.kind, type=row.type, subject=row.subject,
                body=row.body, occurred_at=now, attempts=0,
            )
        )  # fmt: skip
        return row.id, encode_frames(frames)


_SAME = (
    "id", "channel_id", "text", "reply_to", "mentions", "mentions_channel", "seq", "epoch",
    "number", "edited_at", "edited_by", "client_message_id", "created_at",
)  # fmt: skip


async def measure(
    app: FastAPI, servers: Servers, system: str, post: Post, seats: list[tuple[UserId, ChannelId]],
    callers: int, seconds: float,
) -> dict[str, Any]:  # fmt: skip
    """Return the figures of so many callers who each post one message after the other."""
    took_ms: list[float] = []
    cpu, own = servers.cpu_seconds(), time.process_time()
    began = time.monotonic()

    async def caller(number: int) -> None:
        author_id, channel_id = seats[number % len(seats)]
        while time.monotonic() < began + seconds:
            at = time.perf_counter()
            await post(author_id, channel_id)
            took_ms.append((time.perf_counter() - at) * 1000)

    await asyncio.gather(*(caller(number) for number in range(callers)))
    wall = time.monotonic() - began
    await app.state.core.relay.flush(30)  # what is told afterwards costs, too
    cpu = servers.cpu_seconds() - cpu + time.process_time() - own
    return {
        "system": system,
        "callers": callers,
        "messages": len(took_ms),
        "messages_s": len(took_ms) / wall,
        "p50_ms": percentile(took_ms, 0.5),
        "p99_ms": percentile(took_ms, 0.99),
        "cpu_us_per_message": cpu / len(took_ms) * 1e6,
    }


async def run(underneath: Underneath, asked: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure both paths in turn."""
    rows = []
    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(running_chat(underneath, "posting", fill=_PEOPLE))
        async with (await app.state.core.database.pool()).acquire() as connection:
            members = await connection.fetch("SELECT user_id, channel_id FROM chat.members")
        seats = [(UserId(each[0]), ChannelId(each[1])) for each in members]
        exchange = None
        if underneath.amqp_url:
            link = await stack.enter_async_context(await aio_pika.connect(underneath.amqp_url))
            exchange = await (await link.channel()).declare_exchange("plain", durable=True)
        plain = Plain(app, underneath.postgres.url("posting"), exchange)
        stack.push_async_callback(plain.engine.dispose)

        async def ours(author_id: UserId, channel_id: ChannelId) -> None:
            draft = MessageDraft(
                id=uuid7(), channel_id=channel_id, author_id=author_id, text=TEXT,
                client_message_id=uuid7().hex,
            )  # fmt: skip
            await app.state.context.posting.post(draft)

        paths = {"plain": plain.post, "sharezync": ours}
        for post in paths.values():  # statements are prepared, connections open
            await measure(app, underneath.servers, "", post, seats, 20, 1)
        for _ in range(asked.runs):
            for callers in asked.callers:
                for system, post in paths.items():
                    row = await measure(
                        app, underneath.servers, system, post, seats, callers, asked.seconds
                    )
                    rows.append({**row, "broker": "RabbitMQ" if exchange else "none"})
                    print(json.dumps(rows[-1]), flush=True)
    return rows


_PEOPLE = f"""
    INSERT INTO chat.users (id, username, username_key, display_name, names_at, deleted)
    SELECT gen_random_uuid(), 'load' || n, 'load' || n, 'Load ' || n, now(), false
      FROM generate_series(1, 50) AS n;
    WITH made AS (
        INSERT INTO chat.channels (id, kind, name, description, topic, member_count, message_count,
                                   archived, created_at, updated_at)
        SELECT gen_random_uuid(), 'private', 'channel ' || n, '', '', 50, 0, false, now(), now()
          FROM generate_series(1, {CHANNELS}) AS n
        RETURNING id
    ), streams AS (
        INSERT INTO chat.stream_heads (stream, last_seq) SELECT 'channel:' || id, 1 FROM made
    )
    INSERT INTO chat.members (channel_id, user_id, role, joined_at, last_read_seq,
                              last_read_number, muted)
    SELECT made.id, u.id, 'member', now(), 1, 0, false FROM made, chat.users AS u ORDER BY u.id
"""


def ratios(rows: list[dict[str, Any]]) -> None:
    """Print how ours stands to the plain path, run by run."""
    print("\nours : plain       messages/s         p50          p99   CPU per message")
    for callers in dict.fromkeys(row["callers"] for row in rows):
        some = [row for row in rows if row["callers"] == callers]
        pairs = list(
            zip(
                [row for row in some if row["system"] == "sharezync"],
                [row for row in some if row["system"] == "plain"],
                strict=True,
            )
        )
        cells = [f"{median(o[name] / p[name] for o, p in pairs):>11.3g} x" for name in COLUMNS]
        print(f"{callers:>4} callers  {''.join(cells)}")


def main() -> None:
    """Run what was asked for, and print it."""
    parser = argparse.ArgumentParser(description="Posting beside the plain path")
    parser.add_argument("--callers", type=int, nargs="+", default=[1, 50, 500])
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    _map_tables()
    with running_servers() as underneath:
        rows = uvloop.run(run(underneath, asked))
    for callers in asked.callers:
        show(f"{callers} callers", [row for row in rows if row["callers"] == callers], COLUMNS)
    ratios(rows)
    print(f"\nkept in {keep('posting', rows)}")


if __name__ == "__main__":
    main()
