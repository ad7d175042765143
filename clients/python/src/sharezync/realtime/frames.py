"""What comes down a socket, for who iterates over it or waits for it."""

import asyncio
from dataclasses import dataclass, field

from sharezync.problems import SharezyncError
from sharezync.shapes import Json


@dataclass(frozen=True, slots=True)
class StreamEventFrame:
    """Something happened: in its stream in order, without a gap, once."""

    type: str
    stream: str
    epoch: str
    seq: int
    at: str
    data: Json = field(repr=False)


@dataclass(frozen=True, slots=True)
class Signal:
    """Something is the case now (`typing`, `presence`, `progress_update`); may be lost."""

    type: str
    stream: str | None
    data: Json


@dataclass(frozen=True, slots=True)
class StreamReset:
    """What is known of this stream is out of date: fetch it again; it goes on after `seq`."""

    stream: str
    epoch: str
    seq: int


@dataclass(frozen=True, slots=True)
class Connected:
    """The socket is open, at first or again; subscriptions must be sent again."""

    user_id: str
    device_id: str | None
    heads: dict[str, tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Lost:
    """The socket broke; it is being opened again."""

    code: int
    reason: str


Incoming = StreamEventFrame | Signal | StreamReset | Connected | Lost
Item = Json | bytes | Incoming
"""A frame; the binary frame of a chunk; or what is iterated over."""


class FrameQueue(asyncio.Queue[Item | SharezyncError]):
    """What comes, in order. It has no bound: for chunks that is the credit which was given."""

    def fail(self, error: SharezyncError) -> None:
        """End it: nothing comes after what is there."""
        self.put_nowait(error)

    async def next(self) -> Item:
        """Return the next item, waiting for it. Raises what ended the socket."""
        item = await self.get()
        if isinstance(item, SharezyncError):
            self.put_nowait(item)  # for the next who waits
            raise item
        return item
