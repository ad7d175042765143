"""Every route against every role. A new route needs a row here."""

import json
from dataclasses import dataclass
from typing import Final

import pytest

from services.chat.tests.support.world import Json, Person, World

ROLES = ("owner", "admin", "member", "outsider of a public one", "outsider of a private one")


@dataclass(frozen=True)
class Row:
    """What each of ROLES is answered, in their order. Message and member are somebody else's."""

    statuses: tuple[int, int, int, int, int]
    body: Json | None = None
    query: str = ""


MATRIX: Final[dict[str, Row]] = {
    # one's own, whoever one is
    "GET /v1/channels": Row((200, 200, 200, 200, 200)),
    "POST /v1/channels": Row((201, 201, 201, 201, 201), {"name": "x", "kind": "public"}),
    "POST /v1/conversations": Row((201, 201, 201, 201, 201), {"user_ids": ["{other}"]}),
    "GET /v1/memberships": Row((200, 200, 200, 200, 200)),
    "GET /v1/sync": Row((200, 200, 200, 200, 200)),
    "GET /v1/messages": Row((200, 200, 200, 200, 200), query="?author={user_id}"),
    "GET /v1/search": Row((200, 200, 200, 200, 200), query="?q=hello"),
    # a channel
    "GET /v1/channels/{channel_id}": Row((200, 200, 200, 200, 404)),
    "PATCH /v1/channels/{channel_id}": Row((200, 200, 403, 403, 404), {"topic": "t"}),
    "DELETE /v1/channels/{channel_id}": Row((204, 403, 403, 403, 404)),
    "PUT /v1/channels/{channel_id}/read": Row((200, 200, 200, 403, 404), {}),
    "POST /v1/channels/{channel_id}/join": Row((200, 200, 200, 201, 404)),
    "POST /v1/channels/{channel_id}/leave": Row((409, 204, 204, 403, 404)),
    "POST /v1/channels/{channel_id}/owner": Row(
        (200, 403, 403, 403, 404), {"user_id": "{user_id}"}
    ),
    # its pins, and ways in
    "GET /v1/channels/{channel_id}/pins": Row((200, 200, 200, 403, 404)),
    "PUT /v1/channels/{channel_id}/pins/{message_id}": Row((204, 204, 403, 403, 404)),
    "DELETE /v1/channels/{channel_id}/pins/{message_id}": Row((204, 204, 403, 403, 404)),
    "GET /v1/channels/{channel_id}/bans": Row((200, 200, 403, 403, 404)),
    "PUT /v1/channels/{channel_id}/bans/{user_id}": Row((200, 200, 403, 403, 404)),
    "DELETE /v1/channels/{channel_id}/bans/{user_id}": Row((204, 204, 403, 403, 404)),
    "GET /v1/channels/{channel_id}/invites": Row((200, 200, 403, 403, 404)),
    "POST /v1/channels/{channel_id}/invites": Row((201, 201, 403, 403, 404), {}),
    "DELETE /v1/channels/{channel_id}/invites/{invite_id}": Row((204, 204, 403, 403, 404)),
    "POST /v1/invites/{code}/accept": Row((200, 200, 200, 201, 201)),
    # its members
    "GET /v1/channels/{channel_id}/members": Row((200, 200, 200, 403, 404)),
    "POST /v1/channels/{channel_id}/members": Row(
        (201, 201, 403, 403, 404), {"user_id": "{other}"}
    ),
    "PATCH /v1/channels/{channel_id}/members/{user_id}": Row(
        (200, 403, 403, 403, 404), {"role": "admin"}
    ),
    "DELETE /v1/channels/{channel_id}/members/{user_id}": Row((204, 204, 403, 403, 404)),
    # its messages
    "GET /v1/channels/{channel_id}/messages": Row((200, 200, 200, 403, 404)),
    "POST /v1/channels/{channel_id}/messages": Row((201, 201, 201, 403, 404), {"text": "x"}),
    "GET /v1/messages/{message_id}": Row((200, 200, 200, 404, 404)),
    "GET /v1/messages/{message_id}/edits": Row((200, 200, 200, 404, 404)),
    "GET /v1/messages/{message_id}/replies": Row((200, 200, 200, 404, 404)),
    "PUT /v1/messages/{message_id}/reactions/{emoji}": Row((204, 204, 204, 404, 404)),
    "DELETE /v1/messages/{message_id}/reactions/{emoji}": Row((204, 204, 204, 404, 404)),
    "PATCH /v1/messages/{message_id}": Row((200, 403, 403, 404, 404), {"text": "x"}),
    "DELETE /v1/messages/{message_id}": Row((204, 204, 403, 404, 404)),
    "GET /v1/messages/{message_id}/attachments/{file_id}": Row((307, 307, 307, 404, 404)),
}

INTERNAL: Final = (
    "POST /internal/commands",
    "GET /internal/acquaintances",
    "POST /internal/acquaintances",
    "GET /internal/streams/heads",
    "GET /internal/streams/replay",
    "POST /internal/streams/changes",
)


async def test_every_route_has_a_row(world: World) -> None:
    routes = {
        f"{method.upper()} {path}"
        for path, operations in world.app.openapi()["paths"].items()
        for method in operations
    }
    assert routes == MATRIX.keys() | set(INTERNAL)


@dataclass(frozen=True)
class Stage:
    """Whoever plays the role, and the ids that a route's name and body stand for."""

    who: Person
    ids: dict[str, str]


async def set_up(world: World, role: str) -> Stage:
    owner, author, other = await world.people("owner", "author", "other")
    who = owner if role == "owner" else await world.person()
    channel = await owner.channel("private" if "private" in role else "public", author)
    if role in {"admin", "member"}:
        await owner.post(f"{channel}/members", {"user_id": who.id, "role": role})
    file_id = world.peers.add_file(author.id)
    message = await author.say(channel, attachments=[file_id])
    invite = await owner.post(f"{channel}/invites")
    ids = {
        "channel_id": channel.rpartition("/")[2],
        "message_id": message["id"],
        "user_id": author.id,
        "file_id": file_id,
        "other": other.id,
        "emoji": ":thumbsup:",
        "invite_id": invite["id"],
        "code": invite["code"],
    }
    return Stage(who, ids)


@pytest.mark.parametrize("role", ROLES)
async def test_every_route_answers_every_role_as_the_table_says(world: World, role: str) -> None:
    looking = await set_up(world, role)
    for name, row in MATRIX.items():
        method, _, template = name.partition(" ")
        stage = looking if method == "GET" else await set_up(world, role)
        url = (template + row.query).format(**stage.ids)
        answer = await stage.who.http.request(method, url, json=_filled(row.body, stage.ids))
        assert answer.status_code == row.statuses[ROLES.index(role)], f"{name}: {answer.text}"
        if answer.is_error:
            assert answer.headers["content-type"] == "application/problem+json"


def _filled(body: Json | None, ids: dict[str, str]) -> Json | None:
    """Return the body with the names in braces replaced by what they stand for."""
    text = json.dumps(body)
    for name, value in ids.items():
        text = text.replace(f"{{{name}}}", value)
    filled: Json | None = json.loads(text)
    return filled
