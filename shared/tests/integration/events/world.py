"""What the contract suite runs over: each adapter, with as many replicas as a test asks for."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

import aio_pika
from prometheus_client import CollectorRegistry

from sharezync_shared.events.amqp.topology import QueueNames
from sharezync_shared.events.attempts import RetryPolicy
from sharezync_shared.events.bus import Bus, BusUnavailable, Envelope
from sharezync_shared.events.contracts import Event
from sharezync_shared.events.dead_letters import RabbitMQDeadLetters
from sharezync_shared.events.local import LocalBus
from sharezync_shared.events.rabbitmq import RabbitMQBus
from sharezync_shared.ids import uuid7
from sharezync_shared.streams.frames import Frame
from sharezync_testkit.waiting import GIVE_UP_SECONDS, wait_until

SENT = "chat.message.sent.v1"
DELETED = "chat.message.deleted.v1"
QUICK = RetryPolicy(delays_seconds=(0.05, 0.1), max_attempts=3, deadline_seconds=5)
DELAYS = QUICK.delays_seconds


class World(ABC):
    """Buses that can hear each other, and nobody else."""

    @abstractmethod
    def new_bus(self) -> Bus:
        """Return the bus of one more process, not started."""

    async def bus(self) -> Bus:
        """Return the started bus of one more process."""
        bus = self.new_bus()
        await bus.start()
        assert bus.ready
        return bus

    @abstractmethod
    async def count_dead(self, queue: str) -> int:
        """Return how many events of a queue were given up."""

    @abstractmethod
    async def close(self) -> None:
        """End all buses and remove what they left on a broker."""


class LocalWorld(World):
    """One process: every replica is the same bus."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._bus = LocalBus(retries=QUICK, registry=self._registry)

    def new_bus(self) -> Bus:
        return self._bus

    async def count_dead(self, queue: str) -> int:
        labels = {"queue": queue, "result": "dead"}
        return int(self._registry.get_sample_value("sharezync_events_consumed_total", labels) or 0)

    async def close(self) -> None:
        await self._bus.aclose()


class RabbitMQWorld(World):
    """A prefix of its own on a real broker."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.prefix = f"t{uuid4().hex[:8]}"
        self.names = QueueNames(self.prefix)
        self.dead_letters = RabbitMQDeadLetters(url, prefix=self.prefix)
        self._buses: list[RabbitMQBus] = []

    def new_bus(self) -> RabbitMQBus:
        return self.bus_at(self.url)

    def bus_at(
        self,
        url: str,
        *,
        retries: RetryPolicy = QUICK,
        connect_seconds: float = 10,
        heartbeat_seconds: int = 2,
        publishes: Sequence[type[Event]] = (),
    ) -> RabbitMQBus:
        """Return a bus, not started, that reaches the broker by a way of its own."""
        bus = RabbitMQBus(
            url,
            prefix=self.prefix,
            retries=retries,
            publish_seconds=2,
            connect_seconds=connect_seconds,
            heartbeat_seconds=heartbeat_seconds,
            publishes=publishes,
        )
        self._buses.append(bus)
        return bus

    async def count_dead(self, queue: str) -> int:
        return len(await self.dead_letters.show(queue))

    async def close(self) -> None:
        for bus in self._buses:
            await bus.aclose()
        connection = await aio_pika.connect(self.url)
        async with connection, connection.channel() as channel:
            for name in ("chat.events", "transfer.events"):
                queues = [self.names.queue(name), self.names.dead_letters(name)]
                for queue in queues + [self.names.retry(name, delay) for delay in DELAYS]:
                    await channel.queue_delete(queue)
            await channel.queue_delete(self.names.unrouted)
            await channel.queue_delete(self.names.ignored)
            for exchange in (self.names.events, self.names.unrouted, self.names.realtime):
                await channel.exchange_delete(exchange)

    async def delete_queue(self, queue: str) -> None:
        """Have somebody delete a queue of the broker."""
        connection = await aio_pika.connect(self.url)
        async with connection, connection.channel() as channel:
            await channel.queue_delete(queue)

    async def put(self, queue: str, message: aio_pika.Message) -> None:
        """Have somebody put a message into a queue of the broker."""
        connection = await aio_pika.connect(self.url)
        async with connection, connection.channel() as channel:
            await channel.default_exchange.publish(message, queue)

    async def depth(self, queue: str) -> int:
        """Return how many messages lie in a queue of the broker, ready to be delivered."""
        connection = await aio_pika.connect(self.url)
        async with connection, connection.channel() as channel:
            found = await channel.declare_queue(queue, passive=True)
            return found.declaration_result.message_count or 0


@dataclass
class Taken:
    """A handler that notes what it is given, after failing as often as it is told to."""

    failures: Sequence[Exception] = ()

    def __post_init__(self) -> None:
        self._failures = list(self.failures)
        self.envelopes: list[Envelope] = []
        self.calls = 0

    async def __call__(self, envelope: Envelope) -> None:
        self.calls += 1
        if self._failures:
            raise self._failures.pop(0)
        self.envelopes.append(envelope)

    async def until(self, count: int) -> list[Envelope]:
        """Return what was taken once it is `count`."""
        await wait_until(lambda: len(self.envelopes) >= count)
        return self.envelopes


def fact(event_type: str = SENT, *, data: bytes = b'{"a":1}') -> Envelope:
    return Envelope(
        id=uuid7(),
        source="/chat",
        type=event_type,
        subject="some/thing é",
        time=datetime.now(UTC),
        data=data,
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        tracestate="vendor=1",
    )


async def publish(bus: Bus, *said: Envelope) -> None:
    """Publish as the relay does: what is not confirmed is said again."""
    async with asyncio.timeout(GIVE_UP_SECONDS):
        left = list(said)
        while left:
            try:
                await bus.publish(left)
                return
            except BusUnavailable as error:
                left = [each for each in left if each.id not in error.confirmed]
                await asyncio.sleep(0.05)


async def until_dead(world: World, queue: str, count: int) -> None:
    async with asyncio.timeout(GIVE_UP_SECONDS):
        while await world.count_dead(queue) < count:  # noqa: ASYNC110 - others' doing
            await asyncio.sleep(0.05)


def frames_of(stream: str, count: int) -> list[Frame]:
    return [Frame(stream, "e1", seq, b'{"seq":%d}' % seq) for seq in range(1, count + 1)]


class Ear:
    """A receiver that notes everything."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.gaps = 0

    def on_frames(self, frames: list[Frame]) -> None:
        self.frames += frames

    async def on_gap(self) -> None:
        self.gaps += 1


async def listening(world: World) -> Ear:
    ear = Ear()
    await (await world.bus()).receive_frames(ear.on_frames, ear.on_gap)
    await wait_until(lambda: ear.gaps == 1)
    return ear
