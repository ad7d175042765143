"""Unread and mention counts on several devices, in whatever order and how often they hear."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

import hypothesis
from hypothesis import strategies as st

from services.chat.tests.support.hub import Hub
from services.chat.tests.support.world import Json, World
from sharezync_testkit.run_setup import model_settings

# Who posts (ada or bob himself) and how it calls bob; which of bob's devices, and how much.
posts: Final = st.tuples(
    st.just("post"), st.booleans(), st.sampled_from(["", "@bob", "@bob", "@channel"])
)
reads: Final = st.tuples(st.just("read"), st.integers(0, 2), st.integers(0, 6))
hearings: Final = st.tuples(st.just("hear"), st.integers(0, 2), st.lists(st.integers(0, 1)))
repeats: Final = st.tuples(st.just("again"), st.integers(0, 2), st.integers(1, 5))
stories: Final = st.lists(st.one_of(posts, posts, reads, hearings, repeats), max_size=40)


async def read_and_talk(world: World, story: list[tuple[str, int, Any]]) -> None:
    ada, bob = await world.people("ada", "bob")
    path = await ada.channel("private", bob)
    channel_id = path.rpartition("/")[2]
    hub = Hub(world, await world.service())
    devices = [await hub.connect(bob) for _ in range(3)]
    await hub.settle()
    said: list[tuple[int, bool]] = []  # `seq`, and whether it calls bob
    read_seq = 0
    for act, which, what in story:
        match act:
            case "post":
                author = bob if which else ada
                text = f"hello {what}".replace("@bob", f"@{bob.username}")
                message = await author.say(path, text)
                said.append((message["seq"], bool(what)))
                read_seq = message["seq"] if which else read_seq
            case "read":
                known = devices[which].replica.channels[channel_id].seq
                await bob.put(f"{path}/read", {"seq": max(known - what, 0)})
                read_seq = max(read_seq, known - what)
            case "hear":
                for pick in what:
                    devices[which].deliver(pick)
            case "again":
                devices[which].repeat(what)
        await hub.settle()
    unread = [calls for seq, calls in said if seq > read_seq]
    (standing,) = (await bob.get("/v1/memberships"))["items"]
    assert counts(standing) == (len(unread), sum(unread))
    for device in devices:
        device.hear_everything()
        assert counts(device.replica.channels[channel_id].membership) == counts(standing)


def counts(membership: Json) -> tuple[int, int]:
    return membership["unread_count"], membership["mention_count"]


async def test_all_devices_count_as_the_service_does(world: World) -> None:
    loop = asyncio.get_running_loop()

    def do(coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, loop).result()

    @model_settings(25)
    @hypothesis.given(stories)
    def holds(story: list[tuple[str, int, Any]]) -> None:
        do(read_and_talk(world, story))

    # Hypothesis can't await: it runs in a thread, and the loop serves the service meanwhile.
    await asyncio.to_thread(holds)
