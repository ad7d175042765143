"""Hashing of passwords: dear on purpose, off the event loop, and never without bound.

argon2id with 19 MiB, two passes, one lane (OWASP's minimum). bcrypt hashes of an older
installation verify and are told to be renewed.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from pwdlib.hashers.bcrypt import BcryptHasher

from sharezync_shared.problems import Unavailable

MIN_CHARACTERS: Final = 8
MAX_BYTES: Final = 256

_BCRYPT_BYTES: Final = 72
"""bcrypt reads no more, and its library refuses to be given more."""

Result = TypeVar("Result")


class Passwords:
    """Hashes and checks passwords on a few threads of its own. `close` ends them."""

    def __init__(self, *, threads: int, queue: int) -> None:
        self._hashes = PasswordHash(
            (Argon2Hasher(time_cost=2, memory_cost=19 * 1024, parallelism=1), BcryptHasher())
        )
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="passwords")
        self._room = threads + queue
        self._waiting = 0
        self._dummy: str | None = None

    async def hash(self, password: str) -> str:
        """Return a hash to store. Raises Unavailable when too many wait already."""
        return await self._run(lambda: self._hashes.hash(password))

    async def verify(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        """Return whether the password is right, and a better hash to store instead, if any.

        `stored` None stands for a user that does not exist: it costs the same time, so that
        timing tells nobody who is registered. Raises Unavailable when too many wait already.
        """
        if self._dummy is None:
            self._dummy = await self.hash("nobody's password")
        hashed = stored or self._dummy
        if hashed.startswith("$2") and len(password.encode()) > _BCRYPT_BYTES:
            hashed, stored = self._dummy, None

        right, renewed = await self._run(lambda: self._hashes.verify_and_update(password, hashed))
        return (right and stored is not None), (renewed if right and stored else None)

    async def _run(self, work: Callable[[], Result]) -> Result:
        if self._waiting >= self._room:
            raise Unavailable("Too many logins at once", retry_after_seconds=2)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """End the threads; what they still hash is lost."""
        self._pool.shutdown(wait=False, cancel_futures=True)
