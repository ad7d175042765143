"""The lines between the processes of a fleet, each of which passes through us."""

import asyncio
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from sharezync_testkit.chaos import ChaosProxy

Address = tuple[str, int] | str
"""A host and a port, or the path of a socket."""


class Network:
    """A line from each part to each other one that it calls, in a thread of its own.

    A part that is cut off gets and sends nothing, as where packets are dropped: nobody is told
    that its connections have ended.
    """

    def __init__(self) -> None:
        self._lines: dict[tuple[str, str], ChaosProxy] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for line in self._lines.values():
            leaving = line.__aexit__(None, None, None)
            asyncio.run_coroutine_threadsafe(leaving, self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def line(self, source: str, target: str, address: Address) -> int:
        """Return the port of the line from `source` to `target`, which listens at `address`."""
        line = ChaosProxy(address)
        asyncio.run_coroutine_threadsafe(line.__aenter__(), self._loop).result(10)
        self._lines[source, target] = line
        return line.port

    def moved(self, target: str, address: Address) -> None:
        """Lead all lines to `target` to where it listens now."""
        for (_, end), line in self._lines.items():
            if end == target:
                line.lead_to(address)

    def cut(self, part: str) -> None:
        """Let nothing through to this part nor from it."""
        self._tell(part, ChaosProxy.black_hole)

    def heal(self, part: str) -> None:
        """Behave again."""
        self._tell(part, ChaosProxy.heal)

    def _tell(self, part: str, act: Callable[[ChaosProxy], None]) -> None:
        async def on_its_loop() -> None:
            for ends, line in self._lines.items():
                if part in ends:
                    act(line)

        asyncio.run_coroutine_threadsafe(on_its_loop(), self._loop).result(10)
