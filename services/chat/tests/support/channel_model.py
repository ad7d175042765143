"""What a channel is, as its documents say: the simplest thing that answers like the service."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal

from services.chat.tests.support.world import Json

Role = Literal["owner", "admin", "member"]


@dataclass
class Said:
    """A message; `called` is who it calls since it was posted, `shown` since it was edited."""

    id: str
    author: str
    seq: int
    number: int
    text: str
    key: str | None
    called: frozenset[str]
    everyone: bool
    reply_to: str | None = None
    shown: frozenset[str] = frozenset()
    deleted: bool = False
    pinned: bool = False
    reactions: dict[str, set[str]] = field(default_factory=dict)

    def delete(self) -> None:
        self.deleted, self.pinned = True, False
        self.text, self.shown, self.reactions = "", frozenset(), {}


@dataclass
class Model:
    """One channel. People are ids; `roles` is in the order in which they came."""

    public: bool
    owner: str
    roles: dict[str, Role] = field(default_factory=dict)
    archived: bool = False
    said: list[Said] = field(default_factory=list)
    marks: dict[str, tuple[int, int]] = field(default_factory=dict)
    """How far each member has read: `seq`, and the number of the message there."""
    terms: dict[str, list[tuple[int, int | None]]] = field(default_factory=dict)
    """From and up to which `seq` each user was in the channel; None: still."""
    agreed: set[str] = field(default_factory=set)
    """Members who came by themselves, or did something here since they were added."""
    inviter: str | None = None
    """Who made the latest invite, as long as it holds."""
    removed: set[str] = field(default_factory=set)
    """Who was removed since then, and not had back by somebody with the right to."""

    # --- who may -----------------------------------------------------------------------------

    @property
    def outside(self) -> int:
        """What somebody who isn't in the channel is answered."""
        return 403 if self.public else 404

    def to_members(self, by: str, status: int) -> int:
        return status if by in self.roles else self.outside

    def to_moderators(self, by: str, status: int) -> int:
        return self.to_members(by, status if self.moderates(by) else 403)

    def to_owners(self, by: str, status: int) -> int:
        return self.to_members(by, status if self.roles.get(by) == "owner" else 403)

    def moderates(self, user: str) -> bool:
        return self.roles.get(user) in ("owner", "admin")

    def is_last_owner(self, user: str) -> bool:
        return [each for each, role in self.roles.items() if role == "owner"] == [user]

    def to_guest(self, user: str) -> int:
        """What somebody with the code of the latest invite is answered."""
        if user in self.roles:
            return 200
        gone = self.inviter is None or user in self.removed
        return 410 if gone else self.unless_archived(201)

    def unless_archived(self, status: int) -> int:
        return 409 if self.archived else status

    # --- coming and going --------------------------------------------------------------------

    def enter(self, user: str, role: Role, seq: int, *, agreed: bool) -> None:
        self.roles[user] = role
        if agreed:
            self.agreed.add(user)
        self.marks[user] = (seq, len(self.said))
        self.terms.setdefault(user, []).append((seq, None))

    def depart(self, user: str, seq: int) -> None:
        del self.roles[user], self.marks[user]
        self.agreed.discard(user)
        self.lose_right_to_invite(user)
        since, _ = self.terms[user].pop()
        self.terms[user].append((since, seq))
        self.update_owner()

    def lose_right_to_invite(self, user: str) -> None:
        if self.inviter == user:
            self.inviter = None

    def update_owner(self) -> None:
        """Have `owner` be one; where nobody is, the admin who came first, or else the member."""
        if "owner" not in self.roles.values():
            heirs = [user for user, role in self.roles.items() if role == "admin"]
            self.roles[(heirs or list(self.roles))[0]] = "owner"
        owners = [user for user, role in self.roles.items() if role == "owner"]
        if self.owner not in owners:
            self.owner = owners[0]

    def may_hear(self, user: str, seq: int) -> bool:
        terms = self.terms.get(user, [])
        return any(since <= seq and (end is None or seq <= end) for since, end in terms)

    # --- reading -----------------------------------------------------------------------------

    def mark(self, user: str, seq: int) -> None:
        """Move a mark, forwards only."""
        number = max((each.number for each in self.said if each.seq <= seq), default=0)
        at, before = self.marks[user]
        if seq > at:
            self.marks[user] = (seq, max(number, before))

    def unread(self, user: str) -> int:
        return len(self.said) - self.marks[user][1]

    def mentions(self, user: str) -> int:
        read = self.marks[user][1]
        later = [each for each in self.said if each.number > read]
        return sum(each.everyone or user in each.called for each in later)

    # --- what somebody sees ------------------------------------------------------------------

    def seen_by(self, user: str) -> Json | None:
        """Return all that a member may see, in the shape of `seen_in`; None for others."""
        if user not in self.roles:
            return None
        return {
            "owner": self.owner,
            "archived": self.archived,
            "role": self.roles[user],
            "mark": self.marks[user],
            "unread": self.unread(user),
            "mentions": self.mentions(user),
            "members": dict(self.roles),
            "pins": {each.id for each in self.said if each.pinned},
            "messages": {
                each.id: (
                    each.author,
                    each.seq,
                    each.number,
                    each.text,
                    each.deleted,
                    each.reply_to,
                    each.shown,
                    {
                        emoji: (len(users), user in users)
                        for emoji, users in each.reactions.items()
                        if users
                    },
                )
                for each in self.said
            },
        }


def seen_in(membership: Json, members: Collection[Json], messages: Collection[Json]) -> Json:
    """Return what the service shows, in the shape of `Model.seen_by`; pins come on top."""
    channel = membership["channel"]
    assert channel["member_count"] == len(members)
    assert channel["message_count"] == len(messages)
    return {
        "owner": channel["owner_id"],
        "archived": channel["archived"],
        "role": membership["role"],
        "mark": (membership["last_read_seq"], membership["last_read_number"]),
        "unread": membership["unread_count"],
        "mentions": membership["mention_count"],
        "members": {each["user"]["id"]: each["role"] for each in members},
        "messages": {
            each["id"]: (
                each["author"]["id"],
                each["seq"],
                each["number"],
                each["text"],
                each["deleted"],
                each["reply_to"],
                frozenset(each["mentions"]),
                {one["emoji"]: (one["count"], one["me"]) for one in each["reactions"]},
            )
            for each in messages
        },
    }
