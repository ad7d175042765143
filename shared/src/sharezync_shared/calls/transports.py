"""The ways to a service: through httpx, also to one in this process, and plain HTTP/1.1.

Every message that is sent alone costs one call to chat, and httpx takes twice as long for it.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import aiohttp
import httpx

from sharezync_shared.calls.breaker import Breaker, CircuitOpen
from sharezync_shared.calls.client import Reply, TransportFailed
from sharezync_shared.calls.connector import open_session
from sharezync_shared.calls.operations import Operation

_CONNECT_SECONDS: Final = 1
_POOL_SECONDS: Final = 2
_NO_ANSWER: Final = (aiohttp.ClientError, OSError, TimeoutError)


@cache
def _timeout(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=seconds, sock_connect=_CONNECT_SECONDS)


def _headers(content: bytes, token: str) -> dict[str, str]:
    headers = {"Authorization": f"Bearer {token}"}
    if content:
        headers["Content-Type"] = "application/json"
    return headers


class HttpxTransport:
    """Through a transport of httpx, which decides what is made and repeated (`calls.guarded`)."""

    def __init__(self, base_url: str, inner: httpx.AsyncBaseTransport) -> None:
        self._base_url = base_url.rstrip("/")
        self._inner = inner

    async def exchange(
        self, operation: Operation[Any, Any], target: str, content: bytes, token: str
    ) -> Reply:
        """See `Transport`."""
        seconds = operation.timeout_seconds
        request = httpx.Request(
            operation.method,
            self._base_url + target,
            headers=_headers(content, token),
            content=content,
            extensions={
                "timeout": {
                    "connect": _CONNECT_SECONDS,
                    "read": seconds,
                    "write": seconds,
                    "pool": _POOL_SECONDS,
                },
                "repeatable": operation.repeatable,
            },
        )
        try:
            response = await self._inner.handle_async_request(request)
            try:
                return Reply(response.status_code, response.headers, await response.aread())
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            raise TransportFailed(repr(error)) from error


class PlainTransport:
    """To another process at `base_url`, by a session of its own. No call is made twice.

    `breaker` is that of all calls to the service; up to `connections` are open at a time, each with
    a buffer of `read_bytes`. `start` and `aclose` belong to who made this.
    """

    def __init__(
        self, base_url: str, breaker: Breaker, *, connections: int = 100, read_bytes: int = 2**16
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._breaker = breaker
        self._connections = connections
        self._read_bytes = read_bytes
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Make ready; connections come with calls."""
        self._session = open_session(
            connections=self._connections,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
            read_bufsize=self._read_bytes,
        )

    async def aclose(self) -> None:
        """Close all connections. Idempotent."""
        if self._session is not None:
            await self._session.close()

    async def exchange(
        self, operation: Operation[Any, Any], target: str, content: bytes, token: str
    ) -> Reply:
        """See `Transport`."""
        headers, seconds = _headers(content, token), operation.timeout_seconds
        return await self.send(operation.method, target, headers, content or None, seconds)

    async def send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        data: bytes | memoryview | None,
        timeout_seconds: float,
    ) -> Reply:
        """Make one request. Raises TransportFailed: it may have been carried out all the same."""
        if self._session is None:
            raise RuntimeError("start() comes first")
        try:
            async with (
                self._breaker.attempt(*_NO_ANSWER),
                self._session.request(
                    method,
                    self._base_url + target,
                    data=data,
                    headers=headers,
                    allow_redirects=False,
                    timeout=_timeout(timeout_seconds),
                ) as response,
            ):
                return Reply(response.status, response.headers, await response.read())
        except (*_NO_ANSWER, CircuitOpen) as error:
            raise TransportFailed(repr(error)) from error
