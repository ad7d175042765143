"""The events that auth tells on its streams, declared for `x-realtime`: a new one needs a row."""

from typing import Final

from sharezync_auth.wire import BlockRead, OwnUser, SessionRevoked, Unblocked, UserDeleted
from sharezync_shared.streams.declared import StreamEvent

EVENTS: Final = (
    StreamEvent("session.revoked", "account", SessionRevoked, "A login of yours has ended"),
    StreamEvent("user.updated", "account", OwnUser, "Your profile has changed"),
    StreamEvent("user_blocked", "account", BlockRead, "You have blocked somebody"),
    StreamEvent(
        "user_unblocked",
        "account",
        Unblocked,
        "Somebody is not blocked any more, or deleted their account",
    ),
    StreamEvent("user.deleted", "account", UserDeleted, "Your account is gone"),
)
