"""The release before passes its own black-box suite on the newest schema, alone and beside us.

In `make test` it is a part of it, in a mixed fleet; `make rollout` runs all.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from sharezync_embedded.fleet import Fleet
from sharezync_testkit.drilled_fleet import DrilledFleet
from sharezync_testkit.previous_release import PreviousRelease
from sharezync_testkit.servers import Databases, VirtualHosts
from tests.conftest import GENEROUS

WHOLE = bool(os.environ.get("WHOLE_ROLLOUT"))
A_PART = ["test_accounts.py", "test_chat.py"]

only_whole = pytest.mark.skipif(not WHOLE, reason="takes minutes: make rollout")
pytestmark = pytest.mark.timeout(1200)


def suite_of(release: PreviousRelease, base_url: str, *files: str) -> str:
    """Run the black-box suite of a release, or files of it; return "", or how it failed."""
    ours = ("PYTEST_", "COV_")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n0", "-pno:cacheprovider"]
        + [f"tests/blackbox/{each}" for each in files or [""]],
        cwd=release.folder,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith(ours)},
            **release.environment,
            "BASE_URL": base_url,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else done.stdout[-5000:] + done.stderr[-1000:]


@contextmanager
def rolled_back(
    release: PreviousRelease, database_url: str, virtual_hosts: VirtualHosts, folder: Path
) -> Iterator[Fleet]:
    """The release alone, on a schema that it finds."""
    with Fleet(
        folder,
        amqp_url=virtual_hosts.new(),
        database_url=database_url,
        environment=GENEROUS | release.environment,
    ) as fleet:
        yield fleet


@pytest.mark.parametrize("gateway", [0, pytest.param(1, marks=only_whole)], ids=["older", "newer"])
def test_in_a_mixed_fleet(
    previous: PreviousRelease, mixed_fleet: DrilledFleet, gateway: int
) -> None:
    files = [] if WHOLE else A_PART
    assert suite_of(previous, mixed_fleet.urls["gateway"][gateway], *files) == ""


@only_whole
def test_after_a_rollback_that_leaves_the_schema(
    previous: PreviousRelease,
    newest_copy: str,
    virtual_hosts: VirtualHosts,
    tmp_path: Path,
) -> None:
    with rolled_back(previous, newest_copy, virtual_hosts, tmp_path) as fleet:
        assert suite_of(previous, fleet.url) == ""


@only_whole
def test_a_schema_that_contracts_is_noticed(
    previous: PreviousRelease,
    newest_copy: str,
    virtual_hosts: VirtualHosts,
    tmp_path: Path,
) -> None:
    async def contract() -> None:
        connection = await asyncpg.connect(newest_copy)
        await connection.execute("ALTER TABLE chat.messages RENAME COLUMN edited_at TO changed_at")
        await connection.close()

    asyncio.run(contract())
    with rolled_back(previous, newest_copy, virtual_hosts, tmp_path) as fleet:
        told = suite_of(previous, fleet.url, "test_chat.py")
    assert "500" in told


@pytest.fixture
def newest_copy(newest_schema: str, databases: Databases) -> Iterator[str]:
    """A database of its own with the newest schemas."""
    url = databases.new(newest_schema)
    yield url
    databases.drop(url)
