"""The events that chat tells on its streams, declared for `x-realtime`: a new one needs a row."""

from typing import Final

from sharezync_chat.usecases.wire import (
    ChannelCreated,
    ChannelDeleted,
    ChannelRead,
    MemberJoined,
    MemberLeft,
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
    StreamEvent("channel.created", "channel", ChannelCreated, "A channel begins"),
    StreamEvent("channel.updated", "channel", ChannelRead, "What a channel is has changed"),
    StreamEvent("channel.deleted", "channel", ChannelDeleted, "A channel is over"),
    StreamEvent("member.joined", "channel", MemberJoined, "Somebody is in the channel now"),
    StreamEvent("member.updated", "channel", MemberRead, "A member's role or name has changed"),
    StreamEvent("member.left", "channel", MemberLeft, "Somebody left or was removed"),
    StreamEvent("message.created", "channel", MessageRead, "A message was posted"),
    StreamEvent("message.updated", "channel", MessageChanged, "A message was edited"),
    StreamEvent("message.deleted", "channel", MessageChanged, "A message was taken back"),
    StreamEvent("message.reaction_added", "channel", ReactionChanged, "Somebody reacted"),
    StreamEvent("message.reaction_removed", "channel", ReactionChanged, "A reaction is gone"),
    StreamEvent("message.pinned", "channel", PinChanged, "A message was pinned"),
    StreamEvent("message.unpinned", "channel", PinChanged, "A message was unpinned"),
    StreamEvent("member.joined", "inbox", MemberJoined, "You are in a channel now"),
    StreamEvent(
        "member.updated",
        "inbox",
        OwnMemberUpdated,
        "How you stand in a channel: muted, hidden, accepted",
    ),
    StreamEvent("member.left", "inbox", MemberLeft, "You are not in a channel any more"),
    StreamEvent("read.updated", "inbox", ReadRead, "You have read further, on some device"),
)
