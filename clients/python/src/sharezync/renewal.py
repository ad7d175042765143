"""The access token that is good now, renewed in time, once for all who wait."""

import asyncio
import time

import httpx

from sharezync.http import Http, document_of
from sharezync.problems import NotLoggedIn, Problem
from sharezync.tokens import Tokens, TokenStore

_TOKEN_PATH = "/token"  # noqa: S105 - a path


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
