"""A stranger learns nothing by what they do themselves, and a block means the same everywhere."""

import asyncio

import pytest

from sharezync_testkit.waiting import DEADLINE_SECONDS
from tests.blackbox.people import Json, Person, Socket


async def post(who: Person, path: str, body: Json | None = None) -> tuple[int, str]:
    answer = await who.http.post(path, json=body)
    return answer.status_code, answer.json().get("code", "") if answer.content else ""


async def sees_devices(who: Person, whom: Person) -> bool:
    answer = await who.http.get(f"/v1/users/{whom.id}/devices")
    assert answer.status_code in {200, 404}, answer.text
    return answer.status_code == 200 and bool(answer.json()["items"])


async def presence(socket: Socket, whom: Person) -> Json:
    """Return what a subscription tells at first: nothing of whom one may not see."""
    data = (await socket.command("subscribe", users=[whom.id]))["data"]
    assert (whom.id in data["subscribed"]["users"]) is bool(data["presence"])
    return {key: value for each in data["presence"] for key, value in each.items()}


async def sees_presence(socket: Socket, whom: Person) -> bool:
    return bool(await presence(socket, whom))


async def sees_nobody(socket: Socket) -> None:
    """Return once a device is subscribed to nobody any more."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            reply = await socket.command("unsubscribe", users=[])
            if not reply["data"]["subscribed"]["users"]:
                return
            await asyncio.sleep(0.05)


def an_offer(whom: Person) -> Json:
    return {"recipients": [{"user_id": whom.id}], "files": [{"name": "a.txt", "size": 0}]}


async def offer(who: Person, whom: Person) -> Json:
    return await who.post("/v1/transfers", an_offer(whom))


async def refused(who: Person, path: str, body: Json) -> str:
    """Post until it is refused, as it is once the service has heard of a block; returns why."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            status, code = await post(who, path, body)
            if status >= 400:
                return code
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("how", ["channel", "conversation"])
async def test_adding_somebody_tells_a_stranger_nothing_until_they_answer(
    alice: Person, bob: Person, how: str
) -> None:
    """Bob is the stranger. alice takes at once what people send whom she knows."""
    async with alice.connected() as alices, bob.connected() as bobs:
        device = (await alices.of_type("ready"))["device"]
        await alice.http.put(f"/v1/transfers/policies/{device}", json={"policy": "accept_known"})
        if how == "channel":
            channel_id = await bob.channel()
            await bob.add(channel_id, alice)
        else:
            made = await bob.post("/v1/conversations", {"user_ids": [alice.id]})
            channel_id = made["id"]
        await bob.say(channel_id, "hello?")
        await alices.event("message.created", text="hello?")
        assert not await sees_presence(bobs, alice)
        assert not await sees_devices(bob, alice)
        assert (await offer(bob, alice))["state"] == "offered"
        assert await sees_presence(alices, bob), "bob chose to be there with her"

        await alice.say(channel_id, "hello yourself")
        assert await sees_presence(bobs, alice)
        assert await sees_devices(bob, alice)
        assert (await offer(bob, alice))["state"] == "verifying", "taken: there is nothing to come"

        left = await alice.http.post(f"/v1/channels/{channel_id}/leave")
        assert left.status_code == 204, "everybody can leave, or hide what can't be left"


@pytest.mark.parametrize("blocker", ["alice", "bob"])
async def test_a_block_ends_everything_both_ways(alice: Person, bob: Person, blocker: str) -> None:
    one, other = (alice, bob) if blocker == "alice" else (bob, alice)
    channel_id = await alice.channel()
    await alice.add(channel_id, bob)
    direct = (await alice.post("/v1/conversations", {"user_ids": [bob.id]}))["id"]
    for who in (alice, bob):
        await who.say(channel_id, "hi")
        await who.say(direct, "hi")
    async with alice.connected() as alices, bob.connected() as bobs:
        assert await sees_presence(alices, bob)
        assert await sees_presence(bobs, alice)
        assert (await one.http.put(f"/v1/blocks/{other.id}")).status_code == 200
        # What stands ends by itself, for who blocked; the other one sees them go.
        ones, others_socket = (alices, bobs) if one is alice else (bobs, alices)
        await sees_nobody(ones)
        assert not await sees_presence(ones, other)
        gone = {"user_id": one.id, "online": False, "last_seen_at": None}
        await others_socket.frame(
            lambda frame: frame["type"] == "presence" and frame["data"]["users"] == [gone]
        )
        assert await presence(others_socket, one) == gone
        for who, whom in ((one, other), (other, one)):
            assert not await sees_devices(who, whom)
        assert (await other.get(f"/v1/users/{one.id}/devices"))["items"] == []

        path = f"/v1/channels/{direct}/messages"
        assert await refused(other, path, {"text": "hello?"}) == "user-unreachable"
        assert await refused(one, path, {"text": "hello?"}) == "user-blocked"
        assert await refused(one, "/v1/transfers", an_offer(other)) == "user-blocked"
        others = await other.channel()
        added = await post(other, f"/v1/channels/{others}/members", {"user_id": one.id})
        assert added == (403, "user-unreachable")
        assert (await offer(other, one))["state"] == "offered", "as if there was no answer"
        assert (await one.get("/v1/transfers?role=recipient"))["items"] == []
        read = await other.get(path)
        assert len(read["items"]) >= 2, "it stays readable"
        told = [f["type"] for f in (bobs if one is alice else alices).frames]
        assert not [each for each in told if each.startswith("user_")]

        # In what both are in, neither is told that the other types, and calls don't count.
        for socket in (alices, bobs):
            await socket.command("subscribe", channels=[channel_id])
        await (bobs if one is alice else alices).command("typing", channel_id=channel_id)
        await other.say(channel_id, f"@{one.username} @channel")
        await ones.event("message.created", text=f"@{one.username} @channel")
        assert not [f for f in ones.frames if f["type"] == "typing"]
        mine = (await one.get("/v1/memberships"))["items"]
        assert [m["mention_count"] for m in mine if m["channel"]["id"] == channel_id] == [0]


async def test_a_setting_says_who_may_add_one(alice: Person, bob: Person) -> None:
    changed = await alice.http.patch("/v1/users/me", json={"who_may_add": "nobody"})
    assert changed.json()["who_may_add"] == "nobody"
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            channel_id = await bob.channel()
            added = await post(bob, f"/v1/channels/{channel_id}/members", {"user_id": alice.id})
            if added == (403, "user-unreachable"):
                break
            await asyncio.sleep(0.05)
    opened = await post(bob, "/v1/conversations", {"user_ids": [alice.id]})
    assert opened == (403, "user-unreachable")
    await alice.post("/v1/conversations", {"user_ids": [bob.id]})


async def test_a_removed_admin_does_not_take_their_own_invite(alice: Person, bob: Person) -> None:
    channel_id = await alice.channel()
    members = f"/v1/channels/{channel_id}/members"
    await alice.post(members, {"user_id": bob.id, "role": "admin"})
    invite = await bob.post(f"/v1/channels/{channel_id}/invites")
    assert (await alice.http.delete(f"{members}/{bob.id}")).status_code == 204
    assert await post(bob, f"/v1/invites/{invite['code']}/accept") == (410, "invite-gone")
    await alice.http.put(f"/v1/channels/{channel_id}/bans/{bob.id}")
    fresh = await alice.post(f"/v1/channels/{channel_id}/invites")
    assert await post(bob, f"/v1/invites/{fresh['code']}/accept") == (403, "banned")
