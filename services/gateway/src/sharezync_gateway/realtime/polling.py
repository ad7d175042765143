"""Live delivery without the broker: the owners of streams are asked what is new.

While the broker is away or silent, or an owner can't reach it, each owner is asked once a second
about all streams that somebody here is on, many in one question. What it answers goes the way of
frames that the broker brings: in order, once, and the log fills what is missing.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from sharezync_gateway.realtime.metrics import SocketMetrics
from sharezync_gateway.realtime.service_calls import (
    OWNERS,
    NewFrames,
    ServiceCalls,
    owner_of,
)
from sharezync_gateway.realtime.tracker import Tracker
from sharezync_shared.background import TaskSupervisor
from sharezync_shared.calls.client import is_unanswered
from sharezync_shared.calls.operations import portions
from sharezync_shared.contracts.streams import MAX_STREAMS_ASKED
from sharezync_shared.streams.frames import Frame

log = structlog.get_logger()

_PERIOD_SECONDS: Final = 1.0
"""Between two questions about the same stream: what is committed arrives in half of it, on
average."""
_CALL_SECONDS: Final = 0.1
"""Between two questions to one owner, so that ten a second is the most, whatever a node has: about
10,000 streams of one owner in each period, and more take longer."""
_LOOK_SECONDS: Final = 0.25
"""How often it is looked whether the broker brings frames."""
_STATUS_SECONDS: Final = 2.0
"""How often an owner is asked whether it reaches the broker, while the broker reaches us."""
_PATIENCE_SECONDS: Final = 5.0
"""For one answer."""


class FallbackPolling:
    """Asks the owners for `tracker`, while it must. One question to each owner at a time."""

    def __init__(
        self,
        tracker: Tracker,
        calls: ServiceCalls,
        metrics: SocketMetrics,
        *,
        is_delivering: Callable[[], bool],
        on_frames: Callable[[list[Frame]], None],
    ) -> None:
        """`on_frames` takes what the owners answer, as it takes what the broker brings."""
        self._tracker = tracker
        self._calls = calls
        self._metrics = metrics
        self._is_delivering = is_delivering
        self._on_frames = on_frames
        self._tasks = TaskSupervisor()
        self._cut_off: set[str] = set()
        """Owners that can't reach the broker, by what they said last."""

    @property
    def active(self) -> bool:
        """Whether any owner is asked for frames."""
        return not self._is_delivering() or bool(self._cut_off)

    def start(self) -> None:
        for owner in OWNERS:
            self._tasks.start(self._watch(owner), name=f"fallback-polling-{owner}")

    async def aclose(self) -> None:
        await self._tasks.wind_down()

    async def ask_all(self) -> None:
        """Ask each owner once about all its streams. Who does not answer is left out."""
        await asyncio.gather(*(self._ask_in_portions(owner, 0.0) for owner in OWNERS))

    async def _watch(self, owner: str) -> None:
        loop = asyncio.get_running_loop()
        status_at = loop.time()
        while True:
            if not self._is_delivering() or owner in self._cut_off:
                await self._ask_in_portions(owner, _PERIOD_SECONDS)
            elif loop.time() >= status_at:
                status_at = loop.time() + _jittered(_STATUS_SECONDS)
                await self._ask(owner, [])
            else:
                await asyncio.sleep(_jittered(_LOOK_SECONDS))

    async def _ask_in_portions(self, owner: str, seconds: float) -> None:
        """Ask about all streams of an owner, in so many seconds or as many as it takes."""
        streams = [stream for stream in self._tracker.streams() if owner_of(stream) == owner]
        asked = list(portions(streams, MAX_STREAMS_ASKED)) or [[]]
        pause_seconds = max(seconds / len(asked), _CALL_SECONDS)
        for portion in asked:
            await self._ask(owner, portion)
            if seconds or len(asked) > 1:
                await asyncio.sleep(_jittered(pause_seconds))

    async def _ask(self, owner: str, streams: Sequence[str]) -> None:
        positions = ((stream, self._tracker.position(stream)) for stream in streams)
        after = {stream: position[1] for stream, position in positions if position is not None}
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                found = await self._calls.changes(owner, after)
        except Exception as error:
            self._metrics.fallback_polls(owner, "failed").inc()
            if not is_unanswered(error):
                log.exception("fallback_poll_failed", owner=owner)
            return
        self._metrics.fallback_polls(owner, "ok").inc()
        if found.publishing:
            self._cut_off.discard(owner)
        elif owner not in self._cut_off:
            self._cut_off.add(owner)
            note = log.warning if self._is_delivering() else log.debug  # else it is one outage
            note("owner_without_broker", owner=owner)
        self._take(after, found)

    def _take(self, after: dict[str, int], found: NewFrames) -> None:
        if found.frames:
            self._on_frames(found.frames)
        for stream, head in found.heads.items():
            self._tracker.expect(stream, (found.epoch, head))
        for stream in after:
            position = self._tracker.position(stream)
            if position is not None and position[0] != found.epoch:
                self._tracker.expect(stream, (found.epoch, 0))


def _jittered(seconds: float) -> float:
    return seconds * random.uniform(0.8, 1.2)  # noqa: S311 - replicas must not ask in step
