"""`subscribe`, `unsubscribe` and `typing`: what clients want to know of others, and let them know.

All of what is behind them is put together here; the engine knows this one.
"""

import time
from collections.abc import Collection, Mapping
from typing import Final

from sharezync_gateway.errors import PresenceOff, TooManySubscriptions, TypingOff
from sharezync_gateway.realtime.connection import Connection
from sharezync_gateway.realtime.handlers import Handler
from sharezync_gateway.realtime.interest import MOST_INTERESTS
from sharezync_gateway.realtime.presence import STREAM as PRESENCE
from sharezync_gateway.realtime.presence import PresenceTracker
from sharezync_gateway.realtime.protocol import (
    FrameHead,
    Interested,
    Subscribe,
    Subscribed,
    Typing,
    Unsubscribed,
    read_body,
)
from sharezync_gateway.realtime.service_calls import owner_of
from sharezync_gateway.realtime.signals import SharingContext
from sharezync_gateway.realtime.typists import STREAM as TYPING
from sharezync_gateway.realtime.typists import Typists
from sharezync_gateway.realtime.visibility import Viewers, Visibility
from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_shared.problems import NotFound, Unavailable
from sharezync_shared.streams.frames import Control, Frame

_USERS_FOR_A_COMMAND: Final = 20
"""Users asked about for the price of one command: chat and auth are asked about each."""


