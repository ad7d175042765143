"""A client of Zync, which knows nothing of ShareZync, against the gateway with COMPAT_ZYNC."""

import asyncio
import json
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import websockets

from sharezync_testkit.waiting import DEADLINE_SECONDS
from tests.blackbox.people import Person

PASSWORD = "correct horse battery staple"
USER = {"id", "username", "email", "status", "first_name", "last_name", "profile_picture",
        "created_at", "updated_at"}  # fmt: skip
CHANNEL = {"id", "name", "description", "owner_id", "created_at", "updated_at"}
MESSAGE = {"id", "author_id", "channel_id", "message_type", "content", "s3_key", "content_type",
           "original_filename", "created_at", "updated_at", "author"}  # fmt: skip
NOBODY = "01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10"


@dataclass
class ZyncUser:
    """Somebody who signed up and in as Zync's frontend does."""

    base_url: str
    http: httpx.AsyncClient
    profile: dict[str, Any]
    token: str

    @classmethod
    async def sign_up(cls, base_url: str, name: str) -> "ZyncUser":
        http = httpx.AsyncClient(base_url=base_url, timeout=30)
        username = f"{name}{secrets.token_hex(4)}"
        account = {
            "username": username,
            "email": f"{username}@example.com",
            "password": PASSWORD,
        }
        profile = await http.post("/users/", json=account)
        assert profile.status_code == 201, profile.text
        token = await http.post("/token", data={"username": username, "password": PASSWORD})
        assert token.status_code == 200, token.text
        http.headers["Authorization"] = f"Bearer {token.json()['access_token']}"
        return cls(base_url, http, profile.json(), token.json()["access_token"])

    async def ask(self, method: str, path: str, expect: int = 200, **what: Any) -> Any:
        answer = await self.http.request(method, path, **what)
        assert answer.status_code == expect, (method, path, answer.status_code, answer.text)
        if expect >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["detail"]
        return answer.json() if answer.content else None

    async def channel(self, name: str = "general") -> str:
        created = await self.ask("POST", "/channels/", 201, json={"name": name, "description": "d"})
        return str(created["id"])

    async def say(self, channel_id: str, text: str) -> dict[str, Any]:
        path = f"/messages/channels/{channel_id}/messages"
        return dict(await self.ask("POST", path, 201, json={"content": text}))

    def listen(self, channel_id: str, token: str | None = None) -> websockets.connect:
        host = urlsplit(self.base_url).netloc
        return websockets.connect(f"ws://{host}/ws/{channel_id}?token={token or self.token}")


@pytest.fixture
async def ada(base_url: str) -> Any:
    user = await ZyncUser.sign_up(base_url, "ada")
    yield user
    await user.http.aclose()


@pytest.fixture
async def bob_of_zync(base_url: str) -> Any:
    user = await ZyncUser.sign_up(base_url, "bob")
    yield user
    await user.http.aclose()


async def test_users(ada: ZyncUser, bob_of_zync: ZyncUser) -> None:
    bob = bob_of_zync
    me = await ada.ask("GET", "/users/me")
    assert me == ada.profile == await ada.ask("GET", f"/users/{me['id']}") | {"email": me["email"]}
    assert me.keys() == USER
    assert (me["status"], me["profile_picture"], me["first_name"]) == ("active", None, None)

    changed = await ada.ask("PATCH", f"/users/{me['id']}", json={"first_name": "Ada"})
    assert (changed["first_name"], changed["last_name"]) == ("Ada", None)
    changed = await ada.ask("PATCH", f"/users/{me['id']}", json={"last_name": "Lovelace"})
    assert (changed["first_name"], changed["last_name"]) == ("Ada", "Lovelace")
    other = await bob.ask("GET", f"/users/{me['id']}")
    assert (other["last_name"], other["email"]) == ("Lovelace", None)

    everybody = await bob.ask("GET", "/users/", params={"skip": 0, "limit": 100})
    assert {user["id"] for user in everybody} >= {me["id"]} or len(everybody) == 100
    assert len(await bob.ask("GET", "/users/", params={"skip": 1, "limit": 1})) == 1

    await bob.ask("PATCH", f"/users/{me['id']}", 403, json={"first_name": "Eve"})
    await bob.ask("DELETE", f"/users/{me['id']}", 403)
    await bob.ask("GET", f"/users/{NOBODY}", 404)
    await bob.ask("GET", "/users/", 422, params={"skip": "-1"})
    assert (await bob.http.post("/users/", json={"username": "x"})).status_code == 422
    for body in (b"[1]", b'{"a":' * 5000, b"\xff", b"{"):
        assert (await bob.http.post("/users/", content=body)).status_code == 400
    await ada.ask("PATCH", f"/users/{me['id']}", 422, json={"first_name": 7})
    async with httpx.AsyncClient() as stranger:
        assert (await stranger.get(f"{bob.base_url}/users/me")).status_code == 401

    await bob.ask("DELETE", f"/users/{bob.profile['id']}", 422)  # RECENT_LOGIN_SECONDS is 0
    await bob.ask("DELETE", f"/users/{bob.profile['id']}", 204, json={"password": PASSWORD})
    await ada.ask("GET", f"/users/{bob.profile['id']}", 404)


