"""Nothing acknowledged is lost, doubled or out of order, whatever is cut or killed meanwhile."""

import asyncio
import itertools
import os
import random
import sys

import pytest

from sharezync_testkit.drilled_fleet import DrilledFleet
from tests.fleet.broker_line import BrokerLine
from tests.fleet.crowd import Crowd
from tests.fleet.history import Reader, Writer, faults, told
from tests.fleet.talking import Scene, read_on, whole_history, write_by_rest, write_by_socket

# In `make test` each process is killed once; `make torture` goes on for longer.
SECONDS_OF_TROUBLE = float(os.environ.get("TORTURE_SECONDS", "1"))
SETTLED_WITHIN_SECONDS = 60.0
SEED = 4711

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240 + 2 * SECONDS_OF_TROUBLE)]


async def make_trouble(scene: Scene, fleet: DrilledFleet, line: BrokerLine) -> None:
    """Cut sockets at random all the time; meanwhile kill processes and cut off the broker.

    Ends with a whole round of these, when the time is over.
    """
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + SECONDS_OF_TROUBLE
    cutting = asyncio.create_task(_cut_sockets(scene))
    try:
        while True:
            for name, number in (("gateway", 1), ("chat", 0), ("auth", 1)):
                await _kill(scene, fleet, name, number)
            await asyncio.to_thread(line.cut)
            await asyncio.sleep(1.5)
            await asyncio.to_thread(line.restore)
            scene.outages += 1
            for name, number in (("chat", 1), ("gateway", 0)):
                await _kill(scene, fleet, name, number)
            if loop.time() >= ends_at:
                return
    finally:
        cutting.cancel()


async def _cut_sockets(scene: Scene) -> None:
    while True:
        await asyncio.sleep(scene.chance.uniform(0.1, 0.5))
        if scene.open:
            scene.chance.choice(scene.open).transport.abort()
            scene.cuts += 1


async def _kill(scene: Scene, fleet: DrilledFleet, name: str, number: int) -> None:
    """Let all go well for a moment, then kill a replica, and start it again."""
    await asyncio.sleep(1.5)
    await asyncio.to_thread(fleet.kill, name, number)
    scene.kills.append(f"{name}-{number}")
    await asyncio.sleep(0.5)
    await asyncio.to_thread(fleet.restart, name, number)


async def test_no_history_is_broken_by_cuts_and_crashes(
    fleet: DrilledFleet, crowd: Crowd, line: BrokerLine
) -> None:
    people = [await crowd.register(f"person{n}") for n in range(4)]
    channel_id = await people[0].channel()
    await people[0].add(channel_id, *people[1:])
    scene = Scene(fleet.urls["gateway"], channel_id, random.Random(SEED))
    epoch, head = (await people[0].get("/v1/sync"))["heads"][scene.stream]
    readers = [Reader(f"reader-{n}", head, epoch) for n in range(4)]
    writers = [Writer(f"writer-{n}") for n in range(6)]

    reading = [
        asyncio.create_task(read_on(scene, person, reader))
        for person, reader in zip(people, readers, strict=True)
    ]
    ways = itertools.cycle([write_by_rest, write_by_socket])
    writing = [
        asyncio.create_task(next(ways)(scene, person, writer))
        for person, writer in zip(itertools.cycle(people), writers)
    ]
    try:
        await make_trouble(scene, fleet, line)
        scene.over.set()
        async with asyncio.timeout(SETTLED_WITHIN_SECONDS):
            await asyncio.gather(*writing)
            head = (await people[0].get("/v1/sync"))["heads"][scene.stream][1]
            while any(reader.seq < head for reader in readers):
                await asyncio.sleep(0.1)
                for task in reading:
                    if task.done():  # they go on until they are cancelled
                        await task
    finally:
        for task in (*reading, *writing):
            task.cancel()
        await asyncio.gather(*reading, *writing, return_exceptions=True)
        sys.stdout.write(
            f"\n  {scene.cuts} sockets cut; killed {' '.join(scene.kills)}; "
            f"{scene.outages} outages of a gateway's broker"
            f"\n  {told(writers, readers)}; the stream stands at {head}\n"
        )

    history = await whole_history(people[0], channel_id)
    assert faults(writers, readers, history, head) == []
    assert sum(len(writer.acknowledged) for writer in writers) > 100, "too few to be in the way"
    assert scene.cuts > 10
    assert any(reader.seen_again for reader in readers)