class Subscriptions:
    """Presence and typing on this node; the handlers by frame type are in `table`."""

    def __init__(self, context: SharingContext) -> None:
        self._context = context
        self.interests = context.interests
        self._presence = PresenceTracker(context)
        self._visibility = Visibility(context, on_change=self._presence.refresh)
        self._viewers = Viewers(context.calls, time.monotonic)
        self._typists = Typists(context, self._viewers)
        self.table: Mapping[str, Handler] = {
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "typing": self._typing,
        }

    def start(self) -> None:
        if self._context.limits.presence:
            self._presence.start()

    async def aclose(self) -> None:
        await self._presence.aclose()
        await self._typists.aclose()
        await self._visibility.aclose()
        await self._context.signals.aclose()

    # --- for the engine ------------------------------------------------------------------------

    def handle_signal(self, signal: Frame) -> None:
        """Take a signal from the bus; all but other nodes' own are passed over."""
        kind, _, about = signal.stream.partition(":")
        if kind == PRESENCE:
            self._presence.handle_broadcast(about, signal.text)
        elif kind == TYPING:
            channel_id, _, user_id = about.partition(":")
            self._typists.handle_broadcast(channel_id, user_id, signal.text)

    def say_presence(self, user_id: str, online: bool) -> None:  # noqa: FBT001 - what is said
        """Send all nodes that a user's first device came here, or the last one went."""
        if self._context.limits.presence:
            self._presence.broadcast(user_id, online)

    def has_left(self, stream: str, user_ids: Collection[str]) -> None:
        """Users left a stream: nobody's typing concerns them there; see who may still see whom."""
        channels = [stream.removeprefix("channel:")]
        for user_id in user_ids:
            for connection in self._context.hub.of_user(user_id):
                self.interests.drop(connection, channels=channels)
        self._visibility.has_left(user_ids)

    def handle_leaving(self, control: Control) -> None:
        """See who may still see whom after a frame that takes users off a stream, or says to.

        At once, as soon as it has come and also where nobody here is on the stream: those who are
        leave it in its order (`has_left`).
        """
        if control.leave:
            self._visibility.has_left(control.leave)
        if control.end:
            self._visibility.has_ended()
        if control.recheck:
            self._viewers.invalidate(control.recheck)
            self._visibility.has_left(control.recheck)

    def check_soon(self, user_id: str) -> None:
        self._visibility.check_soon(user_id)

    # --- for clients ---------------------------------------------------------------------------

    async def _subscribe(self, connection: Connection, head: FrameHead, text: str) -> None:
        frame = read_body(text, Subscribe, head.id)
        users, channels = _ids(frame)
        if users and not self._context.limits.presence:
            raise PresenceOff
        if channels and not self._context.limits.typing:
            raise TypingOff
        interest = self.interests.for_connection(connection)
        if interest.would_be(users, channels) > MOST_INTERESTS:
            raise TooManySubscriptions(f"At most {MOST_INTERESTS} users and channels together")
        connection.charge(len(users) / _USERS_FOR_A_COMMAND)
        try:
            async with connection.costly():
                seen = await self._watch(connection, users)
        except ServiceUnavailable as error:
            raise Unavailable("Presence is temporarily unavailable") from error
        if connection.closed:
            return
        self._check_known(connection, channels)
        on = {channel_id for channel_id in channels if _stream(channel_id) in connection.streams}
        self.interests.add(connection, channels=on)
        shown = self._presence.shown(interest, [u for u in users if u in seen])
        for each in shown:
            interest.users[each.user_id] = each.online
        refused = Interested(
            [user_id for user_id in users if user_id not in seen],
            [channel_id for channel_id in channels if channel_id not in on],
        )
        reply = Subscribed(self._subscribed(connection), refused, shown)
        connection.reply(head.id, reply)

    async def _watch(self, connection: Connection, users: Collection[str]) -> set[str]:
        """Have a connection watch those of the users whom it may, whose presence is known then.

        Returns them, with those who are hidden from it. Raises ServiceUnavailable; nothing was
        changed then.
        """
        if not users:
            return set()
        leavings = self._visibility.leavings
        sight = await self._visibility.visible(connection.user_id, users)
        if connection.closed:
            return set()
        seen = sight.open | sight.hidden
        new = seen - self.interests.for_connection(connection).users.keys()
        # First the interest, then the question: what is said meanwhile is not missed.
        self.interests.add(connection, users=seen, found=self._visibility.turn())
        self.interests.hide(connection, seen, from_now=sight.hidden)
        if self._visibility.leavings != leavings:
            self._visibility.check_soon(connection.user_id)
        try:
            await self._presence.ask(seen)
        except ServiceUnavailable:
            self.interests.drop(connection, users=new)
            raise
        return seen

    async def _unsubscribe(self, connection: Connection, head: FrameHead, text: str) -> None:
        users, channels = _ids(read_body(text, Subscribe, head.id))
        self.interests.drop(connection, users=users, channels=channels)
        reply = Unsubscribed(self._subscribed(connection))
        connection.reply(head.id, reply)

    async def _typing(self, connection: Connection, head: FrameHead, text: str) -> None:
        frame = read_body(text, Typing, head.id)
        if not self._context.limits.typing:
            raise TypingOff
        channel_id = str(frame.channel_id)
        self._check_known(connection, [channel_id])
        if _stream(channel_id) not in connection.streams:
            raise NotFound
        self._typists.broadcast(connection, channel_id)
        if head.id is not None:
            connection.reply(head.id, {})

    def _check_known(self, connection: Connection, channels: Collection[str]) -> None:
        """Raise Unavailable where it isn't known yet whether the user is on all of these."""
        if connection.missing and any(
            _stream(channel_id) not in connection.streams
            and owner_of(_stream(channel_id)) in connection.missing
            for channel_id in channels
        ):
            raise Unavailable("Memberships are temporarily unavailable")

    def _subscribed(self, connection: Connection) -> Interested:
        interest = self.interests.find(connection)
        if interest is None:
            return Interested([], [])
        return Interested(list(interest.users), sorted(interest.channels))


def _stream(channel_id: str) -> str:
    return f"channel:{channel_id}"


def _ids(frame: Subscribe) -> tuple[list[str], list[str]]:
    """Return the ids of a frame, each once and as services spell them."""
    users, channels = dict.fromkeys(frame.users), dict.fromkeys(frame.channels)
    return [str(user_id) for user_id in users], [str(channel_id) for channel_id in channels]
