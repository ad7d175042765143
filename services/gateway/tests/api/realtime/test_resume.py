"""Coming back: what was missed, in order, on whatever node."""

import asyncio
import json

import pytest

from services.gateway.tests.api.realtime.world import Device, Node, User, World
from sharezync_gateway.realtime import budget, resuming
from sharezync_shared.streams.frames import Control
from sharezync_testkit.waiting import wait_until


async def test_a_socket_resumes_on_another_node(world: World, ada: User) -> None:
    channel = world.channel(ada)
    async with world.node() as first, world.node() as second:
        async with first.device(ada) as device:
            await world.say(channel)
            assert await device.seqs(1) == [1]
        for _ in range(3):
            await world.say(channel)
        async with second.device(ada) as device:
            frame_id = await device.say("resume", cursors={channel: ["e1", 1]})
            assert await device.seqs(3) == [2, 3, 4]
            assert await device.frame() == {
                "type": "resumed",
                "id": frame_id,
                "streams": {channel: {"result": "replayed", "events": 3}},
            }
            await world.say(channel)
            assert await device.seqs(1) == [5]
        assert second.count("sharezync_ws_resumes_total", result="replayed") == 1


async def test_cursors_in_the_first_frame_leave_no_room_for_live_frames_between(
    world: World, node: Node, ada: User
) -> None:
    channel = world.channel(ada)
    for _ in range(3):
        world.services.say(channel)
    async with node.device(ada, by="frame") as device:
        gate = world.services.gate["replay"] = asyncio.Event()
        await device.say("authenticate", token=device.token, cursors={channel: ["e1", 1]})
        assert (await device.frame("ready"))["heads"][channel] == ["e1", 3]
        await wait_until(lambda: any(call[0] == "replay" for call in world.services.asked))
        await world.say(channel, "live, while the log is being read")
        await device.hears_nothing_yet()
        gate.set()
        assert await device.seqs(3) == [2, 3, 4]
        outcome = (await device.frame("resumed"))["streams"][channel]
        assert outcome == {"result": "replayed", "events": 3}
        await world.say(channel)
        assert await device.seqs(1) == [5]


async def test_a_resume_sent_without_waiting_leaves_no_room_for_live_frames_either(
    world: World, node: Node, ada: User, bob: User
) -> None:
    channel = world.channel(ada, bob)
    async with node.device(bob) as bobs:
        for _ in range(3):
            await world.say(channel)
        gate = world.services.gate["heads"] = asyncio.Event()
        device = node.device(ada)
        device._waits_for_ready = False
        async with device:
            await device.say("resume", cursors={channel: ["e1", 0]})
            await device.say("ping")
            await wait_until(lambda: ("heads", ada.id) in world.services.asked)
            await asyncio.sleep(0.05)  # whatever the client sent has arrived
            gate.set()
            for _ in range(40):  # one at every turn of the loop
                await world.say(channel)
                await asyncio.sleep(0)
            frames = await device.frames(46)
            assert frames[0]["type"] == "ready"
            assert [f["seq"] for f in frames if f["type"] == "said"] == list(range(1, 44))
            assert [f["type"] for f in frames].index("resumed") > 3
        assert await bobs.seqs(43) == list(range(1, 44))


async def test_what_came_before_a_resume_was_read_comes_again_in_its_turn(
    world: World, node: Node, ada: User
) -> None:
    """So clients may pass over what is not the next event, until `resumed`."""
    channel = world.channel(ada)
    for _ in range(2):
        world.services.say(channel)
    async with node.device(ada) as device:
        await world.say(channel, "before the resume arrives")
        assert await device.seqs(1) == [3]
        await device.say("resume", cursors={channel: ["e1", 0]})
        assert await device.seqs(3) == [1, 2, 3]
        outcome = (await device.frame("resumed"))["streams"][channel]
        assert outcome == {"result": "replayed", "events": 3}
        await world.say(channel)
        assert await device.seqs(1) == [4]


async def test_each_stream_is_told_what_became_of_it(
    world: World, node: Node, ada: User, bob: User
) -> None:
    current, behind, far, foreign, renewed = (world.channel(ada) for _ in range(5))
    gone = world.channel(bob)
    say = world.services.say
    say(current)
    say(behind)
    say(behind)
    for _ in range(600):
        say(far)
    async with node.device(ada) as device:
        cursors = {
            current: ["e1", 1],
            behind: ["e1", 1],
            far: ["e1", 2],
            foreign: ["e1", 9],
            renewed: ["e0", 0],
            gone: ["e1", 0],
            "nonsense": ["e1", 0],
        }
        await device.say("resume", cursors=cursors)
        told = {}
        while (frame := await device.frame())["type"] != "resumed":
            told[frame["stream"]] = (frame["type"], frame["seq"])
        assert told == {
            behind: ("said", 2),
            far: ("reset", 600),
            foreign: ("reset", 0),
            renewed: ("reset", 0),
        }
        assert {stream: o["result"] for stream, o in frame["streams"].items()} == {
            current: "current",
            behind: "replayed",
            far: "reset",
            foreign: "reset",
            renewed: "reset",
            gone: "gone",
            "nonsense": "gone",
        }
        for stream in (current, behind, far, foreign, renewed):
            await world.say(stream)
        assert {frame["stream"] for frame in await device.frames(5)} == set(cursors) - {
            gone,
            "nonsense",
        }


