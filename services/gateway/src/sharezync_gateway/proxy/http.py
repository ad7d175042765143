"""The service in another process, over HTTP/1.1 and pooled connections."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import aiohttp
from multidict import CIMultiDict
from starlette.types import Send
from yarl import URL

from sharezync_gateway.errors import BrokenAnswer, ClientGone, TookTooLong, Unreachable
from sharezync_gateway.proxy.body import RequestBody
from sharezync_gateway.proxy.headers import Headers, counts_in_part
from sharezync_gateway.proxy.service_timeout import ServiceTimeout
from sharezync_gateway.proxy.upstream import Request
from sharezync_shared.calls.connector import MAX_AGE_SECONDS, RetryBudget, open_session
from sharezync_shared.server import SPLICE, SpliceSource

_SMALL_BYTES: Final = 64 * 1024  # up to here, one piece is cheaper than a stream
_SPLICE_FROM_BYTES: Final = 128 * 1024
"""From here on an answer goes from socket to socket: a reader who is slow makes us hold nothing.
It costs the connection, which can't be used again."""
_READ_BYTES: Final = 32 * 1024  # what is read ahead is held for each reader who is slow
_RETRY_AFTER_SECONDS: Final = 0.1
_SKIP_HEADERS: Final = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
_CONNECT_FAILED: Final = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)


class HttpUpstream:
    """Carries requests to `base_url`, such as `http://chat:8002`.

    At most `connections` are open at a time; a request that finds none free waits as long as for a
    connection, and is then Unreachable. A connection is replaced at about `max_age_seconds`.
    """

    def __init__(
        self,
        base_url: str,
        *,
        connections: int = 512,
        connect_timeout_seconds: float = 1,
        max_age_seconds: float = MAX_AGE_SECONDS,
    ) -> None:
        self._base = base_url.rstrip("/")
        if URL(self._base).scheme not in {"http", "https"} or not URL(self._base).host:
            raise ValueError(f"{base_url!r} is not the address of a service")
        self._own_prefix = self._base.encode() + b"/"
        self._connections = connections
        self._max_age_seconds = max_age_seconds
        self._budget = RetryBudget()
        self._timeout = aiohttp.ClientTimeout(
            total=None, connect=connect_timeout_seconds, sock_connect=connect_timeout_seconds
        )
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the pool; connections come with requests."""
        self._session = open_session(
            connections=self._connections,
            max_age_seconds=self._max_age_seconds,
            timeout=self._timeout,
            skip_auto_headers=_SKIP_HEADERS,
            read_bufsize=_READ_BYTES,
            max_field_size=16 * 1024,
        )

    async def aclose(self) -> None:
        """Close all connections. Idempotent."""
        if self._session is not None:
            await self._session.close()

    async def forward(self, request: Request, send: Send) -> None:
        """Carry one request; see `Upstream.forward`."""
        body = request.body
        patience = ServiceTimeout(request.patience_seconds, watched=body)
        try:
            with patience:
                await self._exchange(request, send, patience)
        except ClientGone:
            return
        except _CONNECT_FAILED as error:
            raise Unreachable("The service can't be reached") from error
        except (aiohttp.ClientError, OSError) as error:
            if body.gone or body.failure is not None:
                return  # we broke it off ourselves
            raise BrokenAnswer("The connection to the service broke") from error
        if patience.expired:
            raise TookTooLong(f"No word for {request.patience_seconds:g} s")

    async def _exchange(self, request: Request, send: Send, patience: ServiceTimeout) -> None:
        body = request.body
        data: bytes | AsyncIterator[bytes] | None = None
        if body.buffered:
            data, _ = await body.read()
        elif body.length is None or body.length > _SMALL_BYTES or body.expects_continue:
            data = _pieces(body, patience)
        elif body.length > 0:
            patience.pause()
            came, whole = await body.read()
            patience.resume()
            if not whole and not (came and counts_in_part(request.headers)):
                return
            data = came if whole else _broken(came, patience)
        response = await self._open(request, data)
        try:
            await self._relay(request, response, send, patience)
        finally:
            response.close()  # a connection whose answer was read whole is back in the pool already

    async def _open(
        self, request: Request, data: bytes | AsyncIterator[bytes] | None
    ) -> aiohttp.ClientResponse:
        if self._session is None:
            raise RuntimeError("start() comes first")
        target = self._base + request.path.decode("ascii")
        if request.query:
            target = f"{target}?{request.query.decode('ascii')}"
        body = request.body
        headers = _text_headers(request.headers)
        streaming = data is not None and not isinstance(data, bytes)
        if streaming and body.length is not None:
            headers["Content-Length"] = str(body.length)
        self._budget.call()
        # No connection came about, so the service has seen nothing: a repetition is harmless,
        # whatever the method. aiohttp itself repeats what a kept connection didn't carry any more,
        # where the method is idempotent: once, and for each connection at most once.
        repeatable = not streaming
        while True:
            try:
                return await self._session.request(
                    request.method,
                    URL(target, encoded=True),
                    data=data,
                    headers=headers,
                    allow_redirects=False,
                    expect100=body.expects_continue and streaming,
                )
            except _CONNECT_FAILED:
                if not repeatable or not self._budget.spend():
                    raise
                repeatable = False
                await asyncio.sleep(_RETRY_AFTER_SECONDS)  # a service that restarts is soon back

    async def _relay(
        self,
        request: Request,
        response: aiohttp.ClientResponse,
        send: Send,
        patience: ServiceTimeout,
    ) -> None:
        start = {
            "type": "http.response.start",
            "status": response.status,
            "headers": self._response_headers(response),
        }
        length = response.content_length
        if request.method == "HEAD" or (
            length is not None and (length <= _SMALL_BYTES or request.may_buffer(length))
        ):
            content = await response.read()
            request.on_served()  # the connection is free: a slow reader holds none
            await send(start)
            patience.pause()
            await send({"type": "http.response.body", "body": content, "more_body": False})
            return
        patience.pause()
        await send(start)
        patience.resume()
        if request.takes_splice and length is not None and length >= _SPLICE_FROM_BYTES:
            transport = _plain_transport(response)
            if transport is not None:
                await self._splice(response, transport, length, send, patience)
                return
        async for piece in response.content.iter_any():
            patience.pause()
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            patience.resume()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _splice(
        self,
        response: aiohttp.ClientResponse,
        transport: asyncio.Transport,
        length: int,
        send: Send,
        patience: ServiceTimeout,
    ) -> None:
        content = response.content
        early = b""
        while piece := content.read_nowait():  # which has aiohttp go on reading, so again
            early += piece
        left = length - content.total_bytes
        if not left:
            await send({"type": "http.response.body", "body": early, "more_body": False})
            return
        transport.pause_reading()
        with SpliceSource(transport.get_extra_info("socket").fileno()) as source:
            patience.pause()
            await send({"type": "http.response.body", "body": early, "more_body": True})
            while left:
                patience.resume()
                count = min(await source.readable(), left)
                if not count:
                    raise aiohttp.ClientPayloadError("The answer is not whole")
                patience.pause()
                left -= count
                message = {"type": SPLICE, "source": source, "count": count, "more_body": left > 0}
                try:
                    await send(message)
                except EOFError as error:
                    raise aiohttp.ClientPayloadError("The answer is not whole") from error
                except OSError as error:
                    raise ClientGone("The client has left") from error

    def _response_headers(self, response: aiohttp.ClientResponse) -> Headers:
        """Return the raw fields; a Location that names the service's own address becomes a path."""
        if "Location" not in response.headers:
            return list(response.raw_headers)
        prefix = self._own_prefix
        return [
            (name, value[len(prefix) - 1 :])
            if name.lower() == b"location" and value.startswith(prefix)
            else (name, value)
            for name, value in response.raw_headers
        ]


