"""Listening to frames: a queue of its own for each connection, with a name never used before."""

import asyncio

import msgspec
import structlog
from aio_pika.abc import AbstractConnection, AbstractIncomingMessage

from sharezync_shared.events.amqp import topology
from sharezync_shared.events.amqp.link import LinkUser, close_quietly, until_closed
from sharezync_shared.events.receiver import FrameReceiver
from sharezync_shared.streams.frames import decode_frames

log = structlog.get_logger()


class Listener(LinkUser):
    """One receiver's ear on the realtime exchange."""

    def __init__(self, receiver: FrameReceiver, names: topology.QueueNames) -> None:
        super().__init__()
        self.name = "receive frames"
        self._receiver = receiver
        self._names = names

    async def serve(self, connection: AbstractConnection) -> None:
        """As `LinkUser.serve`. The gap is told once frames arrive again, never before."""
        channel = connection.channel(publisher_confirms=False)
        await channel.initialize()
        cancelled = asyncio.Event()
        try:
            queue = await topology.declare_receiver(channel, self._names)
            plain = await channel.get_underlay_channel()
            plain.on_consumer_cancel_callbacks.add(lambda _: cancelled.set())
            await queue.consume(self._on_message, no_ack=True)
            self.serving.set()
            self._receiver.gap()
            await until_closed(channel, cancelled)
        finally:
            self._receiver.stop()
            await close_quietly(channel)

    async def _on_message(self, message: AbstractIncomingMessage) -> None:
        try:
            frames = decode_frames(message.body)
        except msgspec.DecodeError as error:
            # Lost, like frames may be: receivers find the gap.
            log.warning("frames_undecodable", size_bytes=len(message.body), error=str(error))
            return
        self._receiver.deliver(frames)
