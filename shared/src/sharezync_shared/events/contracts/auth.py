"""What auth publishes: people, their sessions and their devices."""

from typing import ClassVar
from uuid import UUID

from sharezync_shared.events.contracts import Event


class UserRegistered(Event, frozen=True, kw_only=True):
    """Somebody has an account from now on."""

    type: ClassVar[str] = "auth.user.registered.v1"
    source: ClassVar[str] = "/auth"
    about: ClassVar[str] = "user_id"

    user_id: UUID
    username: str
    display_name: str


class UserUpdated(Event, frozen=True, kw_only=True):
    """A name or a setting changed; the fields are the state after the change."""

    type: ClassVar[str] = "auth.user.updated.v1"
    source: ClassVar[str] = "/auth"
    about: ClassVar[str] = "user_id"

    user_id: UUID
    username: str
    display_name: str
    who_may_add: str | None = None
    """`everybody`, `known` or `nobody`: who may add this user to channels and open conversations
    with them. None: an auth that knows no such setting said it."""


class UserDeleted(Event, frozen=True, kw_only=True):
    """The account is gone; every service erases what it holds of that person."""

    type: ClassVar[str] = "auth.user.deleted.v1"
    source: ClassVar[str] = "/auth"
    about: ClassVar[str] = "user_id"

    user_id: UUID


class UserBlocked(Event, frozen=True, kw_only=True):
    """Somebody has blocked somebody else.

    `version` grows with every change to the blocker's list: of two facts about one pair that come
    in either order, the one with the greater version holds.
    """

    type: ClassVar[str] = "auth.user.blocked.v1"
    source: ClassVar[str] = "/auth"
    about: ClassVar[str] = "user_id"

    user_id: UUID
    blocked_id: UUID
    version: int


class UserUnblocked(Event, frozen=True, kw_only=True):
    """Somebody has taken a block back; `version` as in `UserBlocked`.

    Not said when either account is deleted: `UserDeleted` says enough.
    """

    type: ClassVar[str] = "auth.user.unblocked.v1"
    source: ClassVar[str] = "/auth"
    about: ClassVar[str] = "user_id"

    user_id: UUID
    blocked_id: UUID
    version: int


class SessionRevoked(Event, frozen=True, kw_only=True):
    """A login ended before its time; its tokens are worth nothing."""

    type: ClassVar[str] = "auth.session.revoked.v1"
    source: ClassVar[str] = "/auth"
    about: ClassVar[str] = "session_id"

    user_id: UUID
    session_id: UUID


class DeviceRegistered(Event, frozen=True, kw_only=True):
    """A user's device connected or was registered for the first time."""

    type: ClassVar[str] = "auth.device.registered.v1"
    source: ClassVar[str] = "/auth"
    about: ClassVar[str] = "device_id"

    user_id: UUID
    device_id: UUID
    client_id: str
    """Chosen by the client; unique for its user. Its name is a person's words, and stays with
    auth: facts may lie in a broker for long."""