def _plain_transport(response: aiohttp.ClientResponse) -> asyncio.Transport | None:
    """Return the transport that brings the rest of an answer next, as it is; None if none does."""
    connection = response.connection  # None where all has come
    transport = None if connection is None else connection.transport
    is_plain = "Transfer-Encoding" not in response.headers
    if transport is None or not is_plain or transport.get_extra_info("ssl_object") is not None:
        return None
    return transport


async def _pieces(body: RequestBody, patience: ServiceTimeout) -> AsyncIterator[bytes]:
    """Yield the body; between two pieces it is the client's turn, during one the service's."""
    while not body.complete:
        patience.pause()
        message = await body.receive()
        patience.resume()
        if message["type"] == "http.disconnect":
            patience.end()
            raise _BrokeOff  # for aiohttp, which closes the connection on it
        if message.get("body"):
            yield message["body"]


async def _broken(came: bytes, patience: ServiceTimeout) -> AsyncIterator[bytes]:
    """Yield what came of a body that broke off, and break off."""
    yield came
    patience.end()
    raise _BrokeOff


class _BrokeOff(Exception):
    """The body is not whole. No OSError: that would be an invitation to try again."""


def _text_headers(headers: Headers) -> CIMultiDict[str]:
    """Return fields as aiohttp wants them: it writes text as UTF-8."""
    text: CIMultiDict[str] = CIMultiDict()
    for name, value in headers:
        try:
            text.add(name.decode("ascii"), value.decode())
        except UnicodeDecodeError:
            text.add(name.decode("latin-1"), value.decode("latin-1"))
    return text
