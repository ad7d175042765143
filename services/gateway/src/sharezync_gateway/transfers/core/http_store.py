"""Storage in another process, over HTTP/1.1 and pooled connections."""

from collections.abc import Mapping
from typing import Final

import aiohttp

from sharezync_gateway.transfers.core.chunk_store import ChunkStore, StoreAway
from sharezync_gateway.transfers.core.chunks import Bytes
from sharezync_shared.calls.breaker import Breaker, CircuitOpen
from sharezync_shared.calls.client import Credentials, Reply
from sharezync_shared.calls.connector import AgingConnector

_NO_ANSWER: Final = (aiohttp.ClientError, OSError, TimeoutError)
_READ_BYTES: Final = 1024 * 1024
"""A whole chunk fits: the fewer pieces it comes in, the fewer are put together."""


class HttpChunkStore(ChunkStore):
    """Storage at `base_url`, such as `http://storage:8004`, over some pooled connections."""

    def __init__(
        self,
        base_url: str,
        credentials: Credentials,
        *,
        breaker: Breaker | None = None,
        connections: int = 128,
        connect_timeout_seconds: float = 1,
        timeout_seconds: float = 30,
    ) -> None:
        super().__init__(credentials)
        self._base = base_url.rstrip("/")
        self._connections = connections
        self._timeout = aiohttp.ClientTimeout(
            total=timeout_seconds, sock_connect=connect_timeout_seconds
        )
        self._breaker = breaker or Breaker("storage")
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the pool; connections come with chunks."""
        self._session = aiohttp.ClientSession(
            connector=AgingConnector(limit=self._connections),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=self._timeout,
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
            read_bufsize=_READ_BYTES,
            trust_env=False,
        )

    async def aclose(self) -> None:
        """Close all connections. Idempotent."""
        if self._session is not None:
            await self._session.close()

    async def _exchange(
        self, method: str, path: str, headers: Mapping[str, str], data: Bytes
    ) -> Reply:
        if self._session is None:
            raise RuntimeError("start() comes first")
        body = data if method == "PUT" else None
        try:
            async with (
                self._breaker.attempt(*_NO_ANSWER),
                self._session.request(
                    method, self._base + path, data=body, headers=headers, allow_redirects=False
                ) as response,
            ):
                return Reply(response.status, response.headers, await response.read())
        except (*_NO_ANSWER, CircuitOpen) as error:
            raise StoreAway(repr(error)) from error
