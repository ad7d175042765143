"""Acknowledgements to the server: after 1 MiB or a twentieth of a second, whichever is first."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

ACK_BYTES: Final = 1024 * 1024
ACK_SECONDS: Final = 0.05


class Acknowledgements:
    """Sends what is due for each file, one at a time, so that none overtakes another.

    `send` returns False where it can't now. While `paused` nothing is sent, nor kept for later:
    resuming says what is here.
    """

    def __init__(self, send: Callable[[int], Awaitable[bool]]) -> None:
        self._send = send
        self._files: set[int] = set()
        self._bytes = 0
        self._due = asyncio.Event()
        self._many = asyncio.Event()
        self.paused = False

    def add(self, file: int, length_bytes: int) -> None:
        if not self.paused:
            self._files.add(file)
            self._bytes += length_bytes
            self._due.set()
            if self._bytes >= ACK_BYTES:
                self._many.set()

    async def run(self) -> None:
        """Send what becomes due, until cancelled."""
        while True:
            await self._due.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(ACK_SECONDS):
                    await self._many.wait()
            files, self._files, self._bytes = self._files, set(), 0
            self._due.clear()
            self._many.clear()
            for file in files:
                if not self.paused:
                    await self._send(file)
