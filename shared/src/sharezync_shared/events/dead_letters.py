"""Dead letters on RabbitMQ, and the command that looks at them, replays or drops them.

AMQP_URL=amqp://… python -m sharezync_shared.events.dead_letters --queue chat.events list
AMQP_URL=amqp://… python -m sharezync_shared.events.dead_letters --queue chat.events replay
"""

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import aio_pika
import msgspec
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from aio_pika.exceptions import AMQPError
from yarl import URL

from sharezync_shared.events.amqp import topology, wire
from sharezync_shared.events.bus import BusUnavailable, DeadLetter

_TIMEOUT_SECONDS = 10.0


class RabbitMQDeadLetters:
    """What became of a queue's events that were given up; a connection for each call.

    `ids` None means all of them; `limit` bounds what one call takes in hand. Every method raises
    BusUnavailable when the broker can't be reached or stops answering.
    """

    def __init__(self, url: str, *, prefix: str = topology.DEFAULT_PREFIX) -> None:
        self._url = url
        self._names = topology.QueueNames(prefix)

    async def show(self, queue: str, *, limit: int = 1000) -> list[DeadLetter]:
        """Return what lies there, oldest first; it stays there."""
        async with self._take(queue, limit) as (_, messages):
            return [wire.describe(message) for message in messages]

    async def replay(
        self, queue: str, *, ids: Collection[UUID] | None = None, limit: int = 1000
    ) -> int:
        """Give events back to the queue's consumers as if new; return how many.

        Each is back in its queue before it is taken from here: a crash in between may replay an
        event twice and loses none. What fails again comes back here.
        """
        replayed = 0
        async with self._take(queue, limit) as (channel, messages):
            for message in _chosen(messages, ids):
                await channel.default_exchange.publish(
                    wire.revive(message), self._names.queue(queue), timeout=_TIMEOUT_SECONDS
                )
                await message.ack()
                replayed += 1
        return replayed

    async def drop(
        self, queue: str, *, ids: Collection[UUID] | None = None, limit: int = 1000
    ) -> int:
        """Forget events for good; return how many."""
        async with self._take(queue, limit) as (_, messages):
            chosen = _chosen(messages, ids)
            for message in chosen:
                await message.ack()
        return len(chosen)

    @asynccontextmanager
    async def _take(
        self, queue: str, limit: int
    ) -> AsyncGenerator[tuple[AbstractChannel, list[AbstractIncomingMessage]]]:
        """Hold at most `limit` dead letters; those not acknowledged return to their queue."""
        connection = aio_pika.Connection(URL(self._url))
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                await connection.connect()
            channel = connection.channel(on_return_raises=True)
            await channel.initialize()
            letters = await topology.declare_dead_letters(channel, self._names, queue)
            messages: list[AbstractIncomingMessage] = []
            while len(messages) < limit:
                message = await letters.get(fail=False, timeout=_TIMEOUT_SECONDS)
                if message is None:
                    break
                messages.append(message)
            yield channel, messages
        except (AMQPError, OSError) as error:
            raise BusUnavailable(f"the broker does not answer: {error!r}") from error
        finally:
            await connection.close()


def _chosen(
    messages: Sequence[AbstractIncomingMessage], ids: Collection[UUID] | None
) -> list[AbstractIncomingMessage]:
    return [message for message in messages if ids is None or wire.describe(message).id in ids]


async def run(letters: RabbitMQDeadLetters, arguments: argparse.Namespace) -> str:
    """Do what the command line asks for; return what to print."""
    queue: str = arguments.queue
    limit: int = arguments.limit
    if arguments.act == "list":
        found = await letters.show(queue, limit=limit)
        return "".join(msgspec.json.encode(letter).decode() + "\n" for letter in found)
    act = letters.replay if arguments.act == "replay" else letters.drop
    return f"{await act(queue, ids=arguments.id, limit=limit)}\n"


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; `None` is the process's own."""
    parser = argparse.ArgumentParser(
        prog="python -m sharezync_shared.events.dead_letters",
        description="List (one JSON object a line), replay or drop the dead letters of a queue. "
        "The broker is taken from AMQP_URL. Replay and drop print how many.",
    )
    parser.add_argument("--queue", required=True, help="the consumer's queue: chat.events")
    parser.add_argument("--prefix", default=topology.DEFAULT_PREFIX, help="as the bus was given")
    parser.add_argument("--limit", type=int, default=1000, help="take so many (%(default)s)")
    parser.add_argument("--id", type=UUID, action="append", help="only this event; repeatable")
    parser.add_argument("act", choices=("list", "replay", "drop"))
    return parser.parse_args(words)


def main() -> int:
    """Run the command. Exit code 2: AMQP_URL is missing, or the broker does not answer."""
    arguments = parse()
    url = os.environ.get("AMQP_URL")
    if not url:
        sys.stderr.write("AMQP_URL is not set\n")
        return 2
    letters = RabbitMQDeadLetters(url, prefix=arguments.prefix)
    try:
        sys.stdout.write(asyncio.run(run(letters, arguments)))
    except BusUnavailable as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