async def test_channels(ada: ZyncUser, bob_of_zync: ZyncUser) -> None:
    bob = bob_of_zync
    channel_id = await ada.channel("engines")
    channel = await bob.ask("GET", f"/channels/{channel_id}")
    assert channel.keys() == CHANNEL
    assert (channel["name"], channel["owner_id"]) == ("engines", ada.profile["id"])

    joined = await bob.ask("POST", f"/channels/{channel_id}/join", 201)
    assert joined.keys() == {"channel_id", "user_id", "joined_at"}
    assert (joined["channel_id"], joined["user_id"]) == (channel_id, bob.profile["id"])
    await bob.ask("POST", f"/channels/{channel_id}/join", 409)
    members = await bob.ask("GET", f"/channels/{channel_id}/members")
    assert {member["id"] for member in members} == {ada.profile["id"], bob.profile["id"]}
    assert all(member.keys() == USER for member in members)

    mine = await bob.ask("GET", "/channels/my-memberships")
    assert [each["id"] for each in mine] == [channel_id]
    assert channel_id in {each["id"] for each in await bob.ask("GET", "/channels/?limit=100")}

    await bob.ask("PATCH", f"/channels/{channel_id}", 403, json={"name": "mine"})
    await ada.ask("PATCH", f"/channels/{channel_id}", json={"name": "steam"})
    owner = {"new_owner_id": bob.profile["id"]}
    passed = await ada.ask("PATCH", f"/channels/{channel_id}/change_owner", params=owner)
    assert (passed["name"], passed["owner_id"]) == ("steam", bob.profile["id"])
    await ada.ask("DELETE", f"/channels/{channel_id}/leave", 204)
    assert await ada.ask("GET", "/channels/my-memberships") == []
    await bob.ask("DELETE", f"/channels/{channel_id}", 204)
    await bob.ask("GET", f"/channels/{channel_id}", 404)


async def test_conversations_are_no_channels(ada: ZyncUser, alice: Person) -> None:
    await alice.post("/v1/conversations", {"user_ids": [ada.profile["id"]]})
    assert await ada.ask("GET", "/channels/my-memberships") == []


async def test_messages(ada: ZyncUser, bob_of_zync: ZyncUser) -> None:
    bob = bob_of_zync
    channel_id = await ada.channel()
    await bob.ask("POST", f"/channels/{channel_id}/join", 201)
    said = [await ada.say(channel_id, f"text {n}") for n in range(4)]
    his = await bob.say(channel_id, "from bob")
    assert said[0].keys() == MESSAGE
    assert (said[0]["message_type"], said[0]["s3_key"]) == ("text", None)
    assert said[0]["author"].keys() == {"id", "username"}

    await ada.ask("DELETE", f"/messages/{said[1]['id']}", 204)
    left = [said[0], said[2], said[3], his]
    path = f"/messages/channel/{channel_id}"
    assert await bob.ask("GET", path) == left
    assert await bob.ask("GET", path, params={"skip": 1, "limit": 2}) == left[1:3]
    assert await bob.ask("GET", f"/messages/user/{ada.profile['id']}") == left[:3]
    assert await bob.ask("GET", f"{path}/user/{bob.profile['id']}") == [his]

    edited = await ada.ask("PATCH", f"/messages/{his['id']}", json={"content": "by the owner"})
    assert (edited["content"], edited["author"]) == ("by the owner", his["author"])
    await bob.ask("PATCH", f"/messages/{said[0]['id']}", 403, json={"content": "x"})
    await bob.ask("GET", f"/messages/{said[1]['id']}", 404)
    assert await bob.ask("GET", f"/messages/{said[0]['id']}") == said[0]
    await bob.ask("GET", f"/messages/{said[0]['id']}/access-url", 400)
    await bob.ask("POST", f"/messages/channels/{channel_id}/messages", 422, json={"content": ""})


