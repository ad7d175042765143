"""The broker goes away in every way it can; the bus answers in time and heals by itself."""

import asyncio
import time
from collections.abc import AsyncGenerator
from urllib.parse import urlsplit

import pytest

from shared.tests.integration.events.world import (
    SENT,
    Ear,
    RabbitMQWorld,
    Taken,
    fact,
    frames_of,
    publish,
)
from sharezync_shared.events.bus import Bus, BusUnavailable, Envelope
from sharezync_shared.events.rabbitmq import RabbitMQBus
from sharezync_shared.streams.frames import Frame
from sharezync_testkit.chaos import ChaosProxy
from sharezync_testkit.waiting import GIVE_UP_SECONDS, wait_until


@pytest.fixture
async def proxy(rabbitmq: RabbitMQWorld) -> AsyncGenerator[ChaosProxy]:
    url = urlsplit(rabbitmq.url)
    async with ChaosProxy((url.hostname or "", url.port or 5672)) as proxy:
        yield proxy


@pytest.fixture
def far(rabbitmq: RabbitMQWorld, proxy: ChaosProxy) -> RabbitMQBus:
    """A bus, not started, that reaches the broker through the proxy."""
    return rabbitmq.bus_at(through(rabbitmq, proxy), connect_seconds=2)


def through(rabbitmq: RabbitMQWorld, proxy: ChaosProxy) -> str:
    url = urlsplit(rabbitmq.url)
    login = url.netloc.rpartition("@")[0]
    place = f"{login}@{proxy.host}:{proxy.port}" if login else f"{proxy.host}:{proxy.port}"
    return url._replace(netloc=place).geturl()


async def send_until_heard(bus: Bus, ear: Ear, frame: Frame) -> None:
    """Send a frame again and again: frames may be lost while somebody reconnects."""
    async with asyncio.timeout(GIVE_UP_SECONDS):
        while frame not in ear.frames:
            await bus.send_frames([frame])
            await asyncio.sleep(0.05)


async def test_without_a_broker_publishing_fails_promptly_and_starting_does_not(
    far: RabbitMQBus, proxy: ChaosProxy
) -> None:
    proxy.refuse()
    await far.start()
    began = time.monotonic()
    with pytest.raises(BusUnavailable):
        await far.publish([fact()])
    with pytest.raises(BusUnavailable):
        await far.send_frames(frames_of("channel:1", 1))

    assert time.monotonic() - began < 1
    assert not far.ready


async def test_a_bus_started_without_a_broker_works_once_there_is_one(
    far: RabbitMQBus, proxy: ChaosProxy
) -> None:
    proxy.refuse()
    taken, ear = Taken(), Ear()
    await far.consume("chat.events", [SENT], taken)
    await far.receive_frames(ear.on_frames, ear.on_gap)
    await far.start()
    assert ear.gaps == 0

    proxy.heal()

    await wait_until(lambda: far.ready)
    said = fact()
    await far.publish([said])
    await far.send_frames(frames_of("channel:1", 1))
    assert await taken.until(1) == [said]
    await wait_until(lambda: ear.frames == frames_of("channel:1", 1))
    assert ear.gaps == 1


async def test_a_black_hole_makes_publishing_fail_in_time_and_leaves_no_mark(
    far: RabbitMQBus, proxy: ChaosProxy
) -> None:
    taken = Taken()
    await far.consume("chat.events", [SENT], taken)
    await far.start()
    await wait_until(lambda: far.ready)
    said = [fact() for _ in range(20)]

    proxy.black_hole()
    began = time.monotonic()
    with pytest.raises(BusUnavailable) as unavailable:
        await far.publish(said)
    with pytest.raises(BusUnavailable):
        await far.send_frames(frames_of("channel:1", 1))
    assert time.monotonic() - began < 6  # two times publish_seconds, and some
    assert unavailable.value.confirmed == frozenset()

    proxy.heal()
    await publish(far, *said)
    await taken.until(20)
    assert {each.id for each in taken.envelopes} == {each.id for each in said}


async def test_a_broker_that_hangs_is_noticed_before_its_connection_is_given_up(
    rabbitmq: RabbitMQWorld, proxy: ChaosProxy
) -> None:
    # Its connections would be held for a minute and a half.
    far = rabbitmq.bus_at(through(rabbitmq, proxy), heartbeat_seconds=60)
    ear = Ear()
    await far.receive_frames(ear.on_frames, ear.on_gap)
    await far.start()
    await wait_until(lambda: far.delivering)

    proxy.black_hole()

    await wait_until(lambda: not far.delivering)
    assert far.ready
    proxy.heal()  # with a reset
    await wait_until(lambda: far.delivering)
    assert ear.frames == []  # echoes are nobody's business


