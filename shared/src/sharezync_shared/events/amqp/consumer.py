"""Consuming a service's queue: attempts, the retry ladder, dead letters, acknowledgements.

A message is acknowledged only after its handler returned, or after its copy on the ladder or among
the dead letters was confirmed. So a crash anywhere repeats an event and loses none. Nothing is ever
requeued: that would make a hot loop of a failing handler.
"""

import asyncio
from contextlib import suppress
from typing import Final

import structlog
from aio_pika import Message
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage

from sharezync_shared.background import TaskSupervisor, uncancelled
from sharezync_shared.events.amqp import topology, wire
from sharezync_shared.events.amqp.link import LinkUser, close_quietly, until_closed
from sharezync_shared.events.amqp.publisher import DEFAULT_EXCHANGE, Publisher, Returned
from sharezync_shared.events.attempts import Attempts, Dead, Handled, Outcome, Retry
from sharezync_shared.events.bus import BusUnavailable, Handler

log = structlog.get_logger()

_HAND_OVER_PAUSE_SECONDS: Final = 1.0
_CANCEL_SECONDS: Final = 2.0


class Consumer(LinkUser):
    """One consumer of one queue."""

    def __init__(
        self,
        queue: str,
        types: frozenset[str],
        handler: Handler,
        *,
        prefetch: int,
        names: topology.QueueNames,
        attempts: Attempts,
        publisher: Publisher,
    ) -> None:
        super().__init__()
        self.name = f"consume {queue}"
        self._queue = queue
        self._types = types
        self._handler = handler
        self._prefetch = prefetch
        self._names = names
        self._attempts = attempts
        self._publisher = publisher
        # Outlives the channels: attempts that a lost channel left behind still count.
        self._slots = asyncio.Semaphore(prefetch)
        self._running = TaskSupervisor()
        self._stopped = asyncio.Event()
        self._released = asyncio.Event()

    async def serve(self, connection: AbstractConnection) -> None:
        """As `LinkUser.serve`; also begins anew when the broker cancels (the queue was deleted)."""
        channel = connection.channel(publisher_confirms=False)
        await channel.initialize()
        cancelled = asyncio.Event()
        try:
            queue = await topology.declare_consumer(
                channel,
                self._names,
                self._queue,
                self._types,
                self._attempts.policy.delays_seconds,
            )
            await channel.set_qos(self._prefetch)
            plain = await channel.get_underlay_channel()
            plain.on_consumer_cancel_callbacks.add(lambda _: cancelled.set())

            async def take(message: AbstractIncomingMessage) -> None:
                self._take(channel, message)

            tag = await queue.consume(take)
            self.serving.set()
            await until_closed(channel, cancelled, self._stopped)
            if self._stopped.is_set():
                await uncancelled(queue.cancel(tag))
                self._released.set()
                await until_closed(channel)  # acknowledgements still go out on it
        finally:
            if self._stopped.is_set():
                self._released.set()
            await close_quietly(channel)

    async def stop(self, timeout_seconds: float) -> None:
        """Take no more events; give running attempts this long, then leave them unacknowledged."""
        self._stopped.set()
        if self.serving.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(_CANCEL_SECONDS):
                    await self._released.wait()
        await self._running.wind_down(timeout_seconds)

    def _take(self, channel: AbstractChannel, message: AbstractIncomingMessage) -> None:
        # In a task of our own: those of the channel are cancelled when it closes, in the middle
        # of a handler's transaction.
        self._running.start(self._handle(channel, message), self.name)

    async def _handle(self, channel: AbstractChannel, message: AbstractIncomingMessage) -> None:
        async with self._slots:
            if channel.is_closed or self._stopped.is_set():
                return  # delivered again, to whoever consumes then
            outcome = await self._attempt(message)
            try:
                match outcome:
                    case Retry(delay_seconds=delay, attempt=attempt):
                        later = wire.pack(wire.unpack(message), attempt=attempt)
                        await self._hand_over(channel, later, self._names.retry(self._queue, delay))
                    case Dead() as dead:
                        await self._hand_over(
                            channel,
                            wire.bury(message, dead),
                            self._names.dead_letters(self._queue),
                        )
                    case Handled():
                        pass
                await uncancelled(message.ack())
            except Exception as error:  # noqa: BLE001 - whatever ended the channel
                # What was not acknowledged is delivered again.
                log.info("event_not_acknowledged", queue=self._queue, error=repr(error))

    async def _attempt(self, message: AbstractIncomingMessage) -> Outcome:
        try:
            envelope = wire.unpack(message)
        except ValueError as error:
            return self._attempts.bury(self._queue, None, "undecodable", error)
        return await self._attempts.make(
            self._queue, self._types, self._handler, envelope, wire.attempt_of(message)
        )

    async def _hand_over(self, channel: AbstractChannel, message: Message, queue: str) -> None:
        """Have a copy in another queue before the original is acknowledged.

        While that can't be done, the original stays where it is and takes up its slot. Raises
        ConnectionError when the channel is gone, and with it the right to acknowledge.
        """
        while not channel.is_closed:
            try:
                await self._publisher.publish(message, DEFAULT_EXCHANGE, queue, mandatory=True)
                return
            except Returned:
                # Somebody deleted the queue. A new channel declares it again.
                await close_quietly(channel)
            except BusUnavailable:
                await asyncio.sleep(_HAND_OVER_PAUSE_SECONDS)
        raise ConnectionError("the channel is closed")
