"""Who is connected to this node and on which streams, and the writing of one frame to all of them.

Streams come here in order (`tracker`), one frame after the other; each is encoded once, and the
same bytes are written to every socket. Nothing here awaits anything.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from sharezync_gateway.realtime.connection import Connection
from sharezync_gateway.realtime.metrics import SocketMetrics
from sharezync_gateway.realtime.protocol import CloseCode, Cursor, Reset, encode
from sharezync_shared.server import encode_text_frame
from sharezync_shared.streams.frames import Control, Frame, traceparent_of, type_of
from sharezync_shared.tracing.spans import SpanKind, TraceSpan, Tracing, ending

_RUN_BYTES: Final = 64 * 1024
"""Frames of one stream that come together are written together, up to about so much."""
_BUFFER_BYTES: Final = 128 * 1024
"""What is kept of one stream for a connection that is catching up with it."""


@dataclass(slots=True, eq=False)
class CatchingUp:
    """A connection that is on a stream but must not get its next frame yet.

    Either it continues after `after` (the node is still behind that), or it is catching up from
    the log: then frames are kept for it in `buffered`, and `after` is None.
    """

    connection: Connection
    after: int | None
    buffered: list[tuple[int, bytes]] = field(default_factory=list)
    buffered_bytes: int = 0
    overflowed: bool = False
    """Not everything that came is in `buffered`."""

    def buffer(self, seq: int, encoded: bytes) -> None:
        """Keep a frame for later; with too many of them, only the fact that there were some."""
        if self.overflowed or self.buffered_bytes + len(encoded) > _BUFFER_BYTES:
            self.lose()
        else:
            self.buffered.append((seq, encoded))
            self.buffered_bytes += len(encoded)

    def lose(self) -> None:
        """Give up what was kept: the log must be asked again."""
        self.restart()
        self.overflowed = True

    def restart(self) -> None:
        self.buffered = []
        self.buffered_bytes = 0
        self.overflowed = False


@dataclass(slots=True, eq=False)
class Subscribers:
    """The connections of this node that are subscribed to one stream."""

    stream: str
    listeners: set[Connection] = field(default_factory=set)
    catching_up: dict[Connection, CatchingUp] = field(default_factory=dict)
    run: list[bytes] = field(default_factory=list)
    run_bytes: int = 0

    @property
    def empty(self) -> bool:
        return not self.listeners and not self.catching_up


class Hub:
    """The connections of this node by stream, by user and by session."""

    def __init__(
        self,
        metrics: SocketMetrics,
        on_empty: Callable[[str], None],
        on_left: Callable[[str, Collection[str]], None],
        tracing: Tracing | None = None,
    ) -> None:
        """`on_empty` is called with each stream that has no subscriber here any more.

        `on_left` with a stream and the users who left it, unless it has no subscriber here.
        """
        self.users: dict[str, set[Connection]] = {}
        self.sessions: dict[str, set[Connection]] = {}
        self.by_stream: dict[str, Subscribers] = {}
        self.connections: set[Connection] = set()
        self._metrics = metrics
        self._tracing = tracing or Tracing()
        self._on_empty = on_empty
        self._on_left = on_left

    # --- connections ---------------------------------------------------------------------------

    def add(self, connection: Connection) -> None:
        """Take in a connection whose user is known; it is on no stream yet."""
        self.connections.add(connection)
        self.users.setdefault(connection.user_id, set()).add(connection)
        self.add_session(connection)

    def add_session(self, connection: Connection) -> None:
        """Know the connection by its present session."""
        self.sessions.setdefault(connection.session_id, set()).add(connection)

    def remove_session(self, connection: Connection) -> None:
        """Know the connection by its session no more; the caller owes `add_session`."""
        _discard(self.sessions, connection.session_id, connection)

    def remove(self, connection: Connection) -> None:
        """Forget a connection, everywhere. Safe to repeat."""
        if connection not in self.connections:
            return
        self.connections.remove(connection)
        _discard(self.users, connection.user_id, connection)
        self.remove_session(connection)
        for stream in list(connection.streams):
            self.leave(connection, stream)

    def of_user(self, user_id: str) -> tuple[Connection, ...]:
        return tuple(self.users.get(user_id, ()))

    # --- streams -------------------------------------------------------------------------------

    def join(self, connection: Connection, stream: str, *, after: int | None = None) -> None:
        """Put a connection on a stream: from the next frame on, or from that behind `after`."""
        subscribers = self.by_stream.get(stream)
        if subscribers is None:
            subscribers = self.by_stream[stream] = Subscribers(stream)
        connection.streams.add(stream)
        subscribers.catching_up.pop(connection, None)
        if after is None:
            subscribers.listeners.add(connection)
        else:
            subscribers.listeners.discard(connection)
            subscribers.catching_up[connection] = CatchingUp(connection, after)

    def buffer_stream(self, connection: Connection, stream: str) -> CatchingUp:
        """Keep a connection's frames of a stream that it is on, until it is joined again."""
        subscribers = self.by_stream[stream]
        subscribers.listeners.discard(connection)
        catching = subscribers.catching_up[connection] = CatchingUp(connection, None)
        return catching

    def leave(self, connection: Connection, stream: str) -> None:
        """Take a connection off a stream. Safe to repeat."""
        connection.streams.discard(stream)
        subscribers = self.by_stream.get(stream)
        if subscribers is None:
            return
        subscribers.listeners.discard(connection)
        subscribers.catching_up.pop(connection, None)
        if subscribers.empty:
            self._remove(subscribers)

    # --- frames --------------------------------------------------------------------------------

    def deliver(self, frames: Sequence[Frame]) -> None:
        """Write frames, each stream's in the order given, to everybody who is on it."""
        if self._tracing.recorder is None:
            self._deliver(frames)
            return
        with ending(self._spans(frames)):
            self._deliver(frames)

    def _spans(self, frames: Sequence[Frame]) -> list[TraceSpan]:
        """Return the spans of delivering those frames that are of traces, begun."""
        spans = []
        for frame in frames:
            subscribers = self.by_stream.get(frame.stream)
            if subscribers is not None and (traceparent := traceparent_of(frame.text)):
                attributes: dict[str, str | int] = {
                    "messaging.operation.type": "process",
                    "messaging.operation.name": "deliver",
                    "messaging.destination.name": frame.stream.partition(":")[0],
                    "sharezync.connections": len(subscribers.listeners),
                }
                name = f"deliver {type_of(frame.text)}"
                spans.append(self._tracing.start(traceparent, name, SpanKind.CONSUMER, attributes))
        return spans

    def _deliver(self, frames: Sequence[Frame]) -> None:
        runs: list[Subscribers] = []
        for frame in frames:
            subscribers = self.by_stream.get(frame.stream)
            if subscribers is None:
                if frame.control is None or not frame.control.join:
                    continue
                subscribers = self.by_stream[frame.stream] = Subscribers(frame.stream)
            if frame.control is not None or frame.seq == 0 or subscribers.catching_up:
                self._write_run(subscribers)
                self._step(subscribers, frame)
            elif frame.text:
                if not subscribers.run:
                    runs.append(subscribers)
                subscribers.run.append(encode_text_frame(frame.text))
                subscribers.run_bytes += len(frame.text)
                if subscribers.run_bytes > _RUN_BYTES:
                    self._write_run(subscribers)
        for subscribers in runs:
            self._write_run(subscribers)

    def reset(self, stream: str, position: Cursor) -> None:
        """Send a `reset` to everybody on a stream: it goes on after `position`."""
        subscribers = self.by_stream.get(stream)
        if subscribers is None:
            return
        epoch, seq = position
        for catching in list(subscribers.catching_up.values()):
            if catching.after is None:
                catching.lose()
            else:
                self.join(catching.connection, stream)
        self._write(subscribers, encode_text_frame(encode(Reset(stream, epoch, seq))), 1)

    def _step(self, subscribers: Subscribers, frame: Frame) -> None:
        """Write a frame with a control, a signal, or one while somebody is catching up."""
        control = frame.control
        if control is not None and control.join and frame.seq:
            self._let_in(subscribers, control.join, frame)
        encoded = encode_text_frame(frame.text) if frame.text else b""
        if frame.seq == 0:
            self._write_signal(subscribers, encoded)
        else:
            if encoded:
                self._write(subscribers, encoded, 1)
            self._write_to_catching_up(subscribers, frame.seq, encoded)
        if control is not None and (control.leave or control.end):
            self._let_out(subscribers, control, frame)
        if subscribers.empty:
            self._remove(subscribers)

    def _write_run(self, subscribers: Subscribers) -> None:
        if subscribers.run:
            run, subscribers.run, subscribers.run_bytes = subscribers.run, [], 0
            self._write(subscribers, run[0] if len(run) == 1 else b"".join(run), len(run))

    def _write(self, subscribers: Subscribers, encoded: bytes, frames: int) -> None:
        """Write to all listeners. The second line is where the time goes; keep it bare."""
        count = len(subscribers.listeners)
        slow = [connection for connection in subscribers.listeners if not connection.write(encoded)]
        lost = sum(not connection.send_encoded(encoded) for connection in slow)
        self._count(count, lost, frames, "too_slow")
        self._metrics.delivered_after(encoded, (count - lost) * frames)

    def _write_signal(self, subscribers: Subscribers, encoded: bytes) -> None:
        count = len(subscribers.listeners)
        slow = [connection for connection in subscribers.listeners if not connection.write(encoded)]
        lost = sum(not connection.write_signal(encoded) for connection in slow)
        self._count(count, lost, 1, "signal")

    def _count(self, to: int, lost: int, frames: int, reason: str) -> None:
        self._metrics.written((to - lost) * frames, lost * frames, reason)

    def _write_to_catching_up(self, subscribers: Subscribers, seq: int, encoded: bytes) -> None:
        for catching in list(subscribers.catching_up.values()):
            if catching.after is None:
                catching.buffer(seq, encoded)
            elif seq >= catching.after:
                self.join(catching.connection, subscribers.stream)
                if seq > catching.after:
                    catching.connection.send_encoded(encoded)

    def _let_in(self, subscribers: Subscribers, users: Iterable[str], frame: Frame) -> None:
        for user_id in users:
            for connection in self.users.get(user_id, ()):
                if (
                    connection.follows(subscribers.stream)
                    and subscribers.stream not in connection.streams
                ):
                    self.join(connection, subscribers.stream)
                    if connection.notes is not None:
                        connection.notes.joined[subscribers.stream] = (frame.epoch, frame.seq - 1)

    def _let_out(self, subscribers: Subscribers, control: Control, frame: Frame) -> None:
        if control.end:
            leaving = [*subscribers.listeners, *subscribers.catching_up]
        else:
            leaving = [c for user_id in control.leave for c in self.of_user(user_id)]
        for connection in leaving:
            self.take_off(connection, subscribers.stream)
            if connection.notes is not None:
                connection.notes.joined.pop(subscribers.stream, None)
                connection.notes.left[subscribers.stream] = (frame.epoch, frame.seq)
        self._on_left(
            subscribers.stream, {c.user_id for c in leaving} if control.end else control.leave
        )

    def take_off(self, connection: Connection, stream: str) -> None:
        """Take a connection off a stream that its user may not follow any more."""
        if stream in connection.streams:
            self.leave(connection, stream)
            if connection.channel == stream:
                connection.close(CloseCode.NOT_ON_CHANNEL, "not on this channel any more")

    def _remove(self, subscribers: Subscribers) -> None:
        if self.by_stream.pop(subscribers.stream, None) is not None:
            self._on_empty(subscribers.stream)


def _discard(index: dict[str, set[Connection]], key: str, connection: Connection) -> None:
    members = index.get(key)
    if members is not None:
        members.discard(connection)
        if not members:
            del index[key]
