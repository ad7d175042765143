"""A fleet with two of each service that several replicas of make harder, for the whole suite.

gateway-0 calls auth-0 and chat-0, gateway-1 calls auth-1 and chat-1. It reaches the broker by a
line that a test can cut, and all others by another one.
"""

from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from sharezync_auth.migrations import MIGRATIONS as AUTH
from sharezync_chat.migrations import MIGRATIONS as CHAT
from sharezync_embedded.postgres import EmbeddedPostgres
from sharezync_storage.migrations import MIGRATIONS as STORAGE
from sharezync_testkit.drilled_fleet import DrilledFleet
from sharezync_testkit.one_process import OneProcess
from sharezync_testkit.servers import Databases, VirtualHosts
from sharezync_transfer.migrations import MIGRATIONS as TRANSFER
from tests.conftest import GENEROUS
from tests.fleet.broker_line import BrokerLine
from tests.fleet.crowd import Crowd

LEASE_SECONDS = 5
KEYS_KEPT_SECONDS = 1

IN_A_HURRY = {
    "DEVICE_LEASE_SECONDS": str(LEASE_SECONDS),
    "JWKS_LIFESPAN_SECONDS": str(KEYS_KEPT_SECONDS),
    "LOGIN_FREE_FAILURES_PER_ADDRESS": "1000",
    "DATABASE_POOL_SIZE": "5",
    "TRUSTED_PROXIES": "127.0.0.0/8",  # so that a test can have an address of its own
}
SECRET_KEY = "Wc7kP2vRx9LmZt4QhB8nYs6DfJg3Ue5a"


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep these tests on one worker: the fleet is started once for a run."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            callspec = getattr(item, "callspec", None)
            alone = callspec is not None and callspec.params.get("product") == "embedded"
            item.add_marker(pytest.mark.xdist_group("embedded-alone" if alone else "fleet"))


@pytest.fixture(scope="session")
def amqp_url(virtual_hosts: VirtualHosts) -> str:
    """A virtual host for this fleet alone: it would share the queues of another one."""
    if virtual_hosts.broker.management_url is None:
        pytest.skip("the broker at AMQP_URL has one virtual host, which the other tests use")
    return virtual_hosts.new()


@pytest.fixture(scope="session")
def line(amqp_url: str) -> Iterator[BrokerLine]:
    with BrokerLine(amqp_url) as line:
        yield line


@pytest.fixture(scope="session")
def line_of_others(amqp_url: str) -> Iterator[BrokerLine]:
    with BrokerLine(amqp_url) as line:
        yield line


@pytest.fixture(scope="session")
def database_of_fleet(databases: Databases) -> str:
    # That a fleet migrates an empty one is shown by the one of the black-box suite.
    return databases.migrated(AUTH, CHAT, STORAGE, TRANSFER)


@pytest.fixture(scope="session")
def fleet_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fleet-of-two")


@pytest.fixture(scope="session")
def running_fleet(
    fleet_folder: Path, database_of_fleet: str, line_of_others: BrokerLine, line: BrokerLine
) -> Iterator[DrilledFleet]:
    fleet = DrilledFleet(
        fleet_folder,
        counts={"gateway": 2, "auth": 2, "chat": 2},
        amqp_url=line_of_others.url,
        database_url=database_of_fleet,
        secret_key=SECRET_KEY,
        environment=GENEROUS | IN_A_HURRY,
        replica_environment={"gateway-1": {"AMQP_URL": line.url}},
    )
    with fleet:
        yield fleet


@pytest.fixture
def fleet(
    running_fleet: DrilledFleet, line: BrokerLine, line_of_others: BrokerLine
) -> Iterator[DrilledFleet]:
    """The fleet, whole; what a test breaks is mended for the next."""
    yield running_fleet
    line.restore()
    line_of_others.restore()
    for replica in running_fleet.dead():
        running_fleet.restart(replica.name, replica.number)


@dataclass(frozen=True)
class Product:
    """What runs, with what it keeps; `amqp_url` is absent where the bus is in process."""

    gateways: Sequence[str]
    database_url: str
    files: Path
    amqp_url: str | None = None


@pytest.fixture(params=["fleet", "embedded"])
def product(request: pytest.FixtureRequest) -> Iterator[Product]:
    """The fleet, and then the same in one process."""
    if request.param == "fleet":
        fleet: DrilledFleet = request.getfixturevalue("fleet")
        folder: Path = request.getfixturevalue("fleet_folder")
        yield Product(
            fleet.urls["gateway"],
            request.getfixturevalue("database_of_fleet"),
            folder / "files",
            request.getfixturevalue("amqp_url"),
        )
        return
    folder = request.getfixturevalue("tmp_path_factory").mktemp("embedded")
    one = OneProcess(folder, environment=GENEROUS | IN_A_HURRY)
    one.start()
    try:
        yield Product([one.url, one.url], EmbeddedPostgres(folder).url(), folder / "files")
    finally:
        one.stop()


@pytest.fixture
async def crowd(fleet: DrilledFleet) -> AsyncGenerator[Crowd]:
    crowd = Crowd(fleet.urls["gateway"])
    yield crowd
    await crowd.aclose()
