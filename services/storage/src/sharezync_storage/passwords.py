"""Passwords of links: dear to check on purpose, off the event loop, and never without bound.

argon2id with 19 MiB, two passes, one lane (OWASP's minimum).
"""

import unicodedata
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from pwdlib.hashers.argon2 import Argon2Hasher

from sharezync_shared.threads import FairThreads

MAX_CHARACTERS: Final = 128

_TIME_COST: Final = 2
_MEMORY_KIB: Final = 19 * 1024
_LANES: Final = 1
_THREADS: Final = 2
WAITING: Final = 16


class LinkPasswords:
    """Hashes and checks passwords on a few threads of its own.

    What is wrong costs the same however wrong it is. NFC, so that a password typed on another
    system is the same.
    """

    def __init__(self) -> None:
        self._argon2 = Argon2Hasher(
            time_cost=_TIME_COST, memory_cost=_MEMORY_KIB, parallelism=_LANES
        )
        self._threads = FairThreads(
            "link-passwords",
            threads=_THREADS,
            queue=WAITING,
            refusal="Too many concurrent password checks",
        )

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            self._threads.close()

    async def hash(self, password: str, *, caller: str) -> str:
        """Return a hash to store. Raises Unavailable when too many wait already.

        Callers, users or addresses (`bucket_of`), take turns.
        """
        return await self._threads.run(
            lambda: self._argon2.hash(_prepared(password)), caller=caller
        )

    async def verify(self, password: str, stored: str, *, caller: str) -> bool:
        """Return whether the password is right. Raises Unavailable when too many wait already."""
        return await self._threads.run(
            lambda: self._argon2.verify(_prepared(password), stored), caller=caller
        )


def _prepared(password: str) -> str:
    return unicodedata.normalize("NFC", password)
