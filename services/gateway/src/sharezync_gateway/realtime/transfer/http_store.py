"""Storage in another process, over HTTP/1.1 and pooled connections."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

import aiohttp

from sharezync_gateway.realtime.transfer.chunk_store import StoreAway, StoredChunk
from sharezync_gateway.realtime.transfer.chunks import Bytes
from sharezync_gateway.realtime.transfer.store_answers import chunk_of, chunk_path, stored_of
from sharezync_shared.calls.breaker import Breaker, CircuitOpen
from sharezync_shared.calls.client import Credentials
from sharezync_shared.calls.connector import AgingConnector
from sharezync_shared.contracts.storage import DIGEST_HEADER, ChunkStored
from sharezync_shared.outage_log import OutageLog
from sharezync_shared.tokens.credentials import CredentialsUnavailable

_NO_ANSWER: Final = (aiohttp.ClientError, OSError, TimeoutError)
_READ_BYTES: Final = 1024 * 1024
"""A whole chunk fits: the fewer pieces it comes in, the fewer are put together."""


class HttpChunkStore:
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
        self._base = base_url.rstrip("/")
        self._credentials = credentials
        self._connections = connections
        self._timeout = aiohttp.ClientTimeout(
            total=timeout_seconds, sock_connect=connect_timeout_seconds
        )
        self._log = OutageLog("chunks_not_moved", upstream="storage")
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

    async def put_chunk(
        self, upload_id: UUID, index: int, sha256: bytes, payload: Bytes
    ) -> ChunkStored:
        """Store one chunk; see `ChunkStore.put_chunk`."""
        headers = {
            DIGEST_HEADER: sha256.hex(),
            "Content-Type": "application/octet-stream",
            "Content-Length": str(len(payload)),
        }
        with self._noting():
            path = chunk_path(upload_id, index)
            status, _, body = await self._call("PUT", path, headers, payload)
            return stored_of(status, body)

    async def get_chunk(self, upload_id: UUID, index: int) -> StoredChunk:
        """Return one chunk; see `ChunkStore.get_chunk`."""
        with self._noting():
            status, headers, body = await self._call("GET", chunk_path(upload_id, index), {}, None)
            return chunk_of(status, headers, body)

    @contextmanager
    def _noting(self) -> Generator[None]:
        try:
            yield
        except StoreAway as error:
            if error.__cause__ is None:  # an answer; that there was none, the breaker has told
                self._log.failed(error)
            raise

    async def _call(
        self, method: str, path: str, headers: dict[str, str], data: Bytes | None
    ) -> tuple[int, dict[str, str], bytes]:
        if self._session is None:
            raise RuntimeError("start() comes first")
        try:
            token = await self._credentials.token()
            answer = await self._once(self._session, method, path, headers, data, token)
            if answer[0] == 401:  # it ended early: a restart of auth, another key
                token = await self._credentials.token_instead_of(token)
                answer = await self._once(self._session, method, path, headers, data, token)
        except (*_NO_ANSWER, CredentialsUnavailable, CircuitOpen) as error:
            raise StoreAway(repr(error)) from error
        return answer

    async def _once(
        self,
        session: aiohttp.ClientSession,
        method: str,
        path: str,
        headers: dict[str, str],
        data: Bytes | None,
        token: str,
    ) -> tuple[int, dict[str, str], bytes]:
        signed = {**headers, "Authorization": f"Bearer {token}"}
        async with (
            self._breaker.attempt(*_NO_ANSWER),
            session.request(
                method, self._base + path, data=data, headers=signed, allow_redirects=False
            ) as response,
        ):
            body = await response.read()
            lower = {name.lower(): value for name, value in response.headers.items()}
            return response.status, lower, body
