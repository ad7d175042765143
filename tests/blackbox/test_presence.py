"""Who is online and who is typing, told to whom they agreed to be with, and to nobody else."""

from tests.blackbox.people import Json, Person, Socket


async def told(socket: Socket, user_id: str, *, online: bool, after: int = 0) -> Json:
    """Wait for the signal that says so, and return what it says of the user."""

    def of_user(frame: Json) -> list[Json]:
        if frame["type"] != "presence":
            return []
        users: list[Json] = frame["data"]["users"]
        return [u for u in users if (u["user_id"], u["online"]) == (user_id, online)]

    return of_user(await socket.frame(lambda frame: bool(of_user(frame)), after=after))[0]


async def test_acquaintances_see_each_other_come_and_go(
    alice: Person, bob: Person, carol: Person
) -> None:
    channel_id = await alice.channel()
    await alice.add(channel_id, bob)
    await bob.say(channel_id, "here I am")
    async with alice.connected() as alices:
        reply = await alices.command("subscribe", users=[bob.id, carol.id, alice.id])
        data = reply["data"]
        assert set(data["subscribed"]["users"]) == {bob.id, alice.id}
        assert data["refused"]["users"] == [carol.id]
        presence = {each["user_id"]: each for each in data["presence"]}
        assert presence[alice.id]["online"] is True
        assert presence[bob.id] == {"user_id": bob.id, "online": False, "last_seen_at": None}
        async with carol.connected(), bob.connected("phone"):
            assert (await told(alices, bob.id, online=True))["last_seen_at"] is None
            after = len(alices.frames)
        gone = await told(alices, bob.id, online=False, after=after)
        assert gone["last_seen_at"].startswith("20")
        again = await alices.command("subscribe", users=[bob.id])
        assert again["data"]["presence"] == [gone]
        assert carol.id not in str([f for f in alices.frames if f["type"] == "presence"])


async def test_typing_is_told_until_one_is_removed(
    alice: Person, bob: Person, carol: Person
) -> None:
    channel_id = await alice.channel()
    await alice.add(channel_id, bob)
    async with (
        alice.connected() as alices,
        alice.connected("tablet") as tablet,
        bob.connected() as bobs,
        carol.connected() as carols,
    ):
        for socket in (alices, bobs):
            reply = await socket.command("subscribe", channels=[channel_id])
            assert reply["data"]["subscribed"]["channels"] == [channel_id]
        refused = await carols.command("subscribe", channels=[channel_id])
        assert refused["data"]["refused"]["channels"] == [channel_id]
        assert (await carols.command("typing", channel_id=channel_id))["code"] == "not-found"
        assert (await alices.command("typing", channel_id=channel_id))["type"] == "reply"
        signal = await bobs.of_type("typing")
        assert signal["data"] == {"channel_id": channel_id, "user_id": alice.id}
        removed = await alice.http.delete(f"/v1/channels/{channel_id}/members/{bob.id}")
        assert removed.status_code == 204, removed.text
        await bobs.event("member.left", channel_id=channel_id)
        await tablet.command("typing", channel_id=channel_id)
        assert (await bobs.command("typing", channel_id=channel_id))["code"] == "not-found"
        assert len([f for f in bobs.frames if f["type"] == "typing"]) == 1
        assert not [f for f in alices.frames if f["type"] == "typing"]
