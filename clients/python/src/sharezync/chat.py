"""Channels and messages."""

import uuid
from collections.abc import Sequence

from sharezync.documents import Ban, Channel, Found, Membership, Message
from sharezync.http import Http
from sharezync.people import People, is_id
from sharezync.problems import SharezyncError
from sharezync.shapes import member


class NoSuchChannel(SharezyncError):
    """One is in no channel of that name, or in several."""


class Chat:
    """Channels one is in, what is said there, and saying something."""

    def __init__(self, http: Http, people: People) -> None:
        self._http = http
        self._people = people

    async def memberships(self, *, hidden: bool = False) -> list[Membership]:
        """Return the channels one is in, with unread counts; `hidden`: hidden ones, too."""
        found = await self._http.items(Membership, "/v1/memberships")
        return [each for each in found if hidden or not each.hidden]

    async def find(self, name: str) -> Channel:
        """Return a channel one is in by its name or id; of a person (`@ada`) the direct one.

        Raises NoSuchChannel and NoSuchUser.
        """
        if name.startswith("@"):
            user = await self._people.find(name)
            return await self.conversation([user.id])
        channels = [each.channel for each in await self.memberships(hidden=True)]
        wanted = name.removeprefix("#")
        field = "id" if is_id(wanted) else "name"
        found = [each for each in channels if getattr(each, field) == wanted]
        if found:
            return _only(found, wanted)
        known = ", ".join(each.name for each in channels if each.name) or "none"
        raise NoSuchChannel(f"You are in no channel called {wanted!r}; you are in: {known}")

    async def create(self, name: str, *, private: bool = True) -> Channel:
        """Make a channel."""
        body = {"name": name, "kind": "private" if private else "public"}
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        return await self._http.send(Channel, "POST", "/v1/channels", json=body, headers=headers)

    async def public(self, *, most: int | None = None) -> list[Channel]:
        """Return the channels that everybody can find and join, newest first."""
        return await self._http.items(Channel, "/v1/channels", kind="public", most=most)

    async def find_public(self, name: str) -> Channel:
        """Return a public channel by its name or id. Raises NoSuchChannel, also for several."""
        wanted = name.removeprefix("#")
        if is_id(wanted):
            return await self._http.get(Channel, f"/v1/channels/{wanted}")
        return _only([each for each in await self.public() if each.name == wanted], wanted)

    async def join(self, channel_id: str) -> Membership:
        """Become a member of a public channel, or accept being one. Safe to repeat."""
        path = f"/v1/channels/{channel_id}/join"
        return await self._http.send(Membership, "POST", path, repeatable=True)

    async def leave(self, channel_id: str) -> None:
        """Leave a channel. Raises Problem (`last-owner`, `not-a-member` …)."""
        await self._http.request("POST", f"/v1/channels/{channel_id}/leave")

    async def add(self, channel_id: str, user_id: str) -> None:
        """Put somebody on a channel. Safe to repeat."""
        path = f"/v1/channels/{channel_id}/members"
        await self._http.request("POST", path, json={"user_id": user_id})

    async def conversation(self, user_ids: Sequence[str]) -> Channel:
        """Return the direct channel with somebody, or the group with some; made if need be."""
        body = {"user_ids": list(user_ids)}
        return await self._http.send(
            Channel, "POST", "/v1/conversations", json=body, repeatable=True
        )

    async def direct(self, user_id: str) -> Channel | None:
        """Return the direct conversation with somebody that one sees; None where there is none."""
        for each in await self.memberships():
            others = {other.id for other in each.channel.participants}
            if each.channel.kind == "direct" and user_id in others:
                return each.channel
        return None

    async def hide(self, channel_id: str) -> None:
        """Hide a direct conversation until the next message; the other isn't notified.

        It also takes back that one agreed to be in their company. Other channels are left by it.
        """
        await self._http.request("POST", f"/v1/channels/{channel_id}/leave", repeatable=True)

    async def bans(self, channel_id: str) -> list[Ban]:
        """Return who is kept out of a channel, as its owner or admin."""
        return await self._http.items(Ban, f"/v1/channels/{channel_id}/bans")

    async def ban(self, channel_id: str, user_id: str) -> Ban:
        """Remove somebody from a channel and keep them out. May be repeated.

        Raises Problem (`forbidden`, `conversation-fixed`, `too-many-bans` …).
        """
        return await self._http.send(Ban, "PUT", f"/v1/channels/{channel_id}/bans/{user_id}")

    async def unban(self, channel_id: str, user_id: str) -> None:
        """Let somebody come again: by joining, by a new invite, or by being added."""
        await self._http.request("DELETE", f"/v1/channels/{channel_id}/bans/{user_id}")

    async def send(
        self,
        channel_id: str,
        text: str,
        *,
        attachments: Sequence[str] = (),
        reply_to: str | None = None,
        client_message_id: str | None = None,
    ) -> Message:
        """Say something, exactly once: tried again as often as need be under one key.

        With a `client_message_id` of your own that holds across runs too: sending it again returns
        the first message.
        """
        body: dict[str, object] = {
            "text": text,
            "attachments": list(attachments),
            "client_message_id": client_message_id or str(uuid.uuid4()),
        }
        if reply_to is not None:
            body["reply_to"] = reply_to
        path = f"/v1/channels/{channel_id}/messages"
        return await self._http.send(Message, "POST", path, json=body, repeatable=True)

    async def history(
        self,
        channel_id: str,
        *,
        limit: int = 50,
        before: int | str | None = None,
        after: int | str | None = None,
    ) -> list[Message]:
        """Return up to `limit` messages, oldest first: the latest, or those around a position.

        A position is a `seq` or a message's id; give one of the two.
        """
        path = f"/v1/channels/{channel_id}/messages"
        found: list[Message] = []
        forwards = after is not None
        position: object = after if forwards else before
        while len(found) < limit:
            edge = {"after" if forwards else "before": position}
            page = await self._http.document(path, limit=min(100, limit - len(found)), **edge)
            messages = member(page, "items", list[Message])[::-1]
            found = [*found, *messages] if forwards else [*messages, *found]
            position = page.get("next")
            if position is None or not messages:
                break
        return found

    async def mark_read(self, channel_id: str, *, seq: int | None = None) -> None:
        """Mark as read up to a position, or everything; the mark only moves forward."""
        body = {} if seq is None else {"seq": seq}
        await self._http.request("PUT", f"/v1/channels/{channel_id}/read", json=body)

    async def search(
        self, query: str, *, channel_id: str | None = None, limit: int = 20
    ) -> list[Message]:
        """Find messages in the channels one is in, the best first."""
        found = await self._http.items(Found, "/v1/search", q=query, channel=channel_id, most=limit)
        return [each.message for each in found]


def _only(found: Sequence[Channel], wanted: str) -> Channel:
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(each.id for each in found)
        raise NoSuchChannel(f"Several channels are called {wanted!r}; say which by id: {ids}")
    raise NoSuchChannel(f"There is no public channel called {wanted!r}")
