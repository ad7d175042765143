"""What nodes say to each other on their own account: who came or went, who is typing.

These go over the realtime exchange as signals of streams that nobody is on (`presence:<user>`,
`typing:<channel>:<user>`), so that one user's stay in order and every node hears them. They may be
lost; whoever acts on them must be right again without.
"""

import asyncio
from itertools import islice
from typing import Final

import structlog

from sharezync_shared.events.bus import Bus, BusUnavailable
from sharezync_shared.streams.frames import Frame

log = structlog.get_logger()

_BATCH: Final = 500
_WAITING: Final = 10_000
"""Signals that may wait while the bus is slow; those beyond are lost."""
_LAST_WORDS_SECONDS: Final = 2.0


class Signals:
    """This node's signals to all nodes, itself included. The first leaves at once."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._waiting: dict[str, Frame] = {}
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def broadcast(self, stream: str, text: bytes) -> None:
        """Send a signal, in place of one of the same stream that still waits. Never waits."""
        full = len(self._waiting) >= _WAITING and stream not in self._waiting
        if self._closed or full:
            return
        self._waiting.pop(stream, None)  # the later one has its own place
        self._waiting[stream] = Frame(stream, "", 0, text)
        if self._task is None:
            self._task = asyncio.create_task(self._flush(), name="signals")

    async def aclose(self) -> None:
        """Take no more; stop when what waits was sent, or after some seconds. Safe to repeat."""
        self._closed = True
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=_LAST_WORDS_SECONDS)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _flush(self) -> None:
        try:
            while self._waiting:
                streams = list(islice(self._waiting, _BATCH))
                batch = [self._waiting.pop(stream) for stream in streams]
                try:
                    await self._bus.send_frames(batch)
                except BusUnavailable as error:
                    log.warning("signals_lost", count=len(batch), error=str(error))
        finally:
            self._task = None
