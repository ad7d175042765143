"""A broker of its own, killed and stopped for real: what is said arrives, and logs tell of it once.

On cut lines (`test_cut_off.py`) it is the network that fails; here it is RabbitMQ itself.
"""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from sharezync_embedded.provision import find_server
from sharezync_embedded.rabbitmq import DevBroker
from sharezync_testkit.drilled_fleet import DrilledFleet
from sharezync_testkit.servers import Databases
from tests.blackbox.people import Json, Person, Socket
from tests.blackbox.test_transfer import MIB, offer, receive_all, send_all
from tests.conftest import GENEROUS
from tests.fleet.conftest import SECRET_KEY
from tests.fleet.crowd import Crowd, tell, until
from tests.fleet.test_cut_off import are_well, is_degraded

pytestmark = pytest.mark.timeout(240)

MESSAGES = 3
ARRIVES_WITHIN_SECONDS = 5.0
"""3.1 s at most were measured on a quiet machine."""
ONCE_EACH = {"broker_unreachable", "dependency_down"}
"""The outage itself, and that readiness shows it."""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevBroker]:
    server = find_server()
    if server is None:
        pytest.skip("RabbitMQ is not installed here, and another's must not be killed")
    broker = DevBroker(tmp_path_factory.mktemp("own-broker"), server, durable=False)
    broker.start()
    yield broker
    broker.stop(force=True)


@pytest.fixture(scope="module")
def own_fleet(
    tmp_path_factory: pytest.TempPathFactory, databases: Databases, broker: DevBroker
) -> Iterator[DrilledFleet]:
    fleet = DrilledFleet(
        tmp_path_factory.mktemp("fleet-on-own-broker"),
        counts={"gateway": 2},
        amqp_url=broker.url(),
        database_url=databases.new(),
        secret_key=SECRET_KEY,
        environment=GENEROUS,
    )
    with fleet:
        yield fleet


@pytest.fixture
def fleet(own_fleet: DrilledFleet) -> DrilledFleet:
    """The fleet that `crowd` is at."""
    return own_fleet


@pytest.mark.parametrize("outage", ["killed", "stopped"])
async def test_without_a_broker_events_and_files_arrive_and_its_end_is_told(
    crowd: Crowd, fleet: DrilledFleet, broker: DevBroker, outage: str
) -> None:
    ada = await crowd.register("ada", gateway=0)
    bob = await crowd.register("bob", gateway=1)
    await until(is_served, ada)  # replicas that have just met each other's start are cautious
    channel = await ada.channel()
    await ada.add(channel, bob)
    logs_before = {path: path.stat().st_size for path in fleet.logs_dir.glob("*.log")}
    pid = broker.pid()
    assert pid is not None
    async with ada.connected() as adas, bob.connected() as bobs:
        await ada.say(channel, "before")
        await bobs.event("message.created", text="before")

        os.kill(pid, signal.SIGKILL if outage == "killed" else signal.SIGSTOP)
        try:
            delays = [await delay(ada, bobs, channel, f"message {n}") for n in range(MESSAGES)]
            for url in (url for urls in fleet.urls.values() for url in urls):
                await until(partial(is_degraded, bob.http, url))
            content = os.urandom(2 * MIB + 17)
            transfer = await offer(adas, bob, "a.bin", content)
            await bobs.event("incoming_transfer", id=transfer["id"])
            accepted = await bobs.command("transfer_accept", transfer_id=transfer["id"])
            assert accepted["type"] == "reply", accepted
            await send_all(adas, transfer, content, transfer["window_bytes"])
            assert await receive_all(bobs, transfer, len(content)) == content
            done = await adas.command("transfer_complete", transfer_id=transfer["id"])
            assert done["type"] == "reply", done
            for end in (adas, bobs):
                await end.event("transfer_completed", id=transfer["id"])
        finally:
            if outage == "stopped":
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
            broker.start()
        await until(partial(are_well, fleet))
        delays.append(await delay(ada, bobs, channel, "after"))

    tell(f"broker {outage}: from the request to the socket", delays)
    assert max(delays) < ARRIVES_WITHIN_SECONDS
    for path, size in logs_before.items():
        told = [line for line in lines_after(path, size) if "broker" in json.dumps(line)]
        begun = [line for line in told if line["event"] == "broker_unreachable"]
        over = [line for line in told if line.get("outage") == "broker_unreachable"]
        others = {line["event"] for line in told if line["level"] != "info"} - ONCE_EACH
        assert (len(begun), len(over), others) == (1, 1, set()), (path, told)
        assert over[0]["seconds"] > 0


async def is_served(person: Person) -> bool:
    return (await person.http.get("/v1/channels")).status_code == 200


async def delay(sender: Person, reader: Socket, channel: str, text: str) -> float:
    """Return after how many seconds a message was at another's socket."""
    began = time.monotonic()
    await sender.say(channel, text)
    await reader.event("message.created", text=text)
    return time.monotonic() - began


def lines_after(path: Path, size_bytes: int) -> list[Json]:
    """Return what was logged behind this place."""
    with path.open("rb") as log:
        log.seek(size_bytes)
        return [json.loads(line) for line in log if line.startswith(b"{")]
