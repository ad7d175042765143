"""Names on the broker, and what is declared there, again on each connection.

Facts go to the topic exchange `P.events`, from there to one queue per consuming service
(`chat.events`). Those that found no queue go by the alternate exchange to the queue `P.unrouted`;
those that may be missed are bound to the queue `P.ignored` besides, which keeps nothing. A failed
event rests in `chat.events.retry.1s` (10s, 1m, 10m) until its time is up and the broker puts it
back; what is given up lies in `chat.events.dlq`. Frames go to the direct exchange `P.realtime`, one
routing key per shard, and from there to one exclusive queue per receiver; the queue's name is one
more, by which a receiver hears whether it hears.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import uuid4

from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel, AbstractQueue
from aio_pika.exceptions import ChannelNotFoundEntity, ChannelPreconditionFailed

from sharezync_shared.streams.frames import SHARDS

DEFAULT_PREFIX: Final = "sharezync"

_DELIVERY_LIMIT: Final = 20
"""Deliveries without an answer (the consumer died each time) before the broker itself gives an
event up. RabbitMQ 4's default; 3.x has none."""
_DLQ_DELIVERY_LIMIT: Final = 1_000_000
"""Looking at dead letters counts as a delivery; it must never be what loses them. "No limit" can't
be said in a way that both 3.x and 4.x accept."""
_SAFE_DEAD_LETTERING: Final = {
    # By default the broker forgets an event before it knows that it arrived at the other queue.
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
}
_FRAMES_MOST: Final = 100_000
_FRAMES_MOST_BYTES: Final = 256 * 1024 * 1024
"""Far beyond what a policy sets: for a broker whose policies nobody has set."""


class QueueNames:
    """Names under one prefix. Queues carry theirs plain under the default prefix: `chat.events`."""

    def __init__(self, prefix: str = DEFAULT_PREFIX) -> None:
        self._prefix = prefix
        self.events = f"{prefix}.events"
        self.unrouted = f"{prefix}.unrouted"
        self.realtime = f"{prefix}.realtime"
        self.ignored = f"{prefix}.ignored"
        self.unrouted_as_it_is = False
        """Whether the queue is there with arguments that this version doesn't give it."""

    def queue(self, name: str) -> str:
        """Return the queue of a consumer."""
        return name if self._prefix == DEFAULT_PREFIX else f"{self._prefix}.{name}"

    def dead_letters(self, name: str) -> str:
        """Return where a consumer's dead letters lie."""
        return f"{self.queue(name)}.dlq"

    def retry(self, name: str, delay_seconds: float) -> str:
        """Return where a consumer's events rest for so long."""
        return f"{self.queue(name)}.retry.{_span(delay_seconds)}"

    def receiver(self) -> str:
        """Return a name for a receiver's queue that was never used before."""
        return f"{self._prefix}.frames.{uuid4().hex}"


def shard_key(shard: int) -> str:
    """Return the routing key of a shard."""
    return f"shard.{shard}"


async def declare_events(
    channel: AbstractChannel, names: QueueNames, own: Mapping[str, bool] | None = None
) -> None:
    """Declare where facts go, and where those go that nobody consumes.

    `own` are the types that this process publishes, each with whether it may be missed.
    """
    await channel.declare_exchange(names.unrouted, ExchangeType.FANOUT, durable=True)
    unrouted = await _declare_unrouted(channel, names)
    await unrouted.bind(names.unrouted, "")
    await channel.declare_exchange(
        names.events,
        ExchangeType.TOPIC,
        durable=True,
        arguments={"alternate-exchange": names.unrouted},
    )
    if own:
        ignored = await channel.declare_queue(
            names.ignored, durable=True, arguments={"x-queue-type": "classic", "x-max-length": 0}
        )
        for event_type, may_be_missed in own.items():
            if may_be_missed:
                await ignored.bind(names.events, event_type)
            else:
                await ignored.unbind(names.events, event_type)


async def declare_consumer(
    channel: AbstractChannel,
    names: QueueNames,
    name: str,
    types: Iterable[str],
    delays_seconds: Sequence[float],
) -> AbstractQueue:
    """Declare a consumer's queue with its ladder and dead letters, and bind its types.

    Types that it no longer consumes stay bound: an older replica may still want them.
    """
    await declare_events(channel, names)
    await declare_dead_letters(channel, names, name)
    for delay_seconds in sorted(set(delays_seconds)):
        await _quorum(
            channel,
            names.retry(name, delay_seconds),
            {
                "x-message-ttl": round(delay_seconds * 1000),
                "x-dead-letter-exchange": "",
                "x-dead-letter-routing-key": names.queue(name),
                **_SAFE_DEAD_LETTERING,
            },
        )
    queue = await _quorum(
        channel,
        names.queue(name),
        {
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": names.dead_letters(name),
            "x-delivery-limit": _DELIVERY_LIMIT,
            **_SAFE_DEAD_LETTERING,
        },
    )
    for event_type in types:
        await queue.bind(names.events, event_type)
    return queue


async def declare_dead_letters(
    channel: AbstractChannel, names: QueueNames, name: str
) -> AbstractQueue:
    """Declare where a consumer's dead letters lie."""
    return await _quorum(
        channel, names.dead_letters(name), {"x-delivery-limit": _DLQ_DELIVERY_LIMIT}
    )


async def declare_realtime(channel: AbstractChannel, names: QueueNames) -> None:
    """Declare where frames go."""
    await channel.declare_exchange(names.realtime, ExchangeType.DIRECT, durable=True)


async def declare_receiver(channel: AbstractChannel, names: QueueNames) -> AbstractQueue:
    """Declare a receiver's queue, with all shards bound. It goes when its consumer goes.

    The name is new each time: the broker may hold the old, exclusive one for a connection that it
    still believes alive.
    """
    await declare_realtime(channel, names)
    queue = await channel.declare_queue(
        names.receiver(),
        exclusive=True,
        auto_delete=True,
        arguments={
            "x-queue-type": "classic",
            "x-max-length": _FRAMES_MOST,
            "x-max-length-bytes": _FRAMES_MOST_BYTES,
        },
    )
    # Without waiting for each answer; whatever is declared next waits for all of them.
    plain = await channel.get_underlay_channel()
    for shard in range(SHARDS):
        await plain.queue_bind(queue.name, names.realtime, shard_key(shard), nowait=True)
    await queue.bind(names.realtime, queue.name)  # for its own echo
    return queue


async def _declare_unrouted(channel: AbstractChannel, names: QueueNames) -> AbstractQueue:
    """Declare the queue of the unrouted, or take it as it is.

    Earlier versions limited it by an argument. To be told of that costs the channel: the caller
    comes again with a new one.
    """
    try:
        if names.unrouted_as_it_is:
            return await channel.declare_queue(names.unrouted, passive=True)
        return await _quorum(channel, names.unrouted, {})
    except (ChannelPreconditionFailed, ChannelNotFoundEntity) as error:
        names.unrouted_as_it_is = isinstance(error, ChannelPreconditionFailed)
        raise


async def _quorum(channel: AbstractChannel, name: str, arguments: dict[str, Any]) -> AbstractQueue:
    return await channel.declare_queue(
        name, durable=True, arguments={"x-queue-type": "quorum", **arguments}
    )


def _span(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    for unit, length in (("m", 60_000), ("s", 1000)):
        if milliseconds >= length and milliseconds % length == 0:
            return f"{milliseconds // length}{unit}"
    return f"{milliseconds}ms"
