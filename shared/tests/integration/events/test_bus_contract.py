"""What `Bus` promises, held against every adapter."""

import asyncio
from uuid import UUID

import pytest

from shared.tests.integration.events.world import (
    DELETED,
    QUICK,
    SENT,
    Ear,
    Taken,
    World,
    fact,
    frames_of,
    listening,
    publish,
    until_dead,
)
from sharezync_shared.events.bus import (
    BusUnavailable,
    Envelope,
    Handler,
    PermanentError,
    TransientError,
)
from sharezync_shared.streams.frames import Control, Frame
from sharezync_testkit.waiting import wait_until

GIVE_UP = [TransientError(f"failure {number}") for number in range(QUICK.max_attempts)]


# ---------------------------------------------------------------------------------------- facts


async def test_a_fact_arrives_as_it_was_said(world: World) -> None:
    bus = await world.bus()
    taken = Taken()
    await bus.consume("chat.events", [SENT], taken)
    said = fact()

    await bus.publish([said])

    assert await taken.until(1) == [said]


async def test_many_facts_at_once_all_arrive(world: World) -> None:
    bus = await world.bus()
    taken = Taken()
    await bus.consume("chat.events", [SENT, DELETED], taken, prefetch=7)
    said = [fact(SENT if number % 2 else DELETED) for number in range(300)]

    await bus.publish(said)

    assert {envelope.id for envelope in await taken.until(300)} == {each.id for each in said}
    assert taken.calls == 300


async def test_at_most_prefetch_handlers_run_at_a_time(world: World) -> None:
    bus = await world.bus()
    running = most = done = 0

    async def handler(_: Envelope) -> None:
        nonlocal running, most, done
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        done += 1

    await bus.consume("chat.events", [SENT], handler, prefetch=3)
    await bus.publish([fact() for _ in range(20)])

    await wait_until(lambda: done == 20)
    assert most == 3


async def test_a_type_nobody_consumes_is_no_error(world: World) -> None:
    bus = await world.bus()
    taken = Taken()
    await bus.consume("chat.events", [SENT], taken)

    await bus.publish([fact("nobody.wants.this.v1"), fact()])

    await taken.until(1)
    assert taken.calls == 1


async def test_publishing_nothing_is_no_error(world: World) -> None:
    bus = await world.bus()
    await bus.publish([])
    await bus.send_frames([])


async def test_a_failed_event_is_tried_again_until_it_succeeds(world: World) -> None:
    bus = await world.bus()
    taken = Taken([TransientError("not yet"), RuntimeError("an unknown one")])
    await bus.consume("chat.events", [SENT], taken)
    said = fact()

    await publish(bus, said)

    assert await taken.until(1) == [said]
    assert taken.calls == 3
    assert await world.count_dead("chat.events") == 0


async def test_one_slow_or_failing_event_does_not_hold_up_the_others(world: World) -> None:
    bus = await world.bus()
    stuck = fact(data=b'{"stuck":true}')
    release = asyncio.Event()
    taken: set[UUID] = set()

    async def handler(envelope: Envelope) -> None:
        if envelope.id == stuck.id:
            await release.wait()
        taken.add(envelope.id)

    await bus.consume("chat.events", [SENT], handler, prefetch=2)
    slow = asyncio.create_task(bus.publish([stuck]))
    quick = [fact() for _ in range(10)]
    await bus.publish(quick)

    await wait_until(lambda: len(taken) == 10)
    release.set()
    await wait_until(lambda: stuck.id in taken)
    await slow


async def test_a_permanent_failure_is_a_dead_letter_at_once(world: World) -> None:
    bus = await world.bus()
    taken = Taken([PermanentError("no such thing")])
    await bus.consume("chat.events", [SENT], taken)
    said = fact()

    await bus.publish([said])
    await until_dead(world, "chat.events", 1)

    assert await world.count_dead("chat.events") == 1
    assert taken.calls == 1


async def test_the_last_failed_attempt_makes_a_dead_letter(world: World) -> None:
    bus = await world.bus()
    taken = Taken(GIVE_UP)
    await bus.consume("chat.events", [SENT], taken)
    said = fact()

    await publish(bus, said)
    await until_dead(world, "chat.events", 1)

    assert await world.count_dead("chat.events") == 1
    assert taken.calls == QUICK.max_attempts


async def test_a_fact_said_twice_is_delivered_twice(world: World) -> None:
    bus = await world.bus()
    taken = Taken()
    await bus.consume("chat.events", [SENT], taken)
    said = fact()

    await bus.publish([said])
    await taken.until(1)
    await bus.publish([said])

    assert await taken.until(2) == [said, said]


async def test_consumers_of_one_queue_share_its_facts(world: World) -> None:
    one, other = await world.bus(), await world.bus()
    seen: dict[str, list[UUID]] = {"one": [], "other": []}

    def handler(name: str) -> Handler:
        async def take(envelope: Envelope) -> None:
            seen[name].append(envelope.id)
            await asyncio.sleep(0.02)

        return take

    await one.consume("chat.events", [SENT], handler("one"), prefetch=1)
    await other.consume("chat.events", [SENT], handler("other"), prefetch=1)
    said = [fact() for _ in range(20)]
    await one.publish(said)

    await wait_until(lambda: len(seen["one"]) + len(seen["other"]) >= 20)
    assert sorted(seen["one"] + seen["other"]) == sorted(each.id for each in said)
    assert seen["one"]
    assert seen["other"]


