"""The whole product in one process, as people use it, and people with logins."""

import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from clients.python.tests.support.people import PASSWORD, Login, registered
from sharezync_testkit.chaos import ChaosProxy
from sharezync_testkit.command_line import Cli
from sharezync_testkit.one_process import OneProcess

GENEROUS = {
    f"RATE_LIMIT_{name}": "1000000/minute"
    for name in ("STANDARD", "COSTLY", "BYTES", "PUBLIC", "SIGN_IN", "SOCKETS")
} | {"MAX_CONNECTIONS_PER_ADDRESS": "100000"}


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Records of what is under way are kept here, and not among those of who runs the tests."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "records"))
    return tmp_path / "records"


@pytest.fixture(scope="session")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running server; with BASE_URL set, the one that answers there."""
    if os.environ.get("BASE_URL"):
        yield os.environ["BASE_URL"].rstrip("/")
        return
    product = OneProcess(tmp_path_factory.mktemp("product"), environment=GENEROUS)
    product.start()
    try:
        yield product.url
    finally:
        product.stop()


@pytest.fixture
async def line(base_url: str) -> AsyncGenerator[ChaosProxy]:
    """A line to the server that can be cut and slowed down."""
    host, _, port = base_url.removeprefix("http://").partition(":")
    async with ChaosProxy((host, int(port))) as proxy:
        yield proxy


@pytest.fixture
async def log_in(base_url: str) -> AsyncGenerator[Callable[..., Awaitable[Login]]]:
    """Makes people accounts and logs them in; somewhere else than usual with `at=url`."""
    async with AsyncExitStack() as stack:

        async def make(name: str, *, at: str | None = None) -> Login:
            login = await registered(at or base_url, name)
            stack.push_async_callback(login.client.aclose)
            return login

        yield make


@pytest.fixture
def commands(tmp_path: Path) -> Callable[[Login, str], Cli]:
    """Return the command line of somebody on a machine of their own, not logged in yet."""

    def make(login: Login, url: str) -> Cli:
        home = tmp_path / f"home-{login.username}"
        home.mkdir(exist_ok=True)
        return Cli(home, url, login.username, PASSWORD)

    return make
