"""Fixtures that the tests of all members share: real servers, one of each for a test run."""

import gc
import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from _pytest.nodeid import NodeId

from sharezync_embedded.postgres import EmbeddedPostgres
from sharezync_embedded.provision import provision
from sharezync_testkit.run_setup import (
    SEED_VARIABLE,
    make_parsing_safe,
    restore_sigint,
    spare_lookups,
    trust_no_authorities,
    use_fresh_examples,
    use_plain_tracebacks,
)
from sharezync_testkit.servers import Databases, RunFolder, S3Server, VirtualHosts
from sharezync_testkit.strict_s3 import StrictS3Server
from sharezync_testkit.waiting import GIVE_UP_SECONDS

USES_BROKER = {"virtual_hosts", "amqp_url", "fresh_amqp_url"}

# What takes longest, about longest first: a group of a minute that begins last leaves the other
# workers with nothing to do. See `--durations=0 --durations-min=10`.
LONGEST = (
    "fleet",
    "blackbox-fleet",
    "blackbox-embedded",
    "services/storage/tests/integration/test_strict_s3_store.py",
    "shared/tests/integration/test_server_versions.py",
    "tests/test_transfer_memory.py",
    "clients/python/tests/api/test_socket.py",
    "services/storage/tests/integration/test_kill_uploads.py",
    "services/chat/tests/api/test_law.py",
    "services/auth/tests/api/test_refresh_model.py",
    "services/storage/tests/integration/test_s3_store.py",
    "services/storage/tests/integration/test_memory.py",
    "embedded/tests/test_up.py",
    "embedded/tests/test_fleet.py",
    "embedded-alone",
    "services/auth/tests/api/test_schema_fuzz.py",
    "services/chat/tests/api/test_schema_fuzz.py",
    "services/storage/tests/api/test_schema_fuzz.py",
    "services/transfer/tests/api/test_schema_fuzz.py",
    "services/chat/tests/api/test_channel_model.py",
    "services/transfer/tests/api/test_transfer_model.py",
    "services/storage/tests/integration/test_collect_command.py",
    "services/storage/tests/integration/test_direct_on_s3.py",
    "services/storage/tests/integration/test_s3_extents.py",
    "tests/test_transfer_model.py",
    "clients/python/tests/api/test_command_line.py",
    "clients/python/tests/api/test_transfers.py",
    "services/auth/tests/api/test_password_timing.py",
    "services/auth/tests/api/test_bad_tokens.py",
    "services/storage/tests/api/test_bad_tokens.py",
)


def pytest_configure(config: pytest.Config) -> None:
    restore_sigint()
    make_parsing_safe()
    spare_lookups()
    trust_no_authorities()
    use_plain_tracebacks()
    use_fresh_examples(config.getoption("hypothesis_seed"))


def pytest_report_header() -> str:
    return _repeating()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if terminalreporter.stats.get("failed"):
        terminalreporter.write_line(_repeating())


