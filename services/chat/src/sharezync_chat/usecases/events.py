"""The events that chat publishes, declared for `x-realtime`: a new one needs a row."""

from typing import Final

from sharezync_chat.schemas import (
    ChannelCreated,
    ChannelDeletedRead,
    ChannelRead,
    MemberJoinedRead,
    MemberLeftRead,
    MemberRead,
    MessageChanged,
    MessageRead,
    OwnMemberUpdated,
    PinChanged,
    ReactionChanged,
    ReadRead,
)
from sharezync_shared.streams.declared import StreamEvent

EVENTS: Final = (
    StreamEvent("channel.created", "channel", ChannelCreated, "A channel was created"),
    StreamEvent("channel.updated", "channel", ChannelRead, "A channel has changed"),
    StreamEvent("channel.deleted", "channel", ChannelDeletedRead, "A channel was deleted"),
    StreamEvent("member.joined", "channel", MemberJoinedRead, "A user has become a member"),
    StreamEvent("member.updated", "channel", MemberRead, "A member's role or name has changed"),
    StreamEvent("member.left", "channel", MemberLeftRead, "A member has left or was removed"),
    StreamEvent("message.created", "channel", MessageRead, "A message was posted"),
    StreamEvent("message.updated", "channel", MessageChanged, "A message was edited"),
    StreamEvent("message.deleted", "channel", MessageChanged, "A message was deleted"),
    StreamEvent("message.reaction_added", "channel", ReactionChanged, "A reaction was added"),
    StreamEvent("message.reaction_removed", "channel", ReactionChanged, "A reaction was removed"),
    StreamEvent("message.pinned", "channel", PinChanged, "A message was pinned"),
    StreamEvent("message.unpinned", "channel", PinChanged, "A message was unpinned"),
    StreamEvent(
        "member.joined", "inbox", MemberJoinedRead, "The user has become a member of a channel"
    ),
    StreamEvent(
        "member.updated",
        "inbox",
        OwnMemberUpdated,
        "The user has muted, hidden or accepted a channel, or no longer does",
    ),
    StreamEvent(
        "member.left", "inbox", MemberLeftRead, "The user is no longer a member of a channel"
    ),
    StreamEvent("read.updated", "inbox", ReadRead, "The user has read messages on a device"),
)
