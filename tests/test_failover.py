"""A standby that lacks the last commits takes over under services that run; sockets stay open."""

import asyncio
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from clients.python.tests.support.people import channel_of, registered
from sharezync_embedded.postgres import EmbeddedPostgres
from sharezync_testkit.clusters import cut_off, promote, standby_of
from sharezync_testkit.drilled_fleet import DrilledFleet
from sharezync_testkit.servers import VirtualHosts, end_servers
from sharezync_testkit.waiting import DEADLINE_SECONDS, wait_until
from tests.conftest import GENEROUS
from tests.fleet.conftest import IN_A_HURRY, SECRET_KEY
from tests.fleet.history import Writer, faults
from tests.followers import Device, history_of, write

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(os.environ.get("DRILLS") != "all", reason="make drills has it"),
]

LOST = 20


@pytest.fixture
def pair(run_folder: Path) -> Iterator[Path]:
    """A folder with a primary that runs and a standby that follows it."""
    folder = run_folder / uuid.uuid4().hex[:8]
    folder.mkdir()
    with (
        EmbeddedPostgres(folder / "primary", durable=False) as primary,
        standby_of(primary, folder / "primary", folder / "standby"),
    ):
        yield folder
    end_servers(folder)
    shutil.rmtree(folder)


async def test_open_sockets_end_in_the_state_that_the_standby_had(
    pair: Path, virtual_hosts: VirtualHosts
) -> None:
    """Nobody says anything after it: what was lost must not be shown until somebody does."""
    servers = [EmbeddedPostgres(pair / name) for name in ("primary", "standby")]
    hosts = ",".join(str(pair / name / "postgres") for name in ("primary", "standby"))
    fleet = DrilledFleet(
        pair / "fleet",
        amqp_url=virtual_hosts.new(),
        database_url=f"postgresql://postgres@/sharezync?host={hosts}",
        secret_key=SECRET_KEY,
        environment=GENEROUS | IN_A_HURRY,
    )
    await asyncio.to_thread(fleet.start)
    alice = bob = None
    try:
        alice, bob = [await registered(fleet.url, name) for name in ("alice", "bob")]
        channel_id = await channel_of(alice, bob)
        device, writer = Device("bob-phone", channel_id), Writer("alice")
        async with device.following(bob.session):
            await write(alice.session, channel_id, writer, lambda: len(writer.acknowledged) >= LOST)
            kept = dict(writer.acknowledged)
            await asyncio.to_thread(cut_off, *servers)
            await write(
                alice.session, channel_id, writer, lambda: len(writer.acknowledged) >= 2 * LOST
            )
            await wait_until(lambda: device.seq >= max(writer.acknowledged.values()))
            await asyncio.to_thread(servers[0].stop, force=True)
            await asyncio.to_thread(promote, pair / "standby")

            reader = device.reader
            assert reader is not None
            await wait_until(lambda: reader.refetched, within_seconds=DEADLINE_SECONDS)
            assert reader.keys == [*kept]
            newest = Writer("alice-again")
            await write(
                alice.session, channel_id, newest, lambda: len(newest.acknowledged) >= 2 * LOST
            )
            head = max(newest.acknowledged.values())
            await wait_until(lambda: device.seq >= head)
        writer.acknowledged = kept
        history = await history_of(bob.session, channel_id)
        assert faults([writer, newest], [reader], history, head) == []
    finally:
        await asyncio.to_thread(fleet.stop)
        for person in filter(None, (alice, bob)):
            await person.client.aclose()
