"""Who listens to frames on a bus, and how both buses call them."""

import asyncio
from typing import Final

import structlog

from sharezync_shared.events.bus import OnFrames, OnGap
from sharezync_shared.problems import Unavailable
from sharezync_shared.streams.frames import Frame

log = structlog.get_logger()

_FIRST_PAUSE_SECONDS: Final = 0.25
_LONGEST_PAUSE_SECONDS: Final = 10.0


class FrameReceiver:
    """One call of `receive_frames`."""

    def __init__(self, on_frames: OnFrames, on_gap: OnGap) -> None:
        self._on_frames = on_frames
        self._on_gap = on_gap
        self._gap: asyncio.Task[None] | None = None

    def deliver(self, frames: list[Frame]) -> None:
        """Hand over frames. What the receiver fails at is its loss, not the sender's."""
        try:
            self._on_frames(frames)
        except Exception:
            log.exception("frames_receiver_failed", frames=len(frames))

    def gap(self) -> None:
        """Tell of a gap, in the background. A call that still runs for an earlier gap is ended:
        what it has read so far may be older than the new one.
        """
        self.stop()
        self._gap = asyncio.create_task(self._report_gap(), name="frames-gap")

    def stop(self) -> None:
        """End what `gap` began."""
        if self._gap is not None:
            self._gap.cancel()
            self._gap = None

    async def _report_gap(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                await self._on_gap()
                return
            except Unavailable as error:  # an outage, and nothing that a traceback would explain
                log.debug("frames_gap_pending", error=repr(error), retry_seconds=pause)
            except Exception:
                log.exception("frames_gap_failed", retry_seconds=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
