"""Bringing one connection from where its client was to where the node is, stream by stream.

From the moment a client names its cursors, nothing live reaches it on the streams that it is behind
on: first the log's frames, then what came meanwhile, then live again. Always in `seq` order.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sharezync_gateway.realtime.budget import UserTurns
from sharezync_gateway.realtime.connection import Connection
from sharezync_gateway.realtime.hub import CatchingUp, Hub
from sharezync_gateway.realtime.metrics import SocketMetrics
from sharezync_gateway.realtime.protocol import Cursor, FrameId, Reset, Resumed, ResumeOutcome
from sharezync_gateway.realtime.service_calls import Replayed, ServiceCalls, owner_of
from sharezync_gateway.realtime.tracker import Tracker
from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_shared.server import encode_text_frame
from sharezync_shared.streams.frames import Frame

_AT_ONCE: Final = 4
"""Streams of one user that are fetched at the same time, by all of their connections: each may be
4 MiB, three times that on its way through the parser, and is held until the peer has read."""
_ROUNDS: Final = 5
"""How often the log is asked for one stream while too much comes live to be kept."""
_SECONDS: Final = 15.0
"""How long one resume may take. The socket isn't read meanwhile, answers to pings included."""
_PAUSES_SECONDS: Final = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Before an owner that does not answer is asked again; within `_SECONDS` altogether."""
_WRITE_BYTES: Final = 64 * 1024
"""Replayed frames go out in pieces of about this size, each when the peer isn't slow."""


@dataclass(slots=True, eq=False)
class Resumption:
    """A resume under way: what is settled, and what is being fetched."""

    outcomes: dict[str, ResumeOutcome] = field(default_factory=dict)
    behind: dict[str, tuple[Cursor, CatchingUp]] = field(default_factory=dict)


