"""Both releases side by side, as in the middle of a rollout: two replicas of each service."""

import asyncio
import hashlib
import os
import subprocess
import sys
from collections.abc import AsyncGenerator

import pytest

from sharezync_shared.settings import SERVICES
from sharezync_testkit.drilled_fleet import DrilledFleet
from sharezync_testkit.previous_release import PreviousRelease
from sharezync_testkit.waiting import DEADLINE_SECONDS
from tests.blackbox.people import PASSWORD, Person
from tests.blackbox.test_transfer import offer, receive_all, send_all
from tests.rollout.conftest import OF_BEFORE

BOTH_WAYS = pytest.mark.parametrize("first", [0, 1], ids=["older-to-newer", "newer-to-older"])


@pytest.fixture
async def pair(mixed_fleet: DrilledFleet, first: int) -> AsyncGenerator[tuple[Person, Person]]:
    """Two people, one at a gateway of each release."""
    urls = mixed_fleet.urls["gateway"]
    people = (
        await Person.register(urls[first], "alice"),
        await Person.register(urls[1 - first], "bob"),
    )
    yield people
    for person in people:
        await person.aclose()


def test_the_release_before_runs_from_its_own_sources(
    previous: PreviousRelease, mixed_fleet: DrilledFleet
) -> None:
    packages = [f"sharezync_{name}" for name in (*SERVICES, "shared")]
    program = "import sys\nfor name in sys.argv[1:]: print(__import__(name).__file__)"
    told = subprocess.run(
        [sys.executable, "-c", program, *packages],
        env={**os.environ, **previous.environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert len(told) == len(packages)
    assert all(line.startswith(str(previous.folder)) for line in told), told
    assert {label.rsplit("-", 1)[0] for label in OF_BEFORE} == set(mixed_fleet.replicas)


@BOTH_WAYS
async def test_messages_reach_sockets_at_the_other_release_in_order(
    pair: tuple[Person, Person],
) -> None:
    alice, bob = pair
    channel_id = await alice.channel()
    await alice.add(channel_id, bob)
    async with alice.connected() as alices, bob.connected() as bobs:
        for number in range(5):
            await alice.say(channel_id, f"{number} by REST")
            reply = await bobs.command(
                "send_message", channel_id=channel_id, text=f"{number} by socket"
            )
            assert reply["type"] == "reply", reply
        for socket in (alices, bobs):
            await socket.event("message.created", text="4 by socket")
            created = [
                frame
                for frame in socket.events(f"channel:{channel_id}")
                if frame["type"] == "message.created"
            ]
            assert [frame["data"]["text"] for frame in created] == [
                f"{number} by {how}" for number in range(5) for how in ("REST", "socket")
            ]
            seqs = [frame["seq"] for frame in created]
            assert seqs == list(range(seqs[0], seqs[0] + 10))


@BOTH_WAYS
async def test_a_socket_resumes_at_the_other_release(
    pair: tuple[Person, Person],
) -> None:
    alice, bob = pair
    channel_id = await alice.channel()
    await alice.add(channel_id, bob)
    async with bob.connected() as bobs:
        await alice.say(channel_id, "seen")
        seen = await bobs.event("message.created", text="seen")
    missed = await alice.say(channel_id, "missed")
    moved = bob.at(alice.base_url)
    stream = f"channel:{channel_id}"
    async with moved.connected(cursors={stream: [seen["epoch"], seen["seq"]]}) as bobs:
        event = await bobs.event("message.created", text="missed")
        assert [each["seq"] for each in bobs.events(stream)] == [event["seq"]] == [missed["seq"]]
    await moved.aclose()


@BOTH_WAYS
async def test_a_file_goes_from_one_release_to_the_other(pair: tuple[Person, Person]) -> None:
    alice, bob = pair
    content = os.urandom(3 * 1024 * 1024 + 17)
    async with alice.connected() as alices, bob.connected() as bobs:
        transfer = await offer(alices, bob, "film.bin", content)
        await bobs.event("incoming_transfer", id=transfer["id"])
        answer = await bobs.command("transfer_accept", transfer_id=transfer["id"])
        assert answer["type"] == "reply", answer
        _, received = await asyncio.gather(
            send_all(alices, transfer, content, transfer["window_bytes"]),
            receive_all(bobs, transfer, len(content)),
        )
        await alices.command("transfer_complete", transfer_id=transfer["id"])
        for end in (alices, bobs):
            await end.event("transfer_completed", id=transfer["id"])
    assert hashlib.sha256(received).digest() == hashlib.sha256(content).digest()


@BOTH_WAYS
async def test_what_one_release_decides_of_an_account_the_other_carries_out(
    pair: tuple[Person, Person],
) -> None:
    alice, bob = pair
    channel_id = await alice.channel()
    await alice.add(channel_id, bob)
    await alice.say(channel_id, "I was here")
    elsewhere = alice.at(bob.base_url)
    async with elsewhere.connected() as socket:
        gone = await alice.http.request("DELETE", "/v1/users/me", json={"password": PASSWORD})
        assert gone.status_code == 204, gone.text
        async with asyncio.timeout(DEADLINE_SECONDS):
            await socket.closed.wait()
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            (message,) = (await bob.get(f"/v1/channels/{channel_id}/messages"))["items"]
            if message["author"]["username"] == "deleted":
                break
            await asyncio.sleep(0.1)
    await elsewhere.aclose()
