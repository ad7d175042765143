"""Channels and messages."""

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sharezync.documents import Ban, Channel, Message, User
from sharezync.http import document_of
from sharezync.people import is_id
from sharezync.problems import SharezyncError
from sharezync.shapes import object_in, rows_of

if TYPE_CHECKING:
    from sharezync.session import Session


class NoSuchChannel(SharezyncError):
    """One is in no channel of that name, or in several."""


class Chat:
    """Channels one is in, what is said there, and saying something."""

    def __init__(self, session: "Session") -> None:
        self._session = session

    async def channels(self, *, hidden: bool = False) -> list[Channel]:
        """Return the channels one is in, with unread counts; `hidden`: hidden ones, too."""
        found = [Channel.of(each) async for each in self._session.items("/v1/memberships")]
        return [each for each in found if hidden or not each.hidden]

    async def find(self, name: str) -> Channel:
        """Return a channel one is in by its name or id; of a person (`@ada`) the direct one.

        Raises NoSuchChannel and NobodyCalled.
        """
        if name.startswith("@"):
            user = await self._session.people.find(name)
            return await self.conversation([user.id])
        channels = await self.channels(hidden=True)
        wanted = name.removeprefix("#")
        field = "id" if is_id(wanted) else "name"
        found = [each for each in channels if getattr(each, field) == wanted]
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(each.id for each in found)
            raise NoSuchChannel(f"Several channels are called {wanted!r}; say which by id: {ids}")
        known = ", ".join(each.name for each in channels if each.name) or "none"
        raise NoSuchChannel(f"You are in no channel called {wanted!r}; you are in: {known}")

    async def create(self, name: str, *, private: bool = True) -> Channel:
        """Make a channel."""
        body = {"name": name, "kind": "private" if private else "public"}
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        answer = await self._session.request("POST", "/v1/channels", json=body, headers=headers)
        return Channel.of(document_of(answer))

    async def add(self, channel_id: str, user_id: str) -> None:
        """Put somebody on a channel. Safe to repeat."""
        path = f"/v1/channels/{channel_id}/members"
        await self._session.request("POST", path, json={"user_id": user_id})

    async def conversation(self, user_ids: Sequence[str]) -> Channel:
        """Return the direct channel with somebody, or the group with some; made if need be."""
        answer = await self._session.request(
            "POST", "/v1/conversations", json={"user_ids": list(user_ids)}, repeatable=True
        )
        return Channel.of(document_of(answer))

    async def direct(self, user_id: str) -> Channel | None:
        """Return the direct conversation with somebody that one sees; None where there is none."""
        for each in await self.channels():
            if each.kind == "direct":
                others = rows_of(object_in(each.raw, "channel"), "participants")
                if user_id in {User.of(other).id for other in others}:
                    return each
        return None

    async def hide(self, channel_id: str) -> None:
        """Hide a direct conversation until the next message; the other isn't told.

        It also takes back that one agreed to be in their company. Other channels are left by it.
        """
        await self._session.request("POST", f"/v1/channels/{channel_id}/leave", repeatable=True)

    async def bans(self, channel_id: str) -> list[Ban]:
        """Return who is kept out of a channel, as its owner or admin."""
        found = self._session.items(f"/v1/channels/{channel_id}/bans")
        return [Ban.of(each) async for each in found]

    async def ban(self, channel_id: str, user_id: str) -> Ban:
        """Remove somebody from a channel and keep them out. May be repeated.

        Raises Problem (`forbidden`, `conversation-fixed`, `too-many-bans` …).
        """
        path = f"/v1/channels/{channel_id}/bans/{user_id}"
        return Ban.of(document_of(await self._session.request("PUT", path)))

    async def unban(self, channel_id: str, user_id: str) -> None:
        """Let somebody come again: by joining, by a new invite, or by being added."""
        await self._session.request("DELETE", f"/v1/channels/{channel_id}/bans/{user_id}")

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
        answer = await self._session.request(
            "POST", f"/v1/channels/{channel_id}/messages", json=body, repeatable=True
        )
        return Message.of(document_of(answer))

    async def history(
        self,
        channel_id: str,
        *,
        limit: int = 50,
        before: int | str | None = None,
        after: int | str | None = None,
    ) -> list[Message]:
        """Return up to `limit` messages, oldest first: the latest, or those around a place.

        A place is a `seq` or a message's id; give one of the two.
        """
        path = f"/v1/channels/{channel_id}/messages"
        found: list[Message] = []
        forwards = after is not None
        place: object = after if forwards else before
        while len(found) < limit:
            edge = {"after" if forwards else "before": place}
            page = await self._session.document(path, limit=min(100, limit - len(found)), **edge)
            messages = [Message.of(item) for item in reversed(rows_of(page, "items"))]
            found = [*found, *messages] if forwards else [*messages, *found]
            place = page.get("next")
            if place is None or not messages:
                break
        return found

    async def mark_read(self, channel_id: str, *, seq: int | None = None) -> None:
        """Mark as read up to a place, or everything; the mark only moves forward."""
        body = {} if seq is None else {"seq": seq}
        await self._session.request("PUT", f"/v1/channels/{channel_id}/read", json=body)

    async def search(
        self, query: str, *, channel_id: str | None = None, limit: int = 20
    ) -> list[Message]:
        """Find messages in the channels one is in, the best first."""
        hits = self._session.items("/v1/search", q=query, channel=channel_id, most=limit)
        return [Message.of(object_in(hit, "message")) async for hit in hits]