def _repeating() -> str:
    seed = os.environ[SEED_VARIABLE]
    return f"Hypothesis: {SEED_VARIABLE}={seed} in the environment tries the same examples again"


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the garbage collector from looking through thousands of tests, which all stay."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep tests together that share something costly, where several workers share the run.

    The tests of one file stay on one worker, so that what they set up once is set up once. With a
    broker from outside, which has one virtual host for all, so do all tests that use it. The
    longest groups begin first.
    """
    one_virtual_host = bool(os.environ.get("AMQP_URL"))
    distributed = getattr(config.option, "loadgroup", False)
    ranks: dict[pytest.Item, int] = {}
    gone = [name for name in LONGEST if "/" in name and not (config.rootpath / name).is_file()]
    if distributed and gone:
        raise pytest.UsageError(f"There is no {', '.join(gone)}: mend LONGEST in conftest.py")
    for item in items:
        marker = item.get_closest_marker("xdist_group")
        group = str(marker.args[0]) if marker else item.location[0]
        if marker is None:
            if one_virtual_host and USES_BROKER.intersection(getattr(item, "fixturenames", ())):
                group = "broker"
            item.add_marker(pytest.mark.xdist_group(group))
        if distributed:
            # xdist 3.8 means to do this by itself, but since pytest 9.2 it writes where nobody
            # reads (pytest-xdist issue 1386): without it no group is kept together.
            item._id = NodeId.parse(f"{item.nodeid}@{group}")  # noqa: SLF001 - see above
        ranks[item] = LONGEST.index(group) if group in LONGEST else len(LONGEST)
    if distributed:
        items.sort(key=ranks.__getitem__)


@pytest.fixture(scope="session", autouse=True)
def patient_databases() -> Iterator[None]:
    """Wait longer for connections than the product does: there a pause of seconds is an outage.

    To a test it is a machine that stands still. Tests of outages set bounds of their own.
    """
    with pytest.MonkeyPatch.context() as patch:
        for bound in ("_CONNECT_SECONDS", "_POOL_SECONDS"):
            patch.setattr(f"sharezync_shared.db.database.{bound}", GIVE_UP_SECONDS)
        # What is costly may take as long; a test that is about this says another time itself.
        patch.setenv("SEARCH_TIMEOUT_SECONDS", str(GIVE_UP_SECONDS))
        yield


@pytest.fixture(scope="session")
def run_folder(testrun_uid: str) -> Iterator[Path]:
    """A folder that all workers of this run share."""
    folder = RunFolder(testrun_uid)
    folder.enter()
    yield folder.path
    folder.leave()


@pytest.fixture(scope="session")
def postgres(run_folder: Path) -> Iterator[EmbeddedPostgres]:
    """A real PostgreSQL, one for the run. It forgets on power loss, unlike the product's."""
    with EmbeddedPostgres(run_folder, durable=False) as server:
        yield server


@pytest.fixture(scope="session")
def databases(postgres: EmbeddedPostgres, run_folder: Path, worker_id: str) -> Iterator[Databases]:
    """Makes databases: empty ones, copies, and migrated ones; all are dropped."""
    databases = Databases(postgres, run_folder, worker_id)
    yield databases
    databases.drop_all()


@pytest.fixture(scope="session")
def database_url(databases: Databases) -> str:
    """One database for all tests of this worker."""
    return databases.new()


@pytest.fixture
def fresh_database_url(databases: Databases) -> Iterator[str]:
    """An empty database for this test alone."""
    url = databases.new()
    yield url
    databases.drop(url)


@pytest.fixture(scope="session")
def virtual_hosts(run_folder: Path, worker_id: str) -> Iterator[VirtualHosts]:
    """A real RabbitMQ, one node for the run; `virtual_hosts.new()` makes a world of its own."""
    # `make test` has installed one by now where that is possible.
    broker = provision(os.environ.get("AMQP_URL"), run_folder, durable=False, install=False)
    if broker is None:
        reason = "no RabbitMQ is to be had: tests on a real broker are LEFT OUT"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{reason}, which CI does not allow")
        pytest.skip(reason)
    hosts = VirtualHosts(broker, worker_id)
    yield hosts
    hosts.broker.stop()


@pytest.fixture(scope="session")
def amqp_url(virtual_hosts: VirtualHosts) -> str:
    """One virtual host of a real RabbitMQ for all tests of this worker."""
    return virtual_hosts.new()


@pytest.fixture
def fresh_amqp_url(virtual_hosts: VirtualHosts) -> Iterator[str]:
    """An empty virtual host for this test alone (with AMQP_URL given: that one, for all)."""
    url = virtual_hosts.new()
    yield url
    virtual_hosts.remove(url)


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 API server: `.endpoint_url`, the keys, and `.bucket()` for an empty bucket."""
    server = S3Server(tmp_path_factory.mktemp("s3") / "server.log")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def strict_s3_server(run_folder: Path) -> Iterator[StrictS3Server]:
    """As `s3_server`, one for the run, and it refuses what a real one refuses. `.line()`: chaos."""
    if sys.platform != "linux":
        pytest.skip("the strict S3 server is for Linux: tests on it are LEFT OUT")
    with StrictS3Server(run_folder) as server:
        yield server
