"""Passwords of links: dear to check on purpose, off the event loop, and never without bound.

argon2id with 19 MiB, two passes, one lane (OWASP's minimum).
"""

import asyncio
import unicodedata
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from threading import Lock
from typing import Final, TypeVar

from pwdlib.hashers.argon2 import Argon2Hasher

from sharezync_shared.problems import Unavailable

MAX_CHARACTERS: Final = 128

_TIME_COST: Final = 2
_MEMORY_KIB: Final = 19 * 1024
_LANES: Final = 1
_THREADS: Final = 2
_WAITING: Final = 16

Result = TypeVar("Result")


class LinkPasswords:
    """Hashes and checks passwords on a few threads of its own.

    What is wrong costs the same however wrong it is. NFC, so that a password typed on another
    system is the same.
    """

    def __init__(self) -> None:
        self._argon2 = Argon2Hasher(
            time_cost=_TIME_COST, memory_cost=_MEMORY_KIB, parallelism=_LANES
        )
        self._pool: ThreadPoolExecutor | None = None
        self._inside = 0
        self._lock = Lock()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="link-passwords")
        try:
            yield
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)

    async def hash(self, password: str) -> str:
        return await self._run(lambda: self._argon2.hash(_prepared(password)))

    async def verify(self, password: str, stored: str) -> bool:
        """Return whether the password is right. Raises Unavailable when too many wait already."""
        return await self._run(lambda: self._argon2.verify(_prepared(password), stored))

    async def _run(self, work: Callable[[], Result]) -> Result:
        with self._lock:
            if self._pool is None or self._inside >= _THREADS + _WAITING:
                raise Unavailable("Too many concurrent password checks", retry_after_seconds=2)
            self._inside += 1
        future = self._pool.submit(work)
        # Not when the caller is done: one that was cancelled leaves its work on the thread.
        future.add_done_callback(self._leave)
        return await asyncio.wrap_future(future)

    def _leave(self, _: "Future[Result]") -> None:
        with self._lock:
            self._inside -= 1


def _prepared(password: str) -> str:
    return unicodedata.normalize("NFC", password)
