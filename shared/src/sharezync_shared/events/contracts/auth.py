"""What auth publishes: people, their sessions and their devices."""

from typing import ClassVar
from uuid import UUID

from sharezync_shared.events.contracts import Event


class UserRegistered(Event, frozen=True, kw_only=True):
    """An account was created."""

    type: ClassVar[str] = "auth.user.registered.v1"
    about: ClassVar[str] = "user_id"

    user_id: UUID
    username: str
    display_name: str


class UserUpdated(Event, frozen=True, kw_only=True):
    """The profile or a setting of a user has changed. The fields are the new state."""

    type: ClassVar[str] = "auth.user.updated.v1"
    about: ClassVar[str] = "user_id"

    user_id: UUID
    username: str
    display_name: str
    who_may_add: str | None = None
    """`everybody`, `known` or `nobody`: who may add this user to channels and open conversations
    with them. None: an auth that knows no such setting said it."""


class UserDeleted(Event, frozen=True, kw_only=True):
    """An account was deleted. Every service erases its data of the user."""

    type: ClassVar[str] = "auth.user.deleted.v1"
    about: ClassVar[str] = "user_id"

    user_id: UUID


class UserBlocked(Event, frozen=True, kw_only=True):
    """A user has blocked another.

    `version` increases with every change to the user's list of blocks. Of two events about the same
    pair, the one with the greater version applies, whatever their order.
    """

    type: ClassVar[str] = "auth.user.blocked.v1"
    about: ClassVar[str] = "user_id"

    user_id: UUID
    blocked_id: UUID
    version: int


class UserUnblocked(Event, frozen=True, kw_only=True):
    """A user has unblocked another; `version` as in `UserBlocked`.

    Not published when either account is deleted: there is `UserDeleted` for that.
    """

    type: ClassVar[str] = "auth.user.unblocked.v1"
    about: ClassVar[str] = "user_id"

    user_id: UUID
    blocked_id: UUID
    version: int


class SessionRevoked(Event, frozen=True, kw_only=True):
    """A session was revoked; its tokens are no longer valid."""

    type: ClassVar[str] = "auth.session.revoked.v1"
    about: ClassVar[str] = "session_id"

    user_id: UUID
    session_id: UUID


class DeviceRegistered(Event, frozen=True, kw_only=True):
    """A user's device connected or was registered for the first time."""

    type: ClassVar[str] = "auth.device.registered.v1"
    about: ClassVar[str] = "device_id"

    user_id: UUID
    device_id: UUID
    client_id: str
    """Chosen by the client; unique for its user. Its name is a person's words, and stays with
    auth: facts may lie in a broker for long."""