async def test_a_gap_that_a_client_saw_is_replayed(world: World, node: Node, ada: User) -> None:
    channel = world.channel(ada)
    async with node.device(ada) as device:
        for _ in range(4):
            await world.say(channel)
        assert await device.seqs(4) == [1, 2, 3, 4]
        await device.say("replay", stream=channel, after=2)
        assert await device.seqs(2) == [3, 4]
        assert (await device.frame("resumed"))["streams"][channel]["events"] == 2


async def test_what_is_both_in_the_log_and_live_is_sent_once(
    world: World, node: Node, ada: User
) -> None:
    channel = world.channel(ada)
    for _ in range(2):
        world.services.say(channel)
    async with node.device(ada) as device:
        gate = world.services.first_gate["replay"] = asyncio.Event()
        await device.say("resume", cursors={channel: ["e1", 0]})
        await wait_until(lambda: any(call[0] == "replay" for call in world.services.asked))
        for _ in range(3):
            await world.say(channel)
        gate.set()
        assert await device.seqs(5) == [1, 2, 3, 4, 5]
        await device.frame("resumed")
        await device.hears_nothing()


async def test_live_frames_keep_coming_in_order_however_many_come_during_a_resume(
    world: World, node: Node, ada: User
) -> None:
    channel = world.channel(ada)
    for _ in range(100):
        world.services.say(channel, "old")
    async with node.device(ada) as device:
        gate = world.services.gate["replay"] = asyncio.Event()
        await device.say("resume", cursors={channel: ["e1", 0]})
        await wait_until(lambda: any(call[0] == "replay" for call in world.services.asked))
        for _ in range(200):  # more than is kept for a connection that catches up
            await world.say(channel, "x" * 1000)
        gate.set()
        assert await device.seqs(300) == list(range(1, 301))
        outcome = (await device.frame("resumed"))["streams"][channel]
        assert outcome == {"result": "replayed", "events": 300}
        await world.say(channel)
        assert await device.seqs(1) == [301]


async def test_who_is_removed_during_a_resume_gets_nothing_after_it(
    world: World, node: Node, ada: User
) -> None:
    channel = world.channel(ada)
    world.services.say(channel)
    async with node.device(ada) as device:
        gate = world.services.gate["replay"] = asyncio.Event()
        await device.say("resume", cursors={channel: ["e1", 0]})
        await wait_until(lambda: any(call[0] == "replay" for call in world.services.asked))
        await world.say(channel, "ada leaves", control=Control(leave=[ada.id]))
        await world.say(channel, "not for ada")
        gate.set()
        told = []
        while (frame := await device.frame())["type"] != "resumed":
            told.append(frame["seq"])
        assert 3 not in told
        assert frame["streams"][channel]["result"] == "gone"
        await world.say(channel, "nor this")
        await device.hears_nothing()


