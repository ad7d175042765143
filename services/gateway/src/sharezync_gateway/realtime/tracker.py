"""Where this node stands in each stream that somebody here is on.

Frames come in any order, twice, or not at all. They leave in `seq` order and once: an early one
waits a moment for its predecessor, and then the hole is fetched from the service that owns the
stream, which has every frame in its log before it is sent.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import structlog

from sharezync_gateway.realtime.protocol import Cursor
from sharezync_gateway.realtime.service_calls import Replayed
from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_shared.streams.frames import Frame

log = structlog.get_logger()

PATIENCE_SECONDS: Final = 0.1
"""How long an early frame waits for its predecessor before the hole is fetched."""
_RETRY_SECONDS: Final = (0.1, 0.5, 2.0, 5.0)
"""Pauses between attempts to fetch a hole while the owner is away; the last one repeats."""
_MAX_EARLY: Final = 1000
"""Early frames kept for one stream. Those beyond are fetched from the log again."""


REMEMBER_SECONDS: Final = 15.0
"""At least this long: longer than any answer that says where a stream stands may take."""


class TimerHandle(Protocol):
    def cancel(self) -> None: ...


class StreamSink(Protocol):
    """What the tracker works for: somewhere to bring frames, and someone to ask for lost ones."""

    def deliver(self, frames: Sequence[Frame]) -> None:
        """Take the next frames of one or more streams, each stream's in order."""
        ...

    def wanted(self, frame: Frame) -> bool:
        """Whether a frame of a stream that isn't tracked puts somebody here on that stream."""
        ...

    async def replay(self, stream: str, cursor: Cursor) -> Replayed:
        """Ask the owner for everything after `cursor`. Raises ServiceUnavailable."""
        ...

    async def reset(self, stream: str, position: Cursor) -> None:
        """Frames were lost for good: let nobody stay who may not, and have the others refetch.

        Nothing of the stream is delivered meanwhile. Raises ServiceUnavailable; it is repeated.
        """
        ...


class RecentOffsets:
    """The latest frame seen of each stream that wasn't tracked, or is no longer.

    Between an owner's saying where a stream stands and the tracking of it, frames pass by. This is
    what makes them noticed. Bounded by the streams that were active or left within two periods.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._new: dict[str, Cursor] = {}
        self._old: dict[str, Cursor] = {}
        self._turn_at = clock() + REMEMBER_SECONDS

    def note(self, stream: str, position: Cursor) -> None:
        self._turn()
        before = self._new.get(stream)
        if before is None or before[0] != position[0] or before[1] < position[1]:
            self._new[stream] = position

    def latest(self, stream: str) -> Cursor | None:
        """Return the furthest position seen lately, if any."""
        self._turn()
        return self._new.get(stream) or self._old.get(stream)

    def _turn(self) -> None:
        now = self._clock()
        if now >= self._turn_at:
            stale = now >= self._turn_at + REMEMBER_SECONDS
            self._old, self._new = ({} if stale else self._new), {}
            self._turn_at = now + REMEMBER_SECONDS


@dataclass(slots=True, eq=False)
class TrackedStream:
    """One stream's place and what is waiting for it."""

    stream: str
    epoch: str
    seq: int
    known_head: int
    """The owner has said that there is this much."""
    early: dict[int, Frame] = field(default_factory=dict)
    timer: TimerHandle | None = None
    healing: asyncio.Task[None] | None = None
    again: bool = False
    """Something came up during healing that it may have missed."""
    frozen: bool = False
    """A reset is under way: deliver nothing."""

    @property
    def behind(self) -> bool:
        return bool(self.early) or self.known_head > self.seq

    @property
    def furthest(self) -> int:
        return max(self.seq, self.known_head, *self.early)