async def test_every_service_gets_its_own_copy(world: World) -> None:
    bus, elsewhere = await world.bus(), await world.bus()
    chat, transfer = Taken(), Taken()
    await bus.consume("chat.events", [SENT], chat)
    await elsewhere.consume("transfer.events", [SENT, DELETED], transfer)
    said = [fact(SENT), fact(DELETED)]

    await bus.publish(said)

    await transfer.until(2)
    assert await chat.until(1) == said[:1]
    assert {each.id for each in transfer.envelopes} == {each.id for each in said}


async def test_one_services_failure_is_not_repeated_to_the_other(world: World) -> None:
    bus = await world.bus()
    chat, transfer = Taken([TransientError("busy")]), Taken()
    await bus.consume("chat.events", [SENT], chat)
    await bus.consume("transfer.events", [SENT], transfer)

    await publish(bus, fact())

    await chat.until(1)
    assert transfer.calls == 1


async def test_one_queue_is_not_consumed_for_different_types(world: World) -> None:
    bus = await world.bus()
    await bus.consume("chat.events", [SENT, DELETED], Taken())

    with pytest.raises(ValueError, match=r"chat\.events"):
        await bus.consume("chat.events", [SENT], Taken())
    await bus.consume("chat.events", [DELETED, SENT], Taken())


# --------------------------------------------------------------------------------------- frames


async def test_frames_reach_every_receiver_in_the_order_of_their_stream(world: World) -> None:
    ears = [await listening(world), await listening(world)]
    sender = await world.bus()
    streams = {name: frames_of(name, 30) for name in ("channel:1", "channel:2", "inbox:3")}

    for start in range(0, 30, 3):
        await sender.send_frames(
            [frame for frames in streams.values() for frame in frames[start : start + 3]]
        )

    for ear in ears:
        await wait_until(lambda: len(ear.frames) == 90)  # noqa: B023 - awaited in this turn
        for name, frames in streams.items():
            assert [frame for frame in ear.frames if frame.stream == name] == frames


async def test_controls_travel_with_their_frames(world: World) -> None:
    ear = await listening(world)
    control = Control(join=["u1"], leave=["u2"], revoke_sessions=["s"], chunk=[1, "two", b"3"])
    said = Frame("transfer:1", "", 0, b"", control)

    await (await world.bus()).send_frames([said])

    await wait_until(lambda: ear.frames == [said])


async def test_frames_that_nobody_listens_to_are_no_error(world: World) -> None:
    await (await world.bus()).send_frames(frames_of("channel:1", 3))


async def test_a_receiver_that_fails_hears_the_next_frames_all_the_same(world: World) -> None:
    heard: list[Frame] = []
    gaps = 0

    def on_frames(frames: list[Frame]) -> None:
        heard.extend(frames)
        raise RuntimeError("a bug")

    async def on_gap() -> None:
        nonlocal gaps
        gaps += 1
        if gaps == 1:
            raise ConnectionError("the peer is not up yet")

    bus = await world.bus()
    await bus.receive_frames(on_frames, on_gap)
    await wait_until(lambda: gaps == 2)
    said = frames_of("channel:1", 2)
    await bus.send_frames(said[:1])
    await bus.send_frames(said[1:])

    await wait_until(lambda: heard == said)


# ----------------------------------------------------------------------------------------- life


async def test_a_bus_works_from_its_start_on(world: World) -> None:
    bus = world.new_bus()
    taken, ear = Taken(), Ear()
    await bus.consume("chat.events", [SENT], taken)
    await bus.receive_frames(ear.on_frames, ear.on_gap)
    assert not bus.ready
    with pytest.raises(BusUnavailable):
        await bus.publish([fact()])
    with pytest.raises(BusUnavailable):
        await bus.send_frames(frames_of("channel:1", 1))

    await bus.start()

    await wait_until(lambda: bus.ready)
    said = fact()
    await bus.publish([said])
    await bus.send_frames(frames_of("channel:1", 1))
    assert await taken.until(1) == [said]
    await wait_until(lambda: ear.frames == frames_of("channel:1", 1))
    assert ear.gaps == 1


async def test_a_closed_bus_refuses_at_once_and_lets_running_handlers_finish(world: World) -> None:
    bus = await world.bus()
    begun, finished = asyncio.Event(), asyncio.Event()

    async def handler(_: Envelope) -> None:
        begun.set()
        await asyncio.sleep(0.1)
        finished.set()

    await bus.consume("chat.events", [SENT], handler)
    publishing = asyncio.create_task(bus.publish([fact()]))
    await begun.wait()
    await bus.aclose()

    assert finished.is_set()
    assert not bus.ready
    await publishing
    with pytest.raises(BusUnavailable):
        await bus.publish([fact()])
    with pytest.raises(BusUnavailable):
        await bus.send_frames(frames_of("channel:1", 1))
    await bus.aclose()
