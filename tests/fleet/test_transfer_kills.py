"""Whoever is killed in the middle of a transfer: the file arrives, and at most a window goes twice.

Each case kills one process with SIGKILL, at a moment decided by what has gone over the line, and
starts it again. `make test` has one moment for each; `make torture`, by KILLS=all, has all of them.
"""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from sharezync_embedded.fleet import FleetFailed
from sharezync_embedded.postgres import EmbeddedPostgres
from sharezync_testkit.drilled_fleet import DrilledFleet
from sharezync_testkit.one_process import OneProcess
from tests.blackbox.people import Json, Person
from tests.conftest import GENEROUS
from tests.fleet.conftest import IN_A_HURRY
from tests.fleet.counting_line import CountingLine
from tests.fleet.crowd import Crowd
from tests.fleet.transferring import (
    ALL_SENT,
    COMPLETED,
    COMPLETING,
    CONFIRMED,
    EARLY,
    FILM,
    MIB,
    MIDDLE,
    Moment,
    Scene,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

EVERYTHING = os.environ.get("KILLS") == "all"
SIZE = 32 * MIB + 17
MOMENTS = [EARLY, MIDDLE, ALL_SENT, COMPLETING, CONFIRMED, COMPLETED]
SERVICES = {
    "fleet": ["gateway", "receivers-gateway", "storage", "transfer"],
    "embedded": ["everything"],
}
RECEIVING = {"receiver", "receivers-gateway"}
QUICK = {
    ("fleet", "gateway", MIDDLE),
    ("fleet", "storage", MIDDLE),
    ("fleet", "transfer", EARLY),
    ("fleet", "sender", MIDDLE),
    ("fleet", "receiver", MIDDLE),
    ("embedded", "everything", MIDDLE),
    ("embedded", "sender", CONFIRMED),
    ("embedded", "receiver", COMPLETED),
}
CASES = [
    pytest.param(product, victim, moment, id=f"{product}-{victim}-{moment.name}")
    for product, services in SERVICES.items()
    for victim in [*services, "sender", "receiver"]
    for moment in MOMENTS
    # By then a sender may have left: it is through, and the same command would send anew.
    if not (victim == "sender" and moment is COMPLETED)
    if EVERYTHING or (product, victim, moment) in QUICK
]


KEPT = """
SELECT (SELECT array_agg(size_bytes) FROM storage.files WHERE owner_id = $1) AS files,
       (SELECT array_agg(state) FROM storage.uploads WHERE owner_id = $1) AS uploads,
       used_bytes, reserved_bytes
FROM storage.usage WHERE user_id = $1
"""


@dataclass(frozen=True)
class Ground:
    """What runs: its gateways, and how each of its processes is killed and started again."""

    gateways: list[str]
    database_url: str
    kill: Callable[[str], object]
    restart: Callable[[str], object]


@pytest.fixture(scope="module")
def one_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Ground]]:
    """Everything in one process; returns what sees to it that it runs."""
    folder = tmp_path_factory.mktemp("killed")
    one = OneProcess(folder, environment=GENEROUS | IN_A_HURRY)

    def running() -> Ground:
        try:
            _ = one.pid
        except FleetFailed:  # at first; and where a test failed before it had started it again
            one.start()
        gateways = [one.url, one.url]
        return Ground(
            gateways, EmbeddedPostgres(folder).url(), lambda _: one.kill(), lambda _: one.start()
        )

    try:
        yield running
    finally:
        one.stop()


@pytest.fixture
def ground(product: str, request: pytest.FixtureRequest) -> Ground:
    if product == "embedded":
        running: Callable[[], Ground] = request.getfixturevalue("one_process")
        return running()
    fleet: DrilledFleet = request.getfixturevalue("fleet")
    named = {"gateway": ("gateway", 0), "receivers-gateway": ("gateway", 1)}

    def kill(victim: str) -> None:
        fleet.kill(*named.get(victim, (victim, 0)))

    def restart(victim: str) -> None:
        fleet.restart(*named.get(victim, (victim, 0)))

    database_url: str = request.getfixturevalue("database_of_fleet")
    return Ground(fleet.urls["gateway"], database_url, kill, restart)


@pytest.fixture
async def scene(ground: Ground, tmp_path: Path) -> AsyncGenerator[Scene]:
    """Two people, each at one of the gateways."""
    crowd = Crowd(ground.gateways)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(crowd.aclose)
        people = await crowd.register("ada", gateway=0), await crowd.register("bob", gateway=1)
        lines = [
            await stack.enter_async_context(CountingLine(int(url.rpartition(":")[2])))
            for url in ground.gateways
        ]
        yield await Scene.open(tmp_path, people, (lines[0], lines[1]))


@pytest.mark.parametrize(("product", "victim", "moment"), CASES)
async def test_whoever_is_killed_the_file_arrives_and_at_most_a_window_goes_twice(
    product: str, victim: str, moment: Moment, ground: Ground, scene: Scene
) -> None:
    up, down = scene.sender.line.up, scene.receiver.line.down
    ends = {"sender": scene.sender, "receiver": scene.receiver}
    strike: Callable[[], object] = partial(ground.kill, victim)
    revive: Callable[[], Awaitable[object]] = partial(asyncio.to_thread, ground.restart, victim)
    if victim in ends:
        strike, revive = ends[victim].kill, ends[victim].again
    if moment is CONFIRMED:
        watched = scene.sender.line.down
    elif moment is COMPLETED or (moment is not COMPLETING and victim in RECEIVING):
        watched = down
    else:
        watched = up

    await scene.run(SIZE, moment=moment, watched=watched, strike=strike, revive=revive)

    sent_twice, pushed_twice = up.chunk_bytes - SIZE, down.chunk_bytes - SIZE
    sys.stdout.write(
        f"\n  {product}: {victim} killed ({moment.name}): "
        f"{sent_twice:,} bytes sent twice, {pushed_twice:,} pushed twice"
    )
    assert (scene.landed / FILM).read_bytes() == scene.film.read_bytes()
    assert [path.name for path in scene.landed.iterdir()] == [FILM], "nothing lies beside it"
    assert list(scene.sends.iterdir()) == [], "no record of a send that is through"
    for (transfer,) in await scene.transfers():
        assert transfer["state"] == "completed"
    assert 0 <= sent_twice <= scene.sender.line.down.granted_bytes
    assert 0 <= pushed_twice <= scene.receiver.line.up.granted_bytes
    assert await kept_for(ground, scene.ada) == {
        "files": [SIZE],
        "uploads": ["finished"],
        "used_bytes": SIZE,
        "reserved_bytes": 0,
    }


async def kept_for(ground: Ground, person: Person) -> Json:
    """Return what storage has and reserves for somebody."""
    connection = await asyncpg.connect(ground.database_url)
    try:
        (row,) = await connection.fetch(KEPT, UUID(person.id))
        return dict(row)
    finally:
        await connection.close()
