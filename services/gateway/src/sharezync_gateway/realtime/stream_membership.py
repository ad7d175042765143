"""Which connection is on which stream, and from which frame on: at first, after a gap or a reset.

The services know; frames with a `join` or `leave` bring it in stream order. What is here is for the
moments when there is no such frame to go by.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import structlog

from sharezync_gateway.realtime.connection import Connection, StreamChanges
from sharezync_gateway.realtime.hub import Hub
from sharezync_gateway.realtime.protocol import Cursor, Reset
from sharezync_gateway.realtime.revoking import Revoker
from sharezync_gateway.realtime.service_calls import (
    OWNERS,
    Replayed,
    ServiceCalls,
    UserHeads,
    owner_of,
)
from sharezync_gateway.realtime.tracker import Tracker
from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_shared.streams.frames import Frame

log = structlog.get_logger()


class StreamMembership:
    """Puts connections on streams and takes them off; also what the tracker works for."""

    def __init__(self, hub: Hub, calls: ServiceCalls, revoker: Revoker) -> None:
        self._hub = hub
        self._calls = calls
        self._revoker = revoker
        self.tracker = Tracker(self, call_later=_call_later)

    # --- for the tracker (`tracker.StreamSink`) ---------------------------------------------------

    def deliver(self, frames: Sequence[Frame]) -> None:
        self._hub.deliver(frames)
        self._revoker.handle_frames(frames)
        for frame in frames:
            if frame.control is not None and frame.control.added:
                self._expect_joins(frame.stream, frame.control.added)

    def wanted(self, frame: Frame) -> bool:
        return (
            frame.seq > 0
            and frame.control is not None
            and any(
                connection.follows(frame.stream)
                for user_id in frame.control.join
                for connection in self._hub.of_user(user_id)
            )
        )

    def _expect_joins(self, inbox: str, added: Mapping[str, Cursor]) -> None:
        """See to it that frames come by which the user of an inbox is let in to streams.

        Where nobody here is on such a stream yet, nothing else would show that one was lost.
        """
        connections = self._hub.of_user(inbox.partition(":")[2])
        for stream, (epoch, seq) in added.items():
            if any(connection.follows(stream) for connection in connections):
                self.tracker.track(stream, (epoch, seq - 1))
                self.tracker.expect(stream, (epoch, seq))

    async def replay(self, stream: str, cursor: Cursor) -> Replayed:
        return await self._calls.replay(stream, cursor)

    async def reset(self, stream: str, position: Cursor) -> None:
        """Take off who isn't on the stream any more, and have the others refetch it.

        Raises ServiceUnavailable if the owner can't say who is on it: nothing was sent.
        """
        subscribers = self._hub.by_stream.get(stream)
        if subscribers is None:  # the frame that was to let somebody in is gone
            self.tracker.drop_stream(stream)
            return
        members = [*subscribers.listeners, *subscribers.catching_up]
        for user_id in {connection.user_id for connection in members}:
            if not await self._is_on(user_id, stream):
                for connection in self._hub.of_user(user_id):
                    self._hub.take_off(connection, stream)
        self._hub.reset(stream, position)

    async def _is_on(self, user_id: str, stream: str) -> bool:
        owner = owner_of(stream)
        if owner is None:
            return False
        heads = await self._calls.heads(user_id, (owner,))
        if heads.missing:
            raise ServiceUnavailable(owner, "does not say who is on its streams")
        return stream in heads.streams

    # --- for connections -----------------------------------------------------------------------

    async def heads_for(self, connection: Connection) -> UserHeads:
        """Return where the streams stand that this connection follows."""
        if connection.channel is None:
            return await self._calls.heads(connection.user_id)
        owner = owner_of(connection.channel)
        heads = await self._calls.heads(connection.user_id, () if owner is None else (owner,))
        only = {s: head for s, head in heads.streams.items() if connection.follows(s)}
        return UserHeads(only, heads.missing)

    def subscribe_all(
        self, connection: Connection, heads: UserHeads, notes: StreamChanges
    ) -> dict[str, Cursor]:
        """Put a new connection on its streams; return what it continues from on each.

        What the hub noted while `heads` were on their way counts too, in stream order.
        """
        shown = dict(notes.joined)
        for stream, head in heads.streams.items():
            if stream not in shown and not notes.is_over(stream, head):
                shown[stream] = self.subscribe(connection, stream, head)
        return shown

    def subscribe(self, connection: Connection, stream: str, head: Cursor) -> Cursor:
        """Put a connection on a stream that stands at `head`; return what it continues from.

        That is `head`, or further on if this node has delivered more already. Every later frame
        reaches the connection, none before.
        """
        here = self.tracker.position(stream)
        if here is None:
            self._hub.join(connection, stream)
            self.tracker.track(stream, head)
            return head
        if here[0] == head[0] and here[1] >= head[1]:
            self._hub.join(connection, stream)
            return here
        self._hub.join(connection, stream, after=head[1])
        self.tracker.expect(stream, head)
        return head

    # --- when something may have been missed ---------------------------------------------------

    async def recheck(self, user_id: str) -> frozenset[str]:
        """Make sure that the user's connections are on the right streams, and those up to date.

        Returns the services that could not be asked. Nobody is taken off a stream merely because
        an answer is older than a join.
        """
        connections = [c for c in self._hub.of_user(user_id) if c.notes is None]
        before = {stream for connection in connections for stream in connection.streams}
        for connection in connections:
            connection.notes = StreamChanges()
        try:
            heads = await self._calls.heads(user_id)
            for connection in connections:
                if not connection.closed:
                    self._add_missing(connection, heads)
                    connection.missing &= heads.missing
        finally:
            for connection in connections:
                connection.notes = None
        doubtful = before - heads.streams.keys()
        doubtful = {stream for stream in doubtful if owner_of(stream) not in heads.missing}
        if doubtful:
            await self._take_off_doubtful(user_id, doubtful)
        return heads.missing

    def _add_missing(self, connection: Connection, heads: UserHeads) -> None:
        notes = connection.notes or StreamChanges()
        for stream, head in heads.streams.items():
            if stream in connection.streams:
                self.tracker.expect(stream, head)
            elif connection.follows(stream) and not notes.is_over(stream, head):
                epoch, seq = self.subscribe(connection, stream, head)
                connection.send(Reset(stream, epoch, seq))

    async def _take_off_doubtful(self, user_id: str, doubtful: set[str]) -> None:
        """The log has the frame by which the user left; only where it is gone, do without."""
        async with asyncio.timeout(10):
            for stream in doubtful:
                await self.tracker.catch_up(stream)
        still = {s for c in self._hub.of_user(user_id) for s in c.streams & doubtful}
        if not still:
            return
        heads = await self._calls.heads(user_id, OWNERS)
        for stream in still - heads.streams.keys():
            if owner_of(stream) in heads.missing:
                continue
            log.warning("membership_ended_without_frame", stream=stream)
            for connection in self._hub.of_user(user_id):
                self._hub.take_off(connection, stream)


def _call_later(seconds: float, call: Callable[[], None]) -> asyncio.TimerHandle:
    return asyncio.get_running_loop().call_later(seconds, call)