@pytest.mark.slow
async def test_a_lasting_black_hole_is_noticed_and_left_behind(
    rabbitmq: RabbitMQWorld, far: RabbitMQBus, proxy: ChaosProxy
) -> None:
    ear = Ear()
    await far.receive_frames(ear.on_frames, ear.on_gap)
    await far.start()
    await wait_until(lambda: far.ready and ear.gaps == 1)

    proxy.black_hole()
    await wait_until(lambda: not far.ready)  # heartbeats are missing
    proxy.heal()

    await wait_until(lambda: far.ready and ear.gaps >= 2)
    await send_until_heard(await rabbitmq.bus(), ear, frames_of("channel:1", 1)[0])


async def test_after_a_reset_consumers_resume_and_lose_nothing(
    rabbitmq: RabbitMQWorld, far: RabbitMQBus, proxy: ChaosProxy
) -> None:
    near = await rabbitmq.bus()
    taken = Taken()
    await far.consume("chat.events", [SENT], taken)
    await far.start()
    await wait_until(lambda: far.ready)

    proxy.refuse()
    await wait_until(lambda: not far.ready)
    meanwhile = [fact() for _ in range(5)]
    await near.publish(meanwhile)
    proxy.heal()

    await taken.until(5)
    assert {each.id for each in taken.envelopes} == {each.id for each in meanwhile}
    await wait_until(lambda: far.ready)


async def test_a_handler_in_progress_outlives_its_connection_and_its_event_comes_again(
    rabbitmq: RabbitMQWorld, far: RabbitMQBus, proxy: ChaosProxy
) -> None:
    calls: list[Envelope] = []
    finished: list[Envelope] = []
    go_on = asyncio.Event()

    async def handler(envelope: Envelope) -> None:
        calls.append(envelope)
        await go_on.wait()
        finished.append(envelope)

    await far.consume("chat.events", [SENT], handler)
    await far.start()
    said = fact()
    await (await rabbitmq.bus()).publish([said])
    await wait_until(lambda: calls == [said])

    proxy.reset()
    await wait_until(lambda: not far.ready)
    go_on.set()

    await wait_until(lambda: finished == [said, said])
    await wait_until(lambda: far.ready)


async def test_after_a_reset_a_receiver_hears_of_the_gap_and_listens_anew(
    rabbitmq: RabbitMQWorld, far: RabbitMQBus, proxy: ChaosProxy
) -> None:
    near = await rabbitmq.bus()
    ear = Ear()
    await far.receive_frames(ear.on_frames, ear.on_gap)
    await far.start()
    await wait_until(lambda: ear.gaps == 1)
    before, after = frames_of("channel:1", 2)
    await near.send_frames([before])
    await wait_until(lambda: ear.frames == [before])

    proxy.reset()

    await wait_until(lambda: ear.gaps == 2)
    await near.send_frames([after])
    await wait_until(lambda: ear.frames == [before, after])


async def test_a_receiver_comes_back_although_the_broker_believes_its_old_connection_alive(
    rabbitmq: RabbitMQWorld, far: RabbitMQBus, proxy: ChaosProxy
) -> None:
    near = await rabbitmq.bus()
    ear = Ear()
    await far.receive_frames(ear.on_frames, ear.on_gap)
    await far.start()
    await wait_until(lambda: ear.gaps == 1)

    await proxy.abandon()  # the exclusive queue of the old connection still exists

    await wait_until(lambda: ear.gaps == 2)
    (frame,) = frames_of("channel:1", 1)
    await near.send_frames([frame])
    await wait_until(lambda: ear.frames == [frame])


async def test_facts_published_through_resets_all_arrive(
    rabbitmq: RabbitMQWorld, far: RabbitMQBus, proxy: ChaosProxy
) -> None:
    taken = Taken()
    await far.consume("chat.events", [SENT], taken, prefetch=10)
    await far.start()
    said = [fact() for _ in range(200)]

    async def cut() -> None:
        for _ in range(4):
            await wait_until(lambda: far.ready)
            await asyncio.sleep(0.05)  # somewhere in the middle
            proxy.reset()

    cutting = asyncio.create_task(cut())
    for start in range(0, 200, 10):
        await publish(far, *said[start : start + 10])
    await cutting

    expected = {each.id for each in said}
    await wait_until(lambda: {each.id for each in taken.envelopes} == expected)


async def test_latency_slows_down_and_breaks_nothing(far: RabbitMQBus, proxy: ChaosProxy) -> None:
    proxy.latency(0.05)
    taken = Taken()
    await far.consume("chat.events", [SENT], taken)
    await far.start()
    await wait_until(lambda: far.ready)
    said = fact()

    await far.publish([said])

    assert await taken.until(1) == [said]
