"""A server in this event loop, for the suite of framing."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import pytest

from sharezync_testkit.programs import JDK, Program
from sharezync_testkit.serving import plain_asgi, serving
from tests.edge.echo import echo
from tests.edge.proxies import CONFIGURATIONS, Proxy
from tests.edge.streams import Stream
from tests.edge.verdict import Outcome, exchange
from tests.edge.wire import next_turn


class BareServer:
    """Our server with the echoing application, in a loop that runs while somebody asks."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self._serving = serving(plain_asgi(http=echo))

    def __enter__(self) -> Self:
        self._served = self.runner.run(self._serving.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self.runner.run(self._serving.__aexit__(None, None, None))
        self.runner.close()

    def exchange(self, stream: Stream) -> Outcome:
        return self.runner.run(exchange(self._served.port, stream, next_turn))


@pytest.fixture(scope="module")
def bare_server() -> Iterator[BareServer]:
    with BareServer() as server:
        yield server


def found(program: Program) -> Path:
    """Return where a program is; without it the test is left out, and fails in CI."""
    path = program.find()
    if path is None:
        reason = f"{program.name} is not installed: tests of {program.tests} are LEFT OUT"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{reason}, which CI does not allow")
        pytest.skip(reason)
    return path


@pytest.fixture(scope="session")
def proxies(base_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Proxy]]:
    """Each of the `CONFIGURATIONS`, in front of the product."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(
                Proxy(name, found(program), tmp_path_factory.mktemp(name), port_of(base_url))
            )
            for name, (program, _) in CONFIGURATIONS.items()
        }


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


@pytest.fixture
def java() -> Path:
    """The JDK's launcher, which runs a source file."""
    return found(JDK).with_name("java")