class Tracker:
    """All streams of this node. `handle_frames` and what it calls never wait."""

    def __init__(
        self,
        streams: StreamSink,
        *,
        call_later: Callable[[float, Callable[[], None]], TimerHandle],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._streams = streams
        self._call_later = call_later
        self._sleep = sleep
        self._tracks: dict[str, TrackedStream] = {}
        self._sightings = RecentOffsets()

    def position(self, stream: str) -> Cursor | None:
        """Return the last frame of `stream` that was delivered here; None if it isn't tracked."""
        track = self._tracks.get(stream)
        return None if track is None else (track.epoch, track.seq)

    def streams(self) -> list[str]:
        """Return the names of all streams that are tracked."""
        return list(self._tracks)

    def track(self, stream: str, position: Cursor) -> None:
        """Begin after `position`, where the owner stands or stood a moment ago.

        Frames that passed unnoticed since then are fetched. No effect on a tracked stream.
        """
        if stream in self._tracks:
            return
        epoch, seq = position
        self._tracks[stream] = TrackedStream(stream, epoch, seq, seq)
        seen = self._sightings.latest(stream)
        if seen is not None:
            self.expect(stream, seen)

    def drop_stream(self, stream: str) -> None:
        """Nobody is on the stream any more; who comes a moment later misses nothing for that."""
        track = self._tracks.pop(stream, None)
        if track is not None:
            self._stop(track)
            self._sightings.note(stream, (track.epoch, track.furthest))

    def expect(self, stream: str, head: Cursor) -> None:
        """Note that the stream reaches to `head`: if we don't get there shortly, fetch it."""
        track = self._tracks.get(stream)
        if track is None:
            return
        epoch, seq = head
        if epoch != track.epoch:
            self._heal(track)
        elif seq > track.seq:
            self._reaches(track, seq)

    def is_of_another_epoch(self, is_owned: Callable[[str], bool], epoch: str) -> bool:
        """Whether a stream of these is followed here in another epoch than this."""
        return any(
            track.epoch != epoch for stream, track in self._tracks.items() if is_owned(stream)
        )

    async def catch_up(self, stream: str) -> None:
        """Ask the owner now for what may have been lost, and return when it was delivered."""
        track = self._tracks.get(stream)
        if track is not None:
            await asyncio.wait({self._heal(track)})

    def handle_frames(self, frames: Sequence[Frame]) -> None:
        """Take frames as the bus brings them; deliver those whose turn it is."""
        due: list[Frame] = []
        for frame in frames:
            track = self._tracks.get(frame.stream)
            if track is None:
                track = self._first_frame(frame)
                if track is None:
                    continue
            if frame.seq == track.seq + 1 and frame.epoch == track.epoch and not track.frozen:
                track.seq = frame.seq
                due.append(frame)
                if track.early:
                    self._release_early(track, due)
            elif frame.seq == 0:
                due.append(frame)
            else:
                self._out_of_turn(track, frame)
        if due:
            self._streams.deliver(due)

    async def aclose(self) -> None:
        healing = [t.healing for t in self._tracks.values() if t.healing is not None]
        for track in self._tracks.values():
            self._stop(track)
        self._tracks.clear()
        await asyncio.gather(*healing, return_exceptions=True)

    def _first_frame(self, frame: Frame) -> TrackedStream | None:
        """Return the new track that begins with this frame, if it brings somebody here in."""
        if frame.control is not None and self._streams.wanted(frame):
            self.track(frame.stream, (frame.epoch, frame.seq - 1))
            return self._tracks[frame.stream]
        if frame.seq:
            self._sightings.note(frame.stream, (frame.epoch, frame.seq))
        return None

    def _out_of_turn(self, track: TrackedStream, frame: Frame) -> None:
        if frame.epoch != track.epoch:
            self._heal(track)  # asks the owner which of the two epochs is the present one
        elif frame.seq > track.seq:
            if len(track.early) < _MAX_EARLY:
                track.early[frame.seq] = frame
                self._watch(track)
            else:
                self._reaches(track, frame.seq)

    def _reaches(self, track: TrackedStream, seq: int) -> None:
        track.known_head = max(track.known_head, seq)
        track.again = True
        self._watch(track)

    def _release_early(self, track: TrackedStream, due: list[Frame]) -> None:
        while (frame := track.early.pop(track.seq + 1, None)) is not None:
            track.seq = frame.seq
            due.append(frame)
        if not track.behind and track.timer is not None:
            track.timer.cancel()
            track.timer = None

    # --- holes ---------------------------------------------------------------------------------

    def _watch(self, track: TrackedStream) -> None:
        if track.timer is None and track.healing is None:
            track.timer = self._call_later(PATIENCE_SECONDS, lambda: self._overdue(track))

    def _overdue(self, track: TrackedStream) -> None:
        track.timer = None
        if track.behind:
            self._heal(track)

    def _heal(self, track: TrackedStream) -> asyncio.Task[None]:
        if track.healing is None:
            track.healing = asyncio.create_task(self._fetch(track), name="heal")
        else:
            track.again = True
        return track.healing

    async def _fetch(self, track: TrackedStream) -> None:
        """Fetch until the owner has nothing more that we lack, or the stream is left."""
        failures = stuck = 0
        try:
            while self._tracks.get(track.stream) is track:
                before, track.again = track.seq, False
                try:
                    await self._fetch_once(track)
                except ServiceUnavailable as error:
                    log.debug("gap_not_fetched", owner=error.service, failures=failures + 1)
                    await self._sleep(_RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)])
                    failures += 1
                    continue
                if not track.again and not track.behind:
                    return
                failures = 0
                stuck = 0 if track.seq > before else stuck + 1
                if stuck > 3:
                    # Frames came that the owner itself knows nothing of; they were never true.
                    log.error("frames_unknown_to_owner", stream=track.stream, seq=track.seq)
                    track.early.clear()
                    track.known_head = track.seq
                elif stuck:
                    await self._sleep(PATIENCE_SECONDS)
        finally:
            track.healing = None

    async def _fetch_once(self, track: TrackedStream) -> None:
        replayed = await self._streams.replay(track.stream, (track.epoch, track.seq))
        if replayed.reset:
            # What lies between is lost to us, and who was let in or out by it is unknown.
            track.frozen = True
            try:
                await self._streams.reset(track.stream, (replayed.epoch, replayed.head))
            finally:
                track.frozen = False
            if track.epoch != replayed.epoch:
                track.early.clear()
            track.epoch, track.seq = replayed.epoch, replayed.head
        due: list[Frame] = []
        for frame in replayed.frames:
            if frame.seq == track.seq + 1:
                track.seq = frame.seq
                due.append(frame)
        if not track.again:
            # The owner has sent everything up to its head: more than that isn't to come.
            track.known_head = track.seq
        self._release_early(track, due)
        track.early = {seq: frame for seq, frame in track.early.items() if seq > track.seq}
        if due:
            self._streams.deliver(due)

    def _stop(self, track: TrackedStream) -> None:
        if track.timer is not None:
            track.timer.cancel()
            track.timer = None
        if track.healing is not None and track.healing is not asyncio.current_task():
            track.healing.cancel()
