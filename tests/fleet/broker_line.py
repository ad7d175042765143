"""One replica's way to the broker, which a test can cut."""

import asyncio
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from sharezync_testkit.chaos import ChaosProxy


class BrokerLine:
    """A chaos proxy before the broker at `amqp_url`, in a thread: it outlives the tests' loops."""

    def __init__(self, amqp_url: str) -> None:
        self._broker = urlsplit(amqp_url)
        self._proxy = ChaosProxy((self._broker.hostname or "", self._broker.port or 5672))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="broker-line")

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._proxy.__aenter__(), self._loop).result(10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        leaving = self._proxy.__aexit__(None, None, None)
        asyncio.run_coroutine_threadsafe(leaving, self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def url(self) -> str:
        """The AMQP URL that leads through here."""
        login, at, _ = self._broker.netloc.rpartition("@")
        return urlunsplit(
            self._broker._replace(netloc=f"{login}{at}{self._proxy.host}:{self._proxy.port}")
        )

    def cut(self) -> None:
        """Reset the connections and refuse new ones, until `restore`."""
        self._do(self._proxy.refuse)

    def hang(self) -> None:
        """Let nothing through and say nothing, as a network that swallows packets."""
        self._do(self._proxy.black_hole)

    def restore(self) -> None:
        """Behave again."""
        self._do(self._proxy.heal)

    def _do(self, act: Callable[[], None]) -> None:
        async def on_its_loop() -> None:
            act()

        asyncio.run_coroutine_threadsafe(on_its_loop(), self._loop).result(10)