class Resumer:
    """Carries out `resume` and `replay`."""

    def __init__(
        self, hub: Hub, tracker: Tracker, calls: ServiceCalls, metrics: SocketMetrics
    ) -> None:
        self._hub = hub
        self._tracker = tracker
        self._calls = calls
        self._metrics = metrics
        self._turns = UserTurns(_AT_ONCE)

    def begin(self, connection: Connection, cursors: Mapping[str, Cursor]) -> Resumption:
        """Hold back, from now on, every stream on which the client is not where we are.

        The caller owes `finish`, and no second `begin` for this connection before that.
        """
        resumption = Resumption()
        for stream, cursor in cursors.items():
            if stream not in connection.streams:
                is_unknown = owner_of(stream) in connection.missing
                resumption.outcomes[stream] = ResumeOutcome("later" if is_unknown else "gone")
            elif self._continues_from(connection, stream) == cursor:
                resumption.outcomes[stream] = ResumeOutcome("current")
            else:
                resumption.behind[stream] = (cursor, self._hub.buffer_stream(connection, stream))
        return resumption

    async def finish(
        self, connection: Connection, resumption: Resumption, frame_id: FrameId = None
    ) -> None:
        """Send what is behind each cursor, then `resumed`; live frames follow."""
        turns = self._turns.for_user(connection.user_id)

        async def one(stream: str, cursor: Cursor, catching: CatchingUp) -> None:
            # Who doesn't read what came before must not have more of it lie here.
            await connection.wait_writable()
            async with turns:
                await _wait_for_budget(connection)
                resumption.outcomes[stream] = await self._catch_up(
                    connection, stream, cursor, catching
                )

        try:
            async with asyncio.timeout(_SECONDS), asyncio.TaskGroup() as group:
                for stream, (cursor, catching) in resumption.behind.items():
                    group.create_task(one(stream, cursor, catching))
        except TimeoutError:
            for stream, (_, catching) in resumption.behind.items():
                if stream not in resumption.outcomes:
                    resumption.outcomes[stream] = self._reset(connection, stream, catching)
        results = Counter(outcome.result for outcome in resumption.outcomes.values())
        for result, count in results.items():
            self._metrics.resumes(result).inc(count)
        if not connection.closed:
            connection.send(Resumed(resumption.outcomes, frame_id))

    def _continues_from(self, connection: Connection, stream: str) -> Cursor | None:
        """Return the place before the connection's next live frame; None if it gets none yet."""
        position = self._tracker.position(stream)
        catching = self._hub.by_stream[stream].catching_up.get(connection)
        if position is None or catching is None:
            return position
        return None if catching.after is None else (position[0], catching.after)

    async def _catch_up(
        self, connection: Connection, stream: str, cursor: Cursor, catching: CatchingUp
    ) -> ResumeOutcome:
        epoch, seq = cursor
        events = 0
        for _ in range(_ROUNDS):
            replayed = await self._replay(stream, (epoch, seq))
            if replayed is None:
                break
            if replayed.reset:
                self._tracker.expect(stream, (replayed.epoch, replayed.head))
                break
            if not await self._send(connection, replayed.frames):
                return ResumeOutcome("gone")
            events += len(replayed.frames)
            seq = max(seq, replayed.head)
            if not self._is_catching_up(connection, stream, catching):
                return ResumeOutcome("gone")
            if not catching.overflowed:
                last = self._release(connection, stream, (epoch, seq), catching)
                return ResumeOutcome("replayed", events + last)
            catching.restart()  # more came than is kept, or something was lost: the log has it
        return self._reset(connection, stream, catching)

    async def _replay(self, stream: str, cursor: Cursor) -> Replayed | None:
        """Ask the owner what is behind a cursor; None where it doesn't answer for some time.

        An owner that is being started again is worth a wait: refetching would have to wait, too.
        """
        for pause_seconds in (*_PAUSES_SECONDS, None):
            try:
                return await self._calls.replay(stream, cursor)
            except ServiceUnavailable:
                if pause_seconds is not None:
                    await _pause(pause_seconds)
        return None

    async def _send(self, connection: Connection, frames: list[Frame]) -> bool:
        pieces: list[list[bytes]] = [[]]
        size = total_bytes = 0
        for frame in frames:
            if frame.text:
                pieces[-1].append(encode_text_frame(frame.text))
                size += len(frame.text)
                total_bytes += len(frame.text)
            if size > _WRITE_BYTES:
                pieces.append([])
                size = 0
        if connection.user_budget is not None:
            connection.user_budget.replayed.charge(total_bytes)
        for piece in filter(None, pieces):
            if not await connection.wait_writable():
                return False
            connection.send_encoded(b"".join(piece))
        return not connection.closed

    def _release(
        self, connection: Connection, stream: str, reached: Cursor, catching: CatchingUp
    ) -> int:
        """Send what was buffered after `reached`, go live, and return how many frames that were."""
        epoch, seq = reached
        late = [encoded for at, encoded in catching.buffered if at > seq]
        if late:
            seq = catching.buffered[-1][0]
            connection.send_encoded(b"".join(late))
        position = self._tracker.position(stream)
        if not connection.closed:
            up_to_date = position is not None and position[0] == epoch and position[1] >= seq
            self._hub.join(connection, stream, after=None if up_to_date else seq)
        return len(late)

    def _reset(self, connection: Connection, stream: str, catching: CatchingUp) -> ResumeOutcome:
        """Let the client refetch the stream: it goes on from where the node is."""
        position = self._tracker.position(stream)
        if position is None or not self._is_catching_up(connection, stream, catching):
            return ResumeOutcome("gone")
        self._hub.join(connection, stream)
        connection.send(Reset(stream, *position))
        return ResumeOutcome("reset")

    def _is_catching_up(self, connection: Connection, stream: str, catching: CatchingUp) -> bool:
        subscribers = self._hub.by_stream.get(stream)
        return subscribers is not None and subscribers.catching_up.get(connection) is catching


async def _wait_for_budget(connection: Connection) -> None:
    loop, budget = asyncio.get_running_loop(), connection.user_budget
    while budget is not None and (seconds := budget.replayed.debt_seconds(loop.time())) > 0:
        await _pause(seconds)


async def _pause(seconds: float) -> None:
    await asyncio.sleep(seconds)
