"""Acknowledgements to the server: after 1 MiB or a tenth of a second, whichever comes first."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

ACK_BYTES: Final = 1024 * 1024
ACK_SECONDS: Final = 0.05


class Acknowledging:
    """Sends what is due for each file; one at a time, so that none overtakes another."""

    def __init__(self, send: Callable[[int], Awaitable[bool]]) -> None:
        self._send = send
        self._due: set[int] = set()
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._sending: asyncio.Task[None] | None = None
        self._paused = False

    def kept(self, file: int, length_bytes: int) -> None:
        """A chunk of a file is kept."""
        self._due.add(file)
        self._bytes += length_bytes
        if self._bytes >= ACK_BYTES:
            self._go()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(ACK_SECONDS, self._go)

    def pause(self) -> None:
        """The socket is lost. What was due is said by resuming."""
        self._paused = True
        self._due.clear()

    def go_on(self) -> None:
        """The socket is there again."""
        self._paused = False
        self._go()

    def close(self) -> None:
        """Send nothing more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._sending is not None:
            self._sending.cancel()

    def _go(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._sending is None and self._due and not self._paused:
            self._sending = asyncio.create_task(self._send_due(), name="acknowledge")
            self._sending.add_done_callback(self._done)

    def _done(self, _: "asyncio.Task[None]") -> None:
        self._sending = None
        if self._bytes >= ACK_BYTES:
            self._go()

    async def _send_due(self) -> None:
        while self._due and not self._paused:
            file = self._due.pop()
            self._bytes = 0
            if not await self._send(file):
                self._due.add(file)
                return
