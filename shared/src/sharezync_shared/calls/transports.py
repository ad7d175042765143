"""The ways to a service: through httpx, also to one in this process, and plain HTTP/1.1.

Every message that is sent alone costs one call to chat, and httpx takes twice as long for it.
"""

import asyncio
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import aiohttp
import httpx

from sharezync_shared.calls.breaker import Breaker, CircuitOpen
from sharezync_shared.calls.client import Reply, TransportFailed
from sharezync_shared.calls.connector import RetryBudget, open_session
from sharezync_shared.calls.operations import Operation
from sharezync_shared.tracing.context import context_headers

_PAUSE_SECONDS: Final = 0.1  # a service that restarts is soon back
_NOTHING_WAS_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout)
_CONNECTION_LOST: Final = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)

_CONNECT_SECONDS: Final = 1
_POOL_SECONDS: Final = 2
_NO_ANSWER: Final = (aiohttp.ClientError, OSError, TimeoutError)


class ServiceLeftAlone(httpx.ConnectError):
    """The breaker is open. To a caller it is as if the service could not be reached."""


class GuardedTransport(httpx.AsyncBaseTransport):
    """Sends through `inner` what `breaker` lets pass.

    A call of which the service has seen nothing is made once more, whatever its method, as far as
    the budget goes; with the extension `repeatable`, so is one whose connection was lost. Raises
    ServiceLeftAlone while the breaker is open.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport, breaker: Breaker) -> None:
        self._inner = inner
        self._breaker = breaker
        self._budget = RetryBudget()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._budget.call()
        try:
            return await self._attempt(request)
        except ServiceLeftAlone:
            raise
        except (*_NOTHING_WAS_SENT, *_CONNECTION_LOST) as error:
            harmless = isinstance(error, _NOTHING_WAS_SENT) or request.extensions.get("repeatable")
            if not harmless or not isinstance(request.stream, httpx.ByteStream):
                raise
            if not self._budget.spend():
                raise
        await asyncio.sleep(_PAUSE_SECONDS)
        return await self._attempt(request)

    async def _attempt(self, request: httpx.Request) -> httpx.Response:
        try:
            async with self._breaker.attempt(httpx.TransportError):
                return await self._inner.handle_async_request(request)
        except CircuitOpen as error:
            raise ServiceLeftAlone(str(error), request=request) from error
        except TimeoutError as error:
            raise httpx.ReadTimeout("no sign of life", request=request) from error

    async def aclose(self) -> None:
        """Close `inner`."""
        await self._inner.aclose()


@cache
def _timeout(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=seconds, sock_connect=_CONNECT_SECONDS)


def _headers(content: bytes, token: str) -> dict[str, str]:
    headers = {"Authorization": f"Bearer {token}", **context_headers()}
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
