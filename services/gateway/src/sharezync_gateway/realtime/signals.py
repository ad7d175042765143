"""What nodes say to each other on their own account: who came or went, who is typing.

These go over the realtime exchange as signals of streams that nobody is on (`presence:<user>`,
`typing:<channel>:<user>`), so that one user's stay in order and every node gets them. They may be
lost: what acts on them must be right again without.
"""

from dataclasses import dataclass
from typing import Final

import structlog

from sharezync_gateway.realtime.hub import Hub
from sharezync_gateway.realtime.interest import Interests
from sharezync_gateway.realtime.metrics import SocketMetrics
from sharezync_gateway.realtime.service_calls import ServiceCalls
from sharezync_gateway.realtime.socket_limits import SocketLimits
from sharezync_shared.batch_queue import BatchQueue
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
        self._queue: BatchQueue[Frame] = BatchQueue(
            self._send,
            name="signals",
            key=lambda frame: frame.stream,
            capacity=_WAITING,
            max_batch=_BATCH,
        )

    def broadcast(self, stream: str, text: bytes) -> None:
        """Send a signal, in place of one of the same stream that still waits. Never waits."""
        self._queue.put([Frame(stream, "", 0, text)])

    async def aclose(self) -> None:
        """Take no more; stop when what waits was sent, or after some seconds. Safe to repeat."""
        await self._queue.aclose(last_seconds=_LAST_WORDS_SECONDS)

    async def _send(self, frames: list[Frame]) -> None:
        try:
            await self._bus.send_frames(frames)
        except BusUnavailable as error:
            log.warning("signals_lost", count=len(frames), error=str(error))


@dataclass(frozen=True, slots=True, kw_only=True)
class SharingContext:
    """What presence, typing and visibility share; one of each on a node."""

    hub: Hub
    calls: ServiceCalls
    interests: Interests
    signals: Signals
    metrics: SocketMetrics
    limits: SocketLimits
