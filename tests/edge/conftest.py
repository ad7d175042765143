"""A server in this event loop, for the suite of framing."""

import asyncio
from collections.abc import Iterator

import pytest

from sharezync_shared.testing.serving import plain_asgi, serving
from tests.edge.echo import echo
from tests.edge.streams import Stream
from tests.edge.verdict import Outcome, exchange
from tests.edge.wire import next_turn


class BareServer:
    """Our server with the echoing application, in a loop that runs while somebody asks."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self._serving = serving(plain_asgi(http=echo))

    def __enter__(self) -> "BareServer":
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
