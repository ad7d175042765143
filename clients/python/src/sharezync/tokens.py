"""The tokens of one login: where they are kept between two runs, and their renewal."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, Self

import httpx
import msgspec

from sharezync.http import Http, document_of
from sharezync.local import write_private
from sharezync.problems import NotLoggedIn, Problem
from sharezync.shapes import Answered

if sys.platform != "win32":
    import fcntl

_TOKEN_PATH = "/token"  # noqa: S105 - a path


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


class Renewal:
    """Gives out the access token of the login in `store`.

    One renewal at a time, in this process and among all that share the store: those who come
    meanwhile get its outcome. A login that has ended is cleared from the store.
    """

    def __init__(self, http: Http, store: TokenStore) -> None:
        self._http = http
        self._store = store
        self._renewing: asyncio.Task[Tokens] | None = None

    @property
    def tokens(self) -> Tokens:
        """What is kept now, however old. Raises NotLoggedIn."""
        tokens = self._store.load()
        if tokens is None:
            raise NotLoggedIn("You are not logged in here: log in first")
        return tokens

    async def access_token(self, *, refused: bool = False) -> str:
        """Return an access token that lives for some time yet.

        With `refused`, one that is newer than what is kept: the server did not take that.
        Raises NotLoggedIn, Unreachable, Problem.
        """
        tokens = self.tokens
        if refused or time.time() >= tokens.renew_at:
            tokens = await self._renewed(tokens)
        return tokens.access_token

    async def authorize(self, refused: bool) -> str:  # noqa: FBT001 - an `Authorize`
        """Return what requests of this login are authorized by; raises as `access_token`."""
        return f"Bearer {await self.access_token(refused=refused)}"

    async def _renewed(self, old: Tokens) -> Tokens:
        if self._renewing is None:
            self._renewing = asyncio.create_task(self._renew(old), name="renew-tokens")
            self._renewing.add_done_callback(self._done)
        # A caller that is cancelled doesn't cancel it for the others.
        return await asyncio.shield(self._renewing)

    def _done(self, task: "asyncio.Task[Tokens]") -> None:
        self._renewing = None
        if not task.cancelled():
            task.exception()  # taken note of; those who wait get it too

    async def _renew(self, old: Tokens) -> Tokens:
        async with self._store.exclusive():
            tokens = self.tokens
            if tokens.access_token != old.access_token:
                return tokens  # another process was first
            try:
                # May be repeated: an answer that was lost is given again.
                answer = await self._http.request(
                    "POST",
                    _TOKEN_PATH,
                    data={"grant_type": "refresh_token", "refresh_token": tokens.refresh_token},
                    repeatable=True,
                )
            except Problem as problem:
                if problem.status not in {httpx.codes.BAD_REQUEST, httpx.codes.UNAUTHORIZED}:
                    raise
                self._store.clear()
                raise NotLoggedIn("Your login has ended: log in again") from problem
            fresh = Tokens.granted(document_of(answer))
            self._store.save(fresh)
            return fresh
