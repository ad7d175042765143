"""An httpx transport that leaves a failing service alone, and repeats what is harmless."""

import asyncio
from typing import Final

import httpx

from sharezync_shared.calls.breaker import Breaker, CircuitOpen
from sharezync_shared.calls.retry_budget import RetryBudget

_PAUSE_SECONDS: Final = 0.1  # a service that restarts is soon back
_NOTHING_WAS_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout)
_CONNECTION_LOST: Final = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)


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
        """See `httpx.AsyncBaseTransport`."""
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
