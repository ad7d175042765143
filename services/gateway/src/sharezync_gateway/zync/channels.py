"""Channels, for Zync's clients."""

import asyncio

from sharezync_gateway.errors import AlreadyMember
from sharezync_gateway.zync.documents import KINDS, Document, channel_of, user_of
from sharezync_gateway.zync.requests import ZyncRequest, span_of
from sharezync_gateway.zync.users import Outcome

_AT_ONCE = 8


async def create(request: ZyncRequest) -> Outcome:
    """Create a public channel."""
    body = await request.body()
    channel = {"kind": "public", **_fields(body)}
    answer = await request.call("POST", "/v1/channels", body=channel)
    return 201, channel_of(answer.json())


async def page(request: ZyncRequest) -> Outcome:
    """List the channels that one can see, newest first."""
    found = await span_of(
        request.pages("/v1/channels"), request.span(), wanted=lambda item: item["kind"] in KINDS
    )
    return 200, [channel_of(channel) for channel in found]


async def of_mine(request: ZyncRequest) -> Outcome:
    """List the channels that one is in."""
    found = await span_of(
        request.pages("/v1/memberships"),
        request.span(),
        wanted=lambda item: item["channel"]["kind"] in KINDS,
    )
    return 200, [channel_of(membership["channel"]) for membership in found]


async def get(request: ZyncRequest) -> Outcome:
    """Get a channel."""
    return 200, channel_of((await request.call("GET", _path(request))).json())


async def update(request: ZyncRequest) -> Outcome:
    """Rename or describe a channel."""
    body = _fields(await request.body())
    return 200, channel_of((await request.call("PATCH", _path(request), body=body)).json())


async def delete(request: ZyncRequest) -> Outcome:
    """Delete a channel."""
    await request.call("DELETE", _path(request))
    return 204, None


async def change_owner(request: ZyncRequest) -> Outcome:
    """Transfer ownership to the user `new_owner_id`, who must be a member."""
    body = {"user_id": request.query().get("new_owner_id")}
    return 200, channel_of((await request.call("POST", _path(request, "/owner"), body=body)).json())


async def join(request: ZyncRequest) -> Outcome:
    """Join a public channel; who is in it already gets 409."""
    answer = await request.call("POST", _path(request, "/join"))
    if answer.status == 200:
        raise AlreadyMember
    joined_at = answer.json()["joined_at"]
    return 201, {"channel_id": request.part(2), "user_id": request.user_id, "joined_at": joined_at}


async def leave(request: ZyncRequest) -> Outcome:
    """Leave a channel."""
    await request.call("POST", _path(request, "/leave"))
    return 204, None


async def members(request: ZyncRequest) -> Outcome:
    """List the members of a channel, as users."""
    found = await span_of(request.pages(_path(request, "/members")), request.span())
    turns = asyncio.Semaphore(_AT_ONCE)

    async def user(member: Document) -> Document:
        async with turns:
            answer = await request.call("GET", f"/v1/users/{member['user']['id']}")
        return user_of(answer.json())

    return 200, await asyncio.gather(*map(user, found))


def _path(request: ZyncRequest, more: str = "") -> str:
    return f"/v1/channels/{request.part(2)}{more}"


def _fields(body: Document) -> Document:
    return {n: body[n] for n in ("name", "description") if body.get(n) is not None}
