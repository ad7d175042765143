"""Listening to frames: a queue of its own for each connection, with a name never used before.

A broker that hangs looks like one that has nothing to say. So each listener sends itself an echo
every second, by the exchange that frames come from: while it comes back, frames do too.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import msgspec
import structlog
from aio_pika.abc import AbstractConnection, AbstractIncomingMessage

from sharezync_shared.background import end
from sharezync_shared.events.amqp import topology
from sharezync_shared.events.amqp.link import LinkUser, close_quietly, until_closed
from sharezync_shared.events.bus import BusUnavailable
from sharezync_shared.events.receiver import FrameReceiver
from sharezync_shared.streams.frames import decode_frames

log = structlog.get_logger()


SendEcho = Callable[[str], Awaitable[None]]
"""Publishes an empty message to the realtime exchange with this routing key."""

_ECHO_SECONDS: Final = 1.0
SILENT_SECONDS: Final = 3.0
"""So long without an echo, frames are not to be relied on. Two may be late on a busy broker."""


class Listener(LinkUser):
    """One receiver's ear on the realtime exchange."""

    def __init__(
        self, receiver: FrameReceiver, names: topology.QueueNames, send_echo: SendEcho
    ) -> None:
        super().__init__()
        self.name = "receive frames"
        self._receiver = receiver
        self._names = names
        self._send_echo = send_echo
        self._heard_at: float | None = None
        """When the last echo came back, or listening began."""

    @property
    def hearing(self) -> bool:
        """Whether what is sent to the realtime exchange arrives here."""
        if self._heard_at is None:
            return False
        return asyncio.get_running_loop().time() - self._heard_at < SILENT_SECONDS

    async def serve(self, connection: AbstractConnection) -> None:
        """As `LinkUser.serve`. The gap is told once frames arrive again, never before."""
        channel = connection.channel(publisher_confirms=False)
        await channel.initialize()
        cancelled = asyncio.Event()
        echoing: asyncio.Task[None] | None = None
        try:
            queue = await topology.declare_receiver(channel, self._names)
            plain = await channel.get_underlay_channel()
            plain.on_consumer_cancel_callbacks.add(lambda _: cancelled.set())
            await queue.consume(self._on_message, no_ack=True)
            self.serving.set()
            self._heard_at = asyncio.get_running_loop().time()
            echoing = asyncio.create_task(self._echo(queue.name), name="frames-echo")
            self._receiver.gap()
            await until_closed(channel, cancelled)
        finally:
            self._heard_at = None
            self._receiver.stop()
            if echoing is not None:
                await end([echoing])
            await close_quietly(channel)

    async def _echo(self, routing_key: str) -> None:
        while True:
            with suppress(BusUnavailable):  # then nothing comes back, which is the answer
                await self._send_echo(routing_key)
            await asyncio.sleep(_ECHO_SECONDS)

    async def _on_message(self, message: AbstractIncomingMessage) -> None:
        if not message.body:  # an echo: frames have one
            self._heard_at = asyncio.get_running_loop().time()
            return
        try:
            frames = decode_frames(message.body)
        except msgspec.DecodeError as error:
            # Lost, like frames may be: receivers find the gap.
            log.warning("frames_undecodable", size_bytes=len(message.body), error=str(error))
            return
        self._receiver.deliver(frames)
