"""Answers that nobody reads: who takes nothing, or next to nothing, is cut off.

What a peer has taken is asked from the kernel (TCP_INFO of Linux), so that it counts the same
whether an answer is still written, lies in a buffer of ours, or is all the kernel's. On other
systems what our own buffer holds is looked at.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from operator import itemgetter
from typing import Final, Protocol

from sharezync_shared.server import tcp
from sharezync_shared.server.settings import ServerSettings

UNSENT_BYTES: Final = 256 * 1024
"""How much the kernel takes for a peer beyond what is on its way: enough to be busy with until we
are asked for more. Without a bound it takes up to 4 MiB from each, for who reads nothing at all."""
PACE_SECONDS: Final = 60.0
"""Over how long a reader's pace is measured."""
IDLE_SECONDS: Final = 2.0
"""Who has taken nothing for so long counts as stalled where all those together hold too much."""

_USER_TIMEOUT_SHARE: Final = 2  # of the time that we wait ourselves: the kernel's comes last
_TCP_NOTSENT_LOWAT: Final = 25  # of Linux; the module socket has no name for it before 3.12
_UNACKED, _BYTES_ACKED, _NOTSENT, _BYTES_SENT = 24, 120, 144, 200  # in struct tcp_info


class WatchedConnection(Protocol):
    """What is watched."""

    transport: asyncio.Transport

    @property
    def is_answering(self) -> bool:
        """Whether there will be more to read than what is written."""
        ...

    @property
    def is_half_closed(self) -> bool:
        """Whether the peer says no more, so that nothing but its reading shows it is there."""
        ...

    @property
    def is_waiting(self) -> bool:
        """Whether a request was read whose answer has not begun: other bounds hold until then."""
        ...

    def has_left(self) -> bool:
        """Whether the peer has gone before its request came whole, of which nobody reads."""
        ...


@dataclass(frozen=True, slots=True)
class _Seen:
    """What can be known of a peer."""

    taken_bytes: int
    """From some beginning."""
    has_all: bool
    waiting_bytes: int
    """What we and the kernel hold for it."""
    is_half_closed: bool = False
    """Also where nobody read so far that its end would have been noticed."""
    is_gone: bool = False


@dataclass(slots=True)
class _Reader:
    taken_bytes: int
    at: float
    """When it was last seen to take something."""
    pace_bytes: int
    pace_at: float
    """Since when its pace is measured, and what it had taken then."""
    waiting_bytes: int


class OutgoingWatch:
    """Looks after the connections of one server to which something is written."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._readers: dict[WatchedConnection, _Reader | None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: WatchedConnection) -> None:
        """Watch this one until all is taken that is written to it, or it is discarded."""
        self._readers.setdefault(connection, None)
        if self._timer is None:
            self._schedule()

    def discard(self, connection: WatchedConnection) -> None:
        """Forget it: it is closed."""
        self._readers.pop(connection, None)

    def _schedule(self) -> None:
        shortest = min(self._settings.stall_seconds, self._settings.half_closed_pause_seconds)
        self._timer = asyncio.get_running_loop().call_later(min(1.0, shortest / 4), self._look)

    def _look(self) -> None:
        self._timer = None  # first: whatever happens here, the next answer begins a watch again
        now = asyncio.get_running_loop().time()
        for connection, reader in list(self._readers.items()):
            self._look_at(connection, reader, now)
        self._bound_stalled(now)
        if self._readers and self._timer is None:
            self._schedule()

    def _look_at(self, connection: WatchedConnection, reader: _Reader | None, now: float) -> None:
        settings, seen = self._settings, _look_at(connection.transport)
        taken = seen.taken_bytes
        is_half_closed = connection.is_half_closed or seen.is_half_closed
        pauses = is_half_closed and not connection.is_waiting
        may_have_left = seen.is_half_closed and reader is not None
        if seen.is_gone or (may_have_left and connection.has_left()):
            # Nobody reads any more from who has closed its half, so nothing else would show it.
            reset(connection.transport)
        elif seen.has_all and not connection.is_answering:
            del self._readers[connection]
        elif reader is None or (seen.has_all and not pauses):
            self._readers[connection] = _Reader(taken, now, taken, now, seen.waiting_bytes)
        elif taken == reader.taken_bytes:
            reader.waiting_bytes = seen.waiting_bytes
            pauses = pauses and seen.has_all
            limit = settings.half_closed_pause_seconds if pauses else settings.stall_seconds
            if now - reader.at >= limit:
                reset(connection.transport)
        else:
            reader.taken_bytes, reader.at, reader.waiting_bytes = taken, now, seen.waiting_bytes
            if now - reader.pace_at >= PACE_SECONDS:
                due = settings.min_bytes_per_second * (now - reader.pace_at)
                if taken - reader.pace_bytes < due:
                    reset(connection.transport)
                reader.pace_bytes, reader.pace_at = taken, now

    def _bound_stalled(self, now: float) -> None:
        """Reset those who have taken nothing for longest, while all such hold too much together.

        Each alone may wait as long as a phone in a tunnel does: hundreds of them are an attack.
        """
        stalled = sorted(
            (
                (reader.at, reader.waiting_bytes, connection)
                for connection, reader in self._readers.items()
                if reader is not None and reader.waiting_bytes and now - reader.at >= IDLE_SECONDS
            ),
            key=itemgetter(0),
        )
        stalled_bytes = sum(waiting_bytes for _, waiting_bytes, _ in stalled)
        for _, waiting_bytes, connection in stalled:
            if stalled_bytes <= self._settings.max_stalled_bytes:
                return
            stalled_bytes -= waiting_bytes
            reset(connection.transport)


def bound_kernel(listeners: Iterable[socket.socket]) -> None:
    """Bound what the kernel holds for a peer, for all who will connect to these."""
    if not tcp.IS_LINUX:
        return
    for listener in listeners:
        with contextlib.suppress(OSError):  # not TCP
            listener.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, UNSENT_BYTES)


def bound_leftovers(transport: asyncio.Transport, stall_seconds: float) -> None:
    """Bound how long the kernel keeps what is still to be taken of a connection that we close now.

    Never earlier: while less is taken at a time than the kernel's next segment holds, its time runs
    on, and it would end the download of whoever reads slowly but steadily.
    """
    if not tcp.IS_LINUX:
        return
    milliseconds = round(1000 * stall_seconds * _USER_TIMEOUT_SHARE)
    with contextlib.suppress(*tcp.CLOSED):
        transport.get_extra_info("socket").setsockopt(
            socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds
        )


def reset(transport: asyncio.Transport) -> None:
    """Drop a connection at once, with what the kernel holds of it."""
    with contextlib.suppress(*tcp.CLOSED):
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
    transport.abort()


def _look_at(transport: asyncio.Transport) -> _Seen:
    buffered = transport.get_write_buffer_size()
    info = tcp.tcp_info(transport)
    if info is None:
        return _Seen(-buffered, not buffered, buffered)
    (acked,) = struct.unpack_from("Q", info, _BYTES_ACKED)
    (unacked,) = struct.unpack_from("I", info, _UNACKED)
    (unsent,) = struct.unpack_from("I", info, _NOTSENT)
    sent, retransmitted = struct.unpack_from("QQ", info, _BYTES_SENT)
    return _Seen(
        acked,
        not (buffered or unacked or unsent),
        buffered + unsent + max(0, sent - retransmitted - acked),
        is_half_closed=tcp.is_half_closed(info),
        is_gone=tcp.is_reset(info),
    )
