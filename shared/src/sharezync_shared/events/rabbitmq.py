"""The bus over RabbitMQ. Names and queues are in amqp/topology.py."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Final
from uuid import UUID

from aio_pika import DeliveryMode, Message
from prometheus_client import CollectorRegistry

from sharezync_shared.events.amqp import topology, wire
from sharezync_shared.events.amqp.consumer import Consumer
from sharezync_shared.events.amqp.link import AmqpLink, BrokerOutage, LinkUser
from sharezync_shared.events.amqp.listener import Listener
from sharezync_shared.events.amqp.publisher import Publisher, Returned
from sharezync_shared.events.attempts import Attempts, RetryPolicy
from sharezync_shared.events.bus import BusUnavailable, Envelope, Handler, OnFrames, OnGap
from sharezync_shared.events.contracts import Event
from sharezync_shared.events.receiver import FrameReceiver
from sharezync_shared.sizes import MAX_FRAMES_BYTES
from sharezync_shared.streams.frames import Frame, encode_frames, shard_of

_IN_FLIGHT: Final = 500
"""Facts published at a time: beyond, more waiting confirms bring no more throughput."""
_CLOSE_SECONDS: Final = 10.0


class RabbitMQBus:
    """A `Bus` on two connections: acknowledgements must not wait behind publishers that the broker
    slows down.

    `prefix` begins the names of the exchanges; another than the default begins those of the queues
    too, so that several worlds fit into one broker. `publishes` are the facts that this process may
    publish; others are taken for facts that nobody may miss. `connect_seconds` also bounds `start`.
    A connection is given up after 1.5 * (`heartbeat_seconds` + 1) without a sign of life.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str = "sharezync",
        prefix: str = topology.DEFAULT_PREFIX,
        retries: RetryPolicy | None = None,
        registry: CollectorRegistry | None = None,
        publishes: Sequence[type[Event]] = (),
        publish_seconds: float = 5.0,
        connect_seconds: float = 5.0,
        heartbeat_seconds: int = 5,
    ) -> None:
        self._names = topology.QueueNames(prefix)
        self._attempts = Attempts(retries or RetryPolicy(), registry or CollectorRegistry())
        self._connect_seconds = connect_seconds
        link = partial(
            AmqpLink,
            url,
            connect_seconds=connect_seconds,
            heartbeat_seconds=heartbeat_seconds,
            outage=BrokerOutage(),
        )
        self._publishing = link(f"{name} publish")
        self._consuming = link(f"{name} consume")
        self._facts = Publisher(
            "publish facts",
            partial(
                topology.declare_events,
                names=self._names,
                own={each.type: each.may_be_missed for each in publishes},
            ),
            timeout_seconds=publish_seconds,
        )
        # A channel of their own: frames don't wait behind facts.
        self._frames = Publisher(
            "send frames",
            partial(topology.declare_realtime, names=self._names),
            timeout_seconds=publish_seconds,
        )
        self._publishing.add(self._facts)
        self._publishing.add(self._frames)
        self._types: dict[str, frozenset[str]] = {}
        self._consumers: list[Consumer] = []
        self._listeners: list[Listener] = []
        self._started = False
        self._closed = False

    @property
    def ready(self) -> bool:
        """As `Bus.ready`."""
        return (
            self._started
            and not self._closed
            and self._publishing.serving
            and self._consuming.serving
        )

    @property
    def delivering(self) -> bool:
        """As `Bus.delivering`: an echo of each receiver came back in the last 3 s."""
        return self.ready and all(listener.hearing for listener in self._listeners)

    @property
    def may_lose_frames(self) -> bool:
        """As `Bus.may_lose_frames`: a connection may be dead for a while before TCP notices."""
        return True

    async def start(self) -> None:
        """As `Bus.start`."""
        if not self._started:
            self._started = True
            self._publishing.start()
            self._consuming.start()
            await self._wait_for(self._publishing, self._consuming)

    async def aclose(self) -> None:
        """As `Bus.aclose`; handlers get 10 s."""
        self._closed = True
        await asyncio.gather(*(consumer.stop(_CLOSE_SECONDS) for consumer in self._consumers))
        await asyncio.gather(self._consuming.aclose(), self._publishing.aclose())

    async def publish(self, envelopes: Sequence[Envelope]) -> None:
        """As `Bus.publish`: each confirmed by the broker, in any order."""
        confirmed: set[UUID] = set()
        failure: BaseException | None = None
        for start in range(0, len(envelopes), _IN_FLIGHT):
            batch = envelopes[start : start + _IN_FLIGHT]
            results = await asyncio.gather(
                *(self._publish_one(envelope) for envelope in batch), return_exceptions=True
            )
            for envelope, result in zip(batch, results, strict=True):
                if result is None:
                    confirmed.add(envelope.id)
                else:
                    failure = result
            if failure is not None:
                break  # the rest would fail the same way, after the same wait
        if isinstance(failure, Returned):
            await self._facts.reset()  # even the unrouted have a queue, or should
        if failure is not None:
            raise BusUnavailable(str(failure), confirmed=frozenset(confirmed)) from failure

    async def _publish_one(self, envelope: Envelope) -> None:
        await self._facts.publish(
            wire.pack(envelope), self._names.events, envelope.type, mandatory=True
        )

    async def consume(
        self, queue: str, types: Sequence[str], handler: Handler, *, prefetch: int = 50
    ) -> None:
        """As `Bus.consume`; once started, waits some seconds until the queue is there."""
        wanted = frozenset(types)
        if self._types.setdefault(queue, wanted) != wanted:
            raise ValueError(f"{queue} is consumed for other types on this bus")
        consumer = Consumer(
            queue,
            wanted,
            handler,
            prefetch=prefetch,
            names=self._names,
            attempts=self._attempts,
            publisher=self._facts,
        )
        self._consumers.append(consumer)
        await self._add(consumer)

    async def send_frames(self, frames: Sequence[Frame]) -> None:
        """As `Bus.send_frames`: one message a shard (more only beyond 4 MiB)."""
        messages = [
            self._frames.publish(
                Message(encode_frames(batch), delivery_mode=DeliveryMode.NOT_PERSISTENT),
                self._names.realtime,
                topology.shard_key(shard),
                mandatory=False,
            )
            for shard, batch in _batches(frames)
        ]
        if len(messages) == 1:
            await messages[0]
            return
        results = await asyncio.gather(*messages, return_exceptions=True)
        if failures := [result for result in results if result is not None]:
            raise BusUnavailable(str(failures[0])) from failures[0]

    async def receive_frames(self, on_frames: OnFrames, on_gap: OnGap) -> None:
        """As `Bus.receive_frames`; once started, waits some seconds until it listens."""
        listener = Listener(FrameReceiver(on_frames, on_gap), self._names, self._send_echo)
        self._listeners.append(listener)
        await self._add(listener)

    async def _send_echo(self, routing_key: str) -> None:
        message = Message(b"", delivery_mode=DeliveryMode.NOT_PERSISTENT)
        await self._frames.publish(message, self._names.realtime, routing_key, mandatory=False)

    async def _add(self, tenant: LinkUser) -> None:
        self._consuming.add(tenant)
        if self._started:
            await self._wait_for(self._consuming)

    async def _wait_for(self, *links: AmqpLink) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._connect_seconds):
                for link in links:
                    await link.until_serving()


def _batches(frames: Sequence[Frame]) -> list[tuple[int, list[Frame]]]:
    """Split frames into messages: one shard each, in order, none too large for the broker."""
    done: list[tuple[int, list[Frame]]] = []
    growing: dict[int, tuple[list[Frame], int]] = {}
    for frame in frames:
        shard = shard_of(frame.stream)
        batch, size = growing.get(shard, ([], 0))
        if batch and size + len(frame.text) > MAX_FRAMES_BYTES:
            done.append((shard, batch))
            batch, size = [], 0
        batch.append(frame)
        growing[shard] = (batch, size + len(frame.text))
    return done + [(shard, batch) for shard, (batch, _) in growing.items()]