async def test_more_messages_than_a_page_of_ours(ada: ZyncUser) -> None:
    channel_id = await ada.channel()
    for number in range(105):
        await ada.say(channel_id, str(number))
    path = f"/messages/channel/{channel_id}"
    rest = await ada.ask("GET", path, params={"skip": 98, "limit": 100})
    assert [message["content"] for message in rest] == [str(n) for n in range(98, 105)]


async def test_files(ada: ZyncUser, bob_of_zync: ZyncUser) -> None:
    channel_id = await ada.channel()
    await bob_of_zync.ask("POST", f"/channels/{channel_id}/join", 201)
    path = f"/messages/channels/{channel_id}/files"
    form = {"file": ("engine.png", b"\x89PNG\r\n\x1a\n" + bytes(5000), "image/png")}
    message = await ada.ask("POST", path, 201, files=form)
    assert message.keys() == MESSAGE
    told = [message[name] for name in ("message_type", "content", "original_filename")]
    assert told == ["image", None, "engine.png"]
    assert message["s3_key"]

    found = await bob_of_zync.ask("GET", f"/messages/{message['id']}/access-url")
    async with httpx.AsyncClient() as stranger:
        file = await stranger.get(found["access_url"])
    assert file.content == form["file"][1]
    await ada.ask("POST", f"/messages/channels/{NOBODY}/files", 404, files=form)


async def test_a_socket_brings_bare_messages_of_one_channel_and_nothing_else(
    ada: ZyncUser, bob_of_zync: ZyncUser
) -> None:
    bob = bob_of_zync
    channel_id, elsewhere = await ada.channel(), await ada.channel("elsewhere")
    for each in (channel_id, elsewhere):
        await bob.ask("POST", f"/channels/{each}/join", 201)
    async with bob.listen(channel_id) as socket:
        await socket.send("hello?")  # what is sent means nothing
        await socket.send(b"\x00")
        first = await ada.say(channel_id, "first")
        await ada.ask("PATCH", f"/messages/{first['id']}", json={"content": "changed"})
        await ada.say(elsewhere, "not for this socket")
        await ada.ask("DELETE", f"/messages/{first['id']}", 204)
        second = await ada.say(channel_id, "second, " + "long " * 100)
        async with asyncio.timeout(DEADLINE_SECONDS):
            frames = [json.loads(await socket.recv()) for _ in range(2)]
    assert frames == [first, second]
    devices = await bob.ask("GET", "/v1/devices")
    assert devices["items"] == []


async def test_a_socket_without_right_is_closed_with_1008(
    ada: ZyncUser, bob_of_zync: ZyncUser
) -> None:
    channel_id = await ada.channel()
    for token in ("no.such.token", bob_of_zync.token):  # who isn't a member
        async with ada.listen(channel_id, token) as socket:
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await asyncio.wait_for(socket.recv(), DEADLINE_SECONDS)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008


async def test_a_socket_ends_with_its_login_and_its_membership(
    ada: ZyncUser, bob_of_zync: ZyncUser
) -> None:
    bob = bob_of_zync
    channel_id = await ada.channel()
    await bob.ask("POST", f"/channels/{channel_id}/join", 201)
    async with bob.listen(channel_id) as his, ada.listen(channel_id) as hers:
        message = await ada.say(channel_id, "here")
        for socket in (his, hers):
            heard = await asyncio.wait_for(socket.recv(), DEADLINE_SECONDS)
            assert json.loads(heard) == message
        await bob.ask("DELETE", f"/channels/{channel_id}/leave", 204)
        await ada.ask("POST", "/v1/auth/logout", 204, json={"scope": "global"})
        for socket in (his, hers):
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await asyncio.wait_for(socket.recv(), DEADLINE_SECONDS)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008