async def test_an_owner_that_comes_back_soon_is_waited_for(
    world: World, node: Node, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    async def pause(_: float) -> None:
        asked.set()
        world.services.away.clear()

    channel = world.channel(ada)
    world.services.say(channel)
    async with node.device(ada) as device:
        world.services.away.add("chat")
        monkeypatch.setattr(resuming, "_pause", pause)
        await device.say("resume", cursors={channel: ["e1", 0]})
        assert await device.seqs(1) == [1]
        assert (await device.frame("resumed"))["streams"][channel]["result"] == "replayed"
    assert asked.is_set()


async def test_a_replay_that_cannot_be_had_becomes_a_reset(
    world: World, node: Node, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resuming, "_PAUSES_SECONDS", (0.01,))
    channel = world.channel(ada)
    world.services.say(channel)
    async with node.device(ada) as device:
        world.services.away.add("chat")
        await device.say("resume", cursors={channel: ["e1", 0]})
        assert await device.frame() == {"type": "reset", "stream": channel, "epoch": "e1", "seq": 1}
        assert (await device.frame("resumed"))["streams"][channel]["result"] == "reset"
        await world.say(channel)
        assert await device.seqs(1) == [2]


async def test_a_resume_that_takes_too_long_becomes_a_reset(
    world: World, node: Node, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resuming, "_SECONDS", 0.05)
    channel = world.channel(ada)
    world.services.say(channel)
    async with node.device(ada) as device:
        world.services.gate["replay"] = asyncio.Event()
        await device.say("resume", cursors={channel: ["e1", 0]})
        assert await device.frame() == {"type": "reset", "stream": channel, "epoch": "e1", "seq": 1}
        assert (await device.frame("resumed"))["streams"][channel]["result"] == "reset"
        await world.say(channel)
        assert await device.seqs(1) == [2]


async def test_a_client_ahead_of_its_new_node_sees_no_double(world: World, ada: User) -> None:
    channel = world.channel(ada)
    async with world.node() as node, node.device(ada, "other") as other:
        lost = [world.services.say(channel) for _ in range(2)]  # this node has not heard of them
        async with node.device(ada) as device:
            assert device.head(channel) == ("e1", 2)
            await device.say("resume", cursors={channel: ["e1", 2]})
            assert (await device.frame("resumed"))["streams"][channel]["result"] == "current"
            await world.send(*lost)
            await world.say(channel)
            assert await device.seqs(1) == [3]
            assert await other.seqs(3) == [1, 2, 3]


async def test_what_the_log_told_is_not_told_again_when_the_node_hears_of_it(
    world: World, node: Node, ada: User, bob: User
) -> None:
    channel = world.channel(ada, bob)
    async with node.device(bob) as bobs:
        await world.say(channel)
        async with node.device(ada) as device:
            late = [world.services.say(channel) for _ in range(2)]
            await device.say("resume", cursors={channel: ["e1", 0]})
            assert await device.seqs(3) == [1, 2, 3]
            await device.frame("resumed")
            await world.send(*late)
            await world.say(channel)
            assert await device.seqs(1) == [4]
        assert await bobs.seqs(4) == [1, 2, 3, 4]


async def test_pong_may_tell_where_streams_stand(world: World, node: Node, ada: User) -> None:
    channel = world.channel(ada)
    async with node.device(ada) as device:
        await world.say(channel)
        assert await device.seqs(1) == [1]
        await device.socket.send(json.dumps({"type": "ping", "heads": True}))
        heads = (await device.frame("pong"))["heads"]
        assert heads[channel] == ["e1", 1]
        assert set(heads) == set(device.ready["heads"])


async def test_the_sockets_of_one_user_catch_up_with_four_streams_at_a_time(
    world: World, node: Node, ada: User, bob: User
) -> None:
    channels = [world.channel(ada, bob) for _ in range(6)]
    for channel in channels:
        world.services.say(channel)
    cursors = dict.fromkeys(channels, ("e1", 0))
    gate = world.services.gate["replay"] = asyncio.Event()
    asked = world.services.asked

    def replays() -> int:
        return sum(call[0] == "replay" for call in asked)

    async with (
        node.device(ada, "a") as a,
        node.device(ada, "b") as b,
        node.device(ada, "c") as c,
        node.device(bob) as bobs,
    ):
        for device in (a, b, c):
            await device.say("resume", cursors=cursors)
        await wait_until(lambda: replays() == 4)
        await bobs.say("resume", cursors=cursors)
        await wait_until(lambda: replays() == 4 + 4)
        gate.set()
        for device in (a, b, c, bobs):
            frames = await device.frames(7)
            assert frames[-1]["type"] == "resumed"


async def test_what_is_replayed_is_paid_for_by_all_sockets_of_a_user(
    world: World, node: Node, ada: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few bytes ask for megabytes, of each stream, on each socket."""
    waits: list[float] = []

    async def pause(seconds: float) -> None:
        waits.append(seconds)
        (each, *_) = node.engine.of_user(ada.id)
        assert each.user_budget is not None
        each.user_budget.replayed.charge(-200_000)

    monkeypatch.setattr(budget, "REPLAYED_BYTES_PER_SECOND", 1.0)
    monkeypatch.setattr(budget, "REPLAYED_BURST_BYTES", 100_000.0)
    monkeypatch.setattr(resuming, "_pause", pause)
    stream = world.channel(ada, bob)
    for _ in range(12):
        world.services.say(stream, "a" * 10_000)

    async def catch_up(device: Device) -> None:
        await device.say("resume", cursors={stream: ["e1", 0]})
        assert await device.seqs(12) == list(range(1, 13))
        await device.frame("resumed")

    async with node.device(ada) as one, node.device(ada, "phone") as two, node.device(bob) as bobs:
        await catch_up(one)
        assert not waits, "what fits is sent at once"
        await catch_up(two)
        assert len(waits) == 1, "the other socket of the same user has to wait"
        assert waits[0] > 10_000
        await catch_up(bobs)
        assert len(waits) == 1, "another user hasn't"
