"""A client's copy of what it may see, kept up to date by events alone.

Written from the documents of the API, as a client's author would: nothing here knows the service.
"""

from collections.abc import Callable, Iterable
from typing import Any

from services.chat.tests.support.world import DECLARED, Json, Person


def message_count(membership: Json) -> int:
    """Return the number of the channel's latest message."""
    count: int = membership["channel"]["message_count"]
    return count


class Channel:
    """One channel that the client is in, as of `seq` of its stream."""

    def __init__(self, membership: Json, seq: int) -> None:
        self.membership = membership
        self.seq = seq
        self.known_since = seq
        self.members: dict[str, Json] | None = None
        self.messages: dict[str, Json] = {}
        self.pins: dict[str, str] = {}
        self.counted: tuple[int, int] = (membership["mention_count"], message_count(membership))
        """Unread mentions that the service counted, and up to which message."""
        self.called: list[int] = []
        """Messages that call me, as events told."""


class Replica:
    """Begins with a snapshot; `apply` takes each event of each stream in its stream's order."""

    def __init__(self, me: str) -> None:
        self.me = me
        self.channels: dict[str, Channel] = {}
        self.heads: dict[str, tuple[str, int]] = {}
        self._inbox_seq = 0
        self._early: dict[str, list[Json]] = {}

    @classmethod
    def of(cls, me: str, sync: Json) -> "Replica":
        """Begin with what `GET /v1/sync` answered: memberships, without history."""
        replica = cls(me)
        replica.heads = {name: (epoch, seq) for name, (epoch, seq) in sync["heads"].items()}
        replica._inbox_seq = replica.heads[f"inbox:{me}"][1]
        for membership in sync["memberships"]:
            channel_id = membership["channel"]["id"]
            seq = replica.heads[f"channel:{channel_id}"][1]
            replica.channels[channel_id] = Channel(membership, seq)
        return replica

    @classmethod
    async def load(cls, me: Person) -> "Replica":
        """Load everything anew."""
        replica = cls.of(me.id, await me.get("/v1/sync"))
        for channel_id, channel in replica.channels.items():
            channel.known_since = 0
            path = f"/v1/channels/{channel_id}"
            listed = (await me.get(f"{path}/members"))["items"]
            channel.members = {member["user"]["id"]: member for member in listed}
            history = (await me.get(f"{path}/messages", limit=200))["items"]
            channel.messages = {message["id"]: message for message in history}
            pinned = (await me.get(f"{path}/pins"))["items"]
            channel.pins = {pin["message"]["id"]: pin["pinned_at"] for pin in pinned}
        return replica

    @property
    def cursors(self) -> dict[str, int]:
        """How far each stream was applied: what the client resumes from."""
        channels = {f"channel:{name}": each.seq for name, each in self.channels.items()}
        return {f"inbox:{self.me}": self._inbox_seq, **channels}

    def forget(self, channel_ids: Iterable[str]) -> None:
        """Let go of channels that the client is not in any more, and of what came too early."""
        for channel_id in channel_ids:
            self.channels.pop(channel_id, None)
        self._early.clear()

    def apply(self, event: Json) -> None:
        """Take the next event of a stream; one that was seen before changes nothing."""
        DECLARED.check(event)
        kind, _, name = event["stream"].partition(":")
        if kind == "inbox":
            if event["seq"] > self._inbox_seq:
                assert event["seq"] == self._inbox_seq + 1, "a gap"
                self._inbox_seq = event["seq"]
                self._apply_own(event)
            return
        channel = self.channels.get(name)
        if channel is None:  # the inbox will tell what this is the state of
            self._early.setdefault(name, []).append(event)
        elif event["seq"] > channel.seq + 1 and self._entered(event):
            # Out and in again while this client was away: the inbox is about to tell so.
            del self.channels[name]
            self.apply(event)
        elif event["seq"] > channel.seq:
            assert event["seq"] == channel.seq + 1, "a gap"
            channel.seq = event["seq"]
            self._apply_shared(channel, event["type"], event["data"])

    def _entered(self, event: Json) -> bool:
        return bool(event["type"] == "member.joined" and event["data"]["user"]["id"] == self.me)

    def _apply_own(self, event: Json) -> None:
        data = event["data"]
        channel_id = data["channel_id"]
        match event["type"]:
            case "member.joined":
                channel = Channel(data["membership"], data["position"][2])
                self.channels[channel_id] = channel
                for early in self._early.pop(channel_id, []):
                    self.apply(early)
            case "member.left":
                self.channels.pop(channel_id, None)
            case "member.updated":
                if channel_id in self.channels:
                    for field in ("muted", "hidden_up_to", "accepted"):
                        self.channels[channel_id].membership[field] = data[field]
            case "read.updated":
                if channel_id in self.channels:
                    self._read(self.channels[channel_id], data)
            case other:
                raise AssertionError(other)

    def _apply_shared(  # noqa: C901, PLR0912 - one case for each type of event
        self, channel: Channel, event_type: str, data: Json
    ) -> None:
        membership = channel.membership
        match event_type:
            case "channel.updated":
                membership["channel"] = data
            case "channel.deleted":
                del self.channels[data["id"]]
            case "member.joined":
                membership["channel"]["member_count"] = data["member_count"]
                if channel.members is not None:
                    kept = ("channel_id", "user", "role", "joined_at")
                    channel.members[data["user"]["id"]] = {key: data[key] for key in kept}
            case "member.updated":
                if data["user"]["id"] == self.me:
                    membership["role"] = data["role"]
                if channel.members is not None:
                    channel.members[data["user"]["id"]] = data
                self._name(channel, data["user"])
            case "member.left":
                self._left(channel, data)
            case "message.created":
                channel.messages[data["id"]] = data
                if self.me in data["mentions"] or data["mentions_channel"]:
                    channel.called.append(data["number"])
                membership["last_message"] = data
                membership["channel"]["message_count"] = data["number"]
                if data["author"]["id"] == self.me:
                    mark = {"last_read_seq": data["seq"], "last_read_number": data["number"]}
                    self._read(channel, mark)
            case "message.updated" | "message.deleted":
                deleted = event_type == "message.deleted"

                def changed(message: Json) -> Json:
                    return {**data, "reactions": [] if deleted else message["reactions"]}

                self._change(channel, data["id"], changed)
            case "message.reaction_added" | "message.reaction_removed":
                self._change(channel, data["message_id"], lambda m: self._reacted(m, data))
            case "message.pinned":
                channel.pins[data["message_id"]] = data["pinned_at"]
            case "message.unpinned":
                channel.pins.pop(data["message_id"], None)
            case other:
                raise AssertionError(other)
        self._count(channel)

    def _change(self, channel: Channel, message_id: str, change: Callable[[Json], Json]) -> None:
        if message_id in channel.messages:
            channel.messages[message_id] = change(channel.messages[message_id])
        last = channel.membership["last_message"]
        if last and last["id"] == message_id:
            channel.membership["last_message"] = change(last)

    def _reacted(self, message: Json, data: Json) -> Json:
        reactions = {each["emoji"]: each for each in message["reactions"]}
        before = reactions.pop(data["emoji"], {"me": False})
        mine = data["user"]["id"] == self.me
        added = data["count"] > before.get("count", 0)
        if data["count"]:
            me = added if mine else before["me"]
            reactions[data["emoji"]] = {"emoji": data["emoji"], "count": data["count"], "me": me}
        return {**message, "reactions": [reactions[emoji] for emoji in sorted(reactions)]}

    def _count(self, channel: Channel) -> None:
        membership = channel.membership
        read = membership["last_read_number"]
        membership["unread_count"] = message_count(membership) - read
        counted, up_to = channel.counted
        later = {number for number in channel.called if number > max(up_to, read)}
        membership["mention_count"] = counted + len(later)

    def _left(self, channel: Channel, data: Json) -> None:
        user = data["user"]
        if user["id"] == self.me:
            del self.channels[data["channel_id"]]
        shown: Json = channel.membership["channel"]
        shown["member_count"] = data["member_count"]
        shown["participants"] = [p for p in shown["participants"] if p["id"] != user["id"]]
        if channel.members is not None:
            del channel.members[user["id"]]
        self._name(channel, user)

    def _read(self, channel: Channel, mark: Json) -> None:
        """Take a mark over; `mark` counts what is left where the service counted it."""
        membership = channel.membership
        if mark["last_read_number"] >= membership["last_read_number"]:
            counted = mark.get("mention_count", 0), mark.get("message_count", 0)
            if "mention_count" not in mark:  # one's own message: nothing before it is unread
                counted = 0, mark["last_read_number"]
            channel.counted = counted
        for field in ("last_read_seq", "last_read_number"):
            membership[field] = max(membership[field], mark[field])
        self._count(channel)

    def _name(self, channel: Channel, user: Json) -> None:
        """Somebody is called something else now, also where they spoke before."""

        def renamed(person: Json) -> Json:
            return user if person["id"] == user["id"] else person

        shown = channel.membership["channel"]
        shown["participants"] = [renamed(person) for person in shown["participants"]]
        for message_id, message in channel.messages.items():
            channel.messages[message_id] = {**message, "author": renamed(message["author"])}
        if last := channel.membership["last_message"]:
            channel.membership["last_message"] = {**last, "author": renamed(last["author"])}

    def differences(self, fresh: "Replica") -> list[Any]:
        """Return where this copy is not what a fresh load gives."""
        wrong: list[Any] = []
        if self.channels.keys() != fresh.channels.keys():
            wrong.append(("channels", self.channels.keys(), fresh.channels.keys()))
        for channel_id in self.channels.keys() & fresh.channels.keys():
            mine, theirs = self.channels[channel_id], fresh.channels[channel_id]
            since = mine.known_since
            messages = {i: m for i, m in theirs.messages.items() if m["seq"] > since}
            if mine.membership != theirs.membership:
                wrong.append(("membership", mine.membership, theirs.membership))
            if mine.messages != messages:
                wrong.append(("messages", mine.messages, messages))
            if mine.members is not None and mine.members != theirs.members:
                wrong.append(("members", mine.members, theirs.members))
            if mine.known_since == 0 and mine.pins != theirs.pins:
                wrong.append(("pins", mine.pins, theirs.pins))
            if mine.seq != theirs.seq:
                wrong.append(("seq", mine.seq, theirs.seq))
        return wrong
