"""The events that auth publishes, declared for `x-realtime`: a new one needs a row."""

from typing import Final

from sharezync_auth.schemas import (
    BlockRead,
    OwnUser,
    SessionRevokedRead,
    Unblocked,
    UserDeletedRead,
)
from sharezync_shared.streams.declared import StreamEvent

EVENTS: Final = (
    StreamEvent(
        "session.revoked", "account", SessionRevokedRead, "A session of the user has ended"
    ),
    StreamEvent("user.updated", "account", OwnUser, "The profile of the user has changed"),
    StreamEvent("user_blocked", "account", BlockRead, "The user has blocked another"),
    StreamEvent(
        "user_unblocked",
        "account",
        Unblocked,
        "A user was unblocked, or their account was deleted",
    ),
    StreamEvent("user.deleted", "account", UserDeletedRead, "The account was deleted"),
)
