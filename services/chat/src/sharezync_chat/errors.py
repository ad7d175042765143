"""What chat refuses, by name. Slugs are API: documented, tested, stable."""

from sharezync_shared.problems import Conflict, Problem, ProblemKind


class NotMember(Problem):
    kind, slug, title = ProblemKind.FORBIDDEN, "not-a-member", "You aren't a member of this channel"


class ChannelArchived(Conflict):
    slug, title = "channel-archived", "The channel is archived"


class ConversationFixed(Conflict):
    slug, title = "conversation-fixed", "Not possible in a conversation"


class MessageGone(Problem):
    kind, slug, title = ProblemKind.GONE, "message-deleted", "The message was deleted"


class UserUnreachable(Problem):
    """With `user_ids`, where there were several to choose from."""

    kind, slug = ProblemKind.FORBIDDEN, "user-unreachable"
    title = "The user doesn't accept this from you"


class UserIsBlocked(Conflict):
    """With `user_ids`, as above."""

    slug, title = "user-blocked", "You have blocked the user; unblock them first"


class TooManyChannels(Conflict):
    """With `limit`."""

    slug, title = "too-many-channels", "The limit of channels is reached; delete a channel first"


class TooManyConversations(Conflict):
    """With `limit`."""

    slug = "too-many-conversations"
    title = "Leave or hide an answered conversation before you open more"


class TooManyMemberships(Conflict):
    """With `limit` and `user_id`: who is in so many channels and conversations; `of` is `maker`
    where it is those of one maker that are too many.
    """

    slug, title = "too-many-memberships", "A user has reached the limit of memberships"


class TooManyMembers(Conflict):
    """With `limit`."""

    slug, title = "too-many-members", "The limit of members is reached"


class TooManyInvites(Conflict):
    """With `limit`, and `of`: `channel` or `user`."""

    slug, title = "too-many-invites", "The limit of invites is reached; revoke an invite first"


class TooManyPins(Conflict):
    """With `limit`."""

    slug, title = "too-many-pins", "The limit of pins is reached; unpin a message first"


class TooManyReactions(Conflict):
    """With `limit`, and `of`: `message`, or `user` where it is one's own emoji that are enough."""

    slug, title = "too-many-reactions", "The limit of different reactions to a message is reached"


class Banned(Problem):
    kind, slug, title = ProblemKind.FORBIDDEN, "banned", "The user is banned from the channel"


class TooManyBans(Conflict):
    slug, title = "too-many-bans", "The limit of bans is reached; unban a user first"


class LastOwner(Conflict):
    slug, title = "last-owner", "The last owner of a channel can't leave or be demoted"


class AttachmentUnusable(Problem):
    kind, slug = ProblemKind.INVALID, "attachment-unusable"
    title = "An attached file doesn't exist or isn't yours"


class ClientMessageIdReused(Conflict):
    slug = "client-message-id-reused"
    title = "This client_message_id was used for a message in another channel"


class InviteGone(Problem):
    kind, slug = ProblemKind.GONE, "invite-gone"
    title = "The invite has expired, was revoked or is used up"
