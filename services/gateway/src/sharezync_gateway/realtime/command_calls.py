"""The way of commands to chat in another process, over HTTP/1.1 and kept connections."""

from typing import Final, Protocol

import aiohttp

from sharezync_shared.calls.breaker import Breaker, CircuitOpen
from sharezync_shared.calls.connector import AgingConnector
from sharezync_shared.tokens.credentials import CredentialsUnavailable

_PATH: Final = "/internal/commands"
_NO_ANSWER: Final = (aiohttp.ClientError, OSError, TimeoutError)


class CallFailed(Exception):
    """There was no answer, or one that isn't a success."""


class Credentials(Protocol):
    """Where a service's own token comes from; see `tokens.credentials`."""

    async def token(self) -> str:
        """Return a token that holds for some time yet."""
        ...

    async def token_instead_of(self, refused: str) -> str:
        """Return another one than that which was refused."""
        ...


class CommandCalls:
    """Carries batches of commands to chat at `base_url`, such as `http://chat:8002`.

    By a plain client: every message that is sent alone costs one such call, and the general one for
    short JSON calls takes several times as long. `start` and `aclose` belong to who made it.
    """

    def __init__(
        self,
        base_url: str,
        credentials: Credentials,
        *,
        breaker: Breaker | None = None,
        connect_timeout_seconds: float = 1,
        timeout_seconds: float = 10,
    ) -> None:
        self._url = base_url.rstrip("/") + _PATH
        self._credentials = credentials
        self._timeout = aiohttp.ClientTimeout(
            total=timeout_seconds, sock_connect=connect_timeout_seconds
        )
        self._breaker = breaker or Breaker("chat")
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Make ready; connections come with calls."""
        self._session = aiohttp.ClientSession(
            connector=AgingConnector(),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=self._timeout,
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
            trust_env=False,
        )

    async def aclose(self) -> None:
        """Close all connections. Idempotent."""
        if self._session is not None:
            await self._session.close()

    async def call(self, body: bytes) -> bytes:
        """Return chat's answer to a body of commands.

        Raises CallFailed; the commands may have been carried out all the same. Only a call that
        was refused for its token is made twice.
        """
        if self._session is None:
            raise RuntimeError("start() comes first")
        try:
            token = await self._credentials.token()
            status, answer = await self._once(self._session, body, token)
            if status == 401:  # it ended early: a restart of auth, another key
                token = await self._credentials.token_instead_of(token)
                status, answer = await self._once(self._session, body, token)
        except (*_NO_ANSWER, CredentialsUnavailable, CircuitOpen) as error:
            raise CallFailed(repr(error)) from error
        if status != 200:
            raise CallFailed(f"{_PATH} was answered {status}")
        return answer

    async def _once(
        self, session: aiohttp.ClientSession, body: bytes, token: str
    ) -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        async with (
            self._breaker.attempt(*_NO_ANSWER),
            session.post(self._url, data=body, headers=headers, allow_redirects=False) as response,
        ):
            return response.status, await response.read()
