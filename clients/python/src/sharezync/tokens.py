"""The tokens of one login, and where they are kept between two runs."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, Self

import msgspec

from sharezync.local import write_private
from sharezync.shapes import Answered

if sys.platform != "win32":
    import fcntl


class _Grant(Answered, frozen=True):
    """What `POST /token` answers."""

    access_token: str
    expires_in: float
    refresh_token: str = ""

    def __post_init__(self) -> None:
        if not (self.access_token.isascii() and self.access_token.isprintable()):
            raise ValueError("it has to fit into a header")


class Tokens(msgspec.Struct, frozen=True):
    """The tokens of a login. `expires_at` is when the access token ends, by this clock."""

    access_token: str
    refresh_token: str
    expires_at: float
    lives_seconds: float
    """How long the access token was good for when it came."""

    @classmethod
    def granted(cls, document: Mapping[str, Any]) -> Self:
        """Return what `POST /token` answered. Raises NotUnderstood."""
        grant = _Grant.of(document)
        lives = grant.expires_in
        return cls(grant.access_token, grant.refresh_token, time.time() + lives, lives)

    @property
    def renew_at(self) -> float:
        """When it should be renewed: a fifth of its life before its end, a minute at most."""
        return self.expires_at - min(60.0, self.lives_seconds / 5)


class TokenStore(Protocol):
    """Keeps the tokens of one login. Everything is quick: called on the event loop."""

    def load(self) -> Tokens | None:
        """Return what any process that shares this store saved last; None where nothing is."""
        ...

    def save(self, tokens: Tokens) -> None:
        """Keep tokens, durably if this store outlives the process.

        The refresh tokens before these are good for nothing any more.
        """
        ...

    def clear(self) -> None:
        """Forget everything. Safe to repeat."""
        ...

    def exclusive(self) -> AbstractAsyncContextManager[None]:
        """While it is open, nobody else who shares this store gets in: renewing happens inside.

        Two who renew with the same refresh token would look like a theft.
        """
        ...


class MemoryTokens:
    """Tokens for as long as the process lives."""

    def __init__(self, tokens: Tokens | None = None) -> None:
        self._tokens = tokens
        self._lock = asyncio.Lock()

    def load(self) -> Tokens | None:
        return self._tokens

    def save(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def clear(self) -> None:
        self._tokens = None

    def exclusive(self) -> AbstractAsyncContextManager[None]:
        return self._lock


class FileTokens:
    """Tokens in a file that only its owner can read (0600), shared by processes.

    On Windows, processes don't wait for each other: renew from one at a time there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = asyncio.Lock()

    def load(self) -> Tokens | None:
        with suppress(OSError, ValueError):
            return msgspec.json.decode(self.path.read_bytes(), type=Tokens)
        return None

    def save(self, tokens: Tokens) -> None:
        write_private(self.path, msgspec.json.encode(tokens))

    def clear(self) -> None:
        self.path.unlink(missing_ok=True)

    @asynccontextmanager
    async def exclusive(self) -> AsyncGenerator[None]:
        async with self._lock:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                await _lock(lock)
                yield
            finally:
                os.close(lock)  # which gives the lock back


async def _lock(lock: int) -> None:
    """Take a lock that other processes take too; a process that is killed gives it back."""
    while sys.platform != "win32":
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        # No thread waits in the kernel: it could not be cancelled.
        await asyncio.sleep(0.02)
