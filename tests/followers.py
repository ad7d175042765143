"""Clients that follow a channel over whatever happens, and that write to it."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from sharezync import Session, StreamEventFrame, StreamReset
from sharezync.realtime.cursors import Cursor
from sharezync.realtime.frame_router import Connected
from sharezync_testkit.waiting import wait_until
from tests.fleet.history import Reader, Writer


@dataclass
class Device:
    """A client's copy of one channel, and where it is in all streams."""

    name: str
    channel_id: str
    reader: Reader | None = None
    cursors: dict[str, Cursor] = field(default_factory=dict)

    @property
    def stream(self) -> str:
        return f"channel:{self.channel_id}"

    @property
    def seq(self) -> int:
        return self.reader.seq if self.reader else 0

    @asynccontextmanager
    async def following(self, session: Session) -> AsyncGenerator[None]:
        """Follow the channel within the block, from where it was."""
        following = asyncio.create_task(self._follow(session))
        try:
            await wait_until(lambda: self.reader is not None or following.done())
            yield
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def _follow(self, session: Session) -> None:
        async with session.socket(self.name, cursors=self.cursors or None) as socket:
            async for incoming in socket:
                self.cursors = socket.cursors
                match incoming:
                    case Connected() if self.reader is None:
                        epoch, seq = incoming.heads[self.stream]
                        self.reader = Reader(self.name, seq, epoch)
                    case StreamReset(stream=self.stream) if self.reader is not None:
                        await self._rebuild(session, self.reader, incoming)
                    case StreamEventFrame(stream=self.stream) if self.reader is not None:
                        self.reader.take(
                            {
                                "epoch": incoming.epoch,
                                "seq": incoming.seq,
                                "type": incoming.type,
                                "data": incoming.data,
                            }
                        )

    async def _rebuild(self, session: Session, reader: Reader, reset: StreamReset) -> None:
        """Forget what was seen, and fetch the channel anew, up to the place of the reset."""
        history = await history_of(session, self.channel_id)
        reader.keys.clear()
        reader.refetch(
            {"epoch": reset.epoch, "seq": reset.seq},
            [message for message in history if message["seq"] <= reset.seq],
        )


async def history_of(session: Session, channel_id: str) -> list[dict[str, Any]]:
    messages = await session.chat.history(channel_id, limit=100_000)
    return [{"client_message_id": each.client_message_id, "seq": each.seq} for each in messages]


async def write(
    session: Session, channel_id: str, writer: Writer, over: Callable[[], bool]
) -> None:
    """Say one thing after the other, each until it is acknowledged."""
    for number in itertools.count(len(writer.tried)):
        if over():
            return
        key = f"{writer.name}-{number}"
        writer.tried.append(key)
        message = await session.chat.send(channel_id, key, client_message_id=key)
        writer.told(key, message.seq)
