"""The release before this one, and the newest schema."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sharezync_embedded.compose import MIGRATIONS
from sharezync_shared.settings import SERVICES
from sharezync_testkit.drilled_fleet import DrilledFleet
from sharezync_testkit.previous_release import NoPreviousRelease, PreviousRelease
from sharezync_testkit.servers import Databases, S3Server, VirtualHosts
from tests.conftest import GENEROUS

ROOT = Path(__file__).parents[2]


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep these tests on one worker: the previous release is unpacked and started once."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("rollout"))


@pytest.fixture(scope="session")
def previous(tmp_path_factory: pytest.TempPathFactory) -> PreviousRelease:
    try:
        return PreviousRelease(ROOT, tmp_path_factory.mktemp("previous"))
    except NoPreviousRelease as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing))
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def newest_schema(databases: Databases) -> str:
    """A database with the newest schemas, to make copies of: nobody stays connected to it."""

    async def migrate(url: str) -> None:
        for migrations in MIGRATIONS:
            await migrations.upgrade(url)

    url = databases.new()
    asyncio.run(migrate(url))
    return url


OF_BEFORE = {"gateway-0", "auth-0", "chat-1", "transfer-0", "storage-1"}
"""Replicas that the release before runs. Replica n calls replica n of the others, so that nearly
every service is called by both releases, and calls both."""


@pytest.fixture(scope="session")
def mixed_fleet(
    previous: PreviousRelease,
    newest_schema: str,
    databases: Databases,
    virtual_hosts: VirtualHosts,
    s3_server: S3Server,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[DrilledFleet]:
    """Two replicas of each service, of both releases, in the middle of a rollout."""
    on_s3 = {
        "S3_BUCKET_NAME": s3_server.bucket(),
        "S3_ENDPOINT_URL": s3_server.endpoint_url,
        "AWS_ACCESS_KEY_ID": s3_server.access_key_id,
        "AWS_SECRET_ACCESS_KEY": s3_server.secret_access_key,
        "AWS_DEFAULT_REGION": s3_server.region,
    }
    with DrilledFleet(
        tmp_path_factory.mktemp("mixed"),
        counts=dict.fromkeys(SERVICES, 2),
        amqp_url=virtual_hosts.new(),
        database_url=databases.new(newest_schema),
        environment=GENEROUS | on_s3,
        replica_environment=dict.fromkeys(OF_BEFORE, previous.environment),
    ) as fleet:
        yield fleet
