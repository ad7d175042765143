"""What connections subscribed to: whose presence, and who is typing where.

An index and no more: who may see whom is decided elsewhere. Interest ends with its connection, and
what is kept of a user or a channel ends with the last interest.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final

from sharezync_gateway.realtime.connection import Connection

MOST_INTERESTS: Final = 200
"""Users and channels together, for one connection: as many as a page shows."""


@dataclass(slots=True, eq=False)
class Interest:
    """What one connection wants to know."""

    users: dict[str, bool | None] = field(default_factory=dict)
    """Each with what was last sent to the client: online or not; None: nothing yet."""
    found: dict[str, int] = field(default_factory=dict)
    """For each of the users, when they were found to be visible (`visibility`)."""
    hidden: set[str] = field(default_factory=set)
    """Those of the users who have blocked this one: they look as who has no device."""
    untold: set[str] = field(default_factory=set)
    """Those of the users of whom there may be something to send."""
    channels: set[str] = field(default_factory=set)

    def would_be(self, users: Collection[str], channels: Collection[str]) -> int:
        return len(self.users.keys() | set(users)) + len(self.channels | set(channels))


@dataclass(slots=True, eq=False)
class WatchedUser:
    """A user whose presence somebody here wants to know, and what is known of it."""

    watchers: set[Connection] = field(default_factory=set)
    online: bool | None = None
    """None until auth has answered for the first time."""
    last_seen_at: str | None = None
    """While offline: when a device was seen last; None if there is none."""
    since: int = 0
    """The turn in which this was learnt (`presence`)."""


class Interests:
    """The interests of this node's connections: by connection, by user, by channel."""

    def __init__(self) -> None:
        self.watched: dict[str, WatchedUser] = {}
        """By user, those first who were asked about the longest ago."""
        self.listeners: dict[str, set[Connection]] = {}
        """By channel, who wants to know that somebody is typing there."""
        self._of: dict[Connection, Interest] = {}

    def find(self, connection: Connection) -> Interest | None:
        """Return what a connection wants to know; None if it never asked, or is gone."""
        return self._of.get(connection)

    def watchers(self) -> Iterable[Connection]:
        """Return those who watch anybody."""
        return [connection for connection, interest in self._of.items() if interest.users]

    def for_connection(self, connection: Connection) -> Interest:
        """Return what a connection, which is not gone, wants to know."""
        interest = self._of.get(connection)
        if interest is None:
            # Kept until the connection ends, though it may be empty: one callback is enough.
            interest = self._of[connection] = Interest()
            connection.on_close(self._gone)
        return interest

    def add(
        self,
        connection: Connection,
        *,
        users: Iterable[str] = (),
        channels: Iterable[str] = (),
        found: int = 0,
    ) -> None:
        """Note interest. Safe to repeat; what was sent of a user isn't sent again.

        `found` is when the users were found to be visible, as `Visibility` counts.
        """
        interest = self.for_connection(connection)
        for user_id in users:
            interest.users.setdefault(user_id, None)
            interest.found[user_id] = found
            watched = self.watched.get(user_id)
            if watched is None:
                watched = self.watched[user_id] = WatchedUser()
            watched.watchers.add(connection)
        for channel_id in channels:
            interest.channels.add(channel_id)
            self.listeners.setdefault(channel_id, set()).add(connection)

    def hide(
        self, connection: Connection, users: Collection[str], *, from_now: Collection[str]
    ) -> set[str]:
        """Have those of the users who are in `from_now` look offline, and the others as they are.

        Those in whom there is no interest are passed over. Returns whose look has changed.
        """
        interest = self._of.get(connection)
        if interest is None:
            return set()
        hidden = set(from_now) & interest.users.keys() & set(users)
        changed = (interest.hidden & set(users)) ^ hidden
        interest.hidden ^= changed
        return changed

    def drop(
        self, connection: Connection, *, users: Iterable[str] = (), channels: Iterable[str] = ()
    ) -> None:
        """Forget interest. Safe to repeat, and for what there is no interest in."""
        interest = self._of.get(connection)
        if interest is None:
            return
        for user_id in users:
            interest.users.pop(user_id, None)
            interest.found.pop(user_id, None)
            interest.hidden.discard(user_id)
            interest.untold.discard(user_id)
            watched = self.watched.get(user_id)
            if watched is not None:
                watched.watchers.discard(connection)
                if not watched.watchers:
                    del self.watched[user_id]
        for channel_id in channels:
            interest.channels.discard(channel_id)
            listeners = self.listeners.get(channel_id)
            if listeners is not None:
                listeners.discard(connection)
                if not listeners:
                    del self.listeners[channel_id]

    def _gone(self, connection: Connection) -> None:
        interest = self._of.get(connection)
        if interest is not None:
            self.drop(connection, users=list(interest.users), channels=list(interest.channels))
            del self._of[connection]
