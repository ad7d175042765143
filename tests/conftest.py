"""The product, started the two ways it runs, for a suite that knows it from outside only.

With BASE_URL set, the suite runs against what answers there instead.
"""

import os
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest

from sharezync_embedded.fleet import Fleet
from sharezync_testkit.one_process import OneProcess
from tests.blackbox.people import Person

WAYS = ["given"] if os.environ.get("BASE_URL") else ["embedded", "fleet"]

# Limits of a product that serves strangers would stop a suite that does a day's work in a minute.
GENEROUS = {
    f"RATE_LIMIT_{name}": "1000000/minute"
    for name in ("STANDARD", "COSTLY", "BYTES", "PUBLIC", "SIGN_IN", "SOCKETS")
} | {"MAX_CONNECTIONS_PER_ADDRESS": "100000", "COMPAT_ZYNC": "true", "RECENT_LOGIN_SECONDS": "0"}


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of one way on one worker: each way is started once for a run."""
    for item in items:
        callspec = getattr(item, "callspec", None)
        if callspec is not None and "way" in callspec.params:
            item.add_marker(pytest.mark.xdist_group(f"blackbox-{callspec.params['way']}"))


@pytest.fixture(scope="session", params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def base_url(
    way: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[str]:
    if way == "given":
        yield os.environ["BASE_URL"].rstrip("/")
        return
    data_dir = tmp_path_factory.mktemp(way)
    if way == "embedded":
        product: OneProcess | Fleet = OneProcess(data_dir, environment=GENEROUS)
    else:
        product = _fleet(data_dir, request)
    product.start()
    try:
        yield product.url
    finally:
        product.stop()


def _fleet(data_dir: Path, request: pytest.FixtureRequest) -> Fleet:
    databases = request.getfixturevalue("databases")
    return Fleet(
        data_dir,
        amqp_url=request.getfixturevalue("amqp_url"),
        database_url=databases.new(),
        environment=GENEROUS,
    )


async def _person(base_url: str, name: str) -> AsyncGenerator[Person]:
    person = await Person.register(base_url, name)
    yield person
    await person.aclose()


@pytest.fixture
async def alice(base_url: str) -> AsyncGenerator[Person]:
    async for person in _person(base_url, "alice"):
        yield person


@pytest.fixture
async def bob(base_url: str) -> AsyncGenerator[Person]:
    async for person in _person(base_url, "bob"):
        yield person


@pytest.fixture
async def carol(base_url: str) -> AsyncGenerator[Person]:
    async for person in _person(base_url, "carol"):
        yield person
