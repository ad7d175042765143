"""The service's answer on its way down to the client."""

import asyncio
from typing import Final

from starlette.types import Message, Send

from sharezync_gateway.errors import ClientGone
from sharezync_gateway.proxy.allowances import RequestAllowance
from sharezync_gateway.proxy.body import RequestBody
from sharezync_gateway.proxy.headers import clean_response
from sharezync_shared.server import SLOWEST_BYTES_PER_SECOND, SPLICE, ZERO_COPY

_START: Final = "http.response.start"
_UNREAD: Final = frozenset({ZERO_COPY, SPLICE})
_BODY: Final = frozenset({"http.response.body", *_UNREAD})


class ResponseWriter:
    """An ASGI `send` that cleans header fields and gives up on a reader who doesn't read."""

    __slots__ = (
        "_allowance", "_body", "_send", "_stall_seconds", "_streaming", "complete", "started",
    )  # fmt: skip

    def __init__(
        self, send: Send, body: RequestBody, allowance: RequestAllowance, *, stall_seconds: float
    ) -> None:
        self._send = send
        self._body = body
        self._allowance = allowance
        self._stall_seconds = stall_seconds
        self._streaming = False
        self.started = False
        self.complete = False

    async def __call__(self, message: Message) -> None:
        """Pass one message on. Raises ClientGone if the client takes nothing for too long."""
        if message["type"] == _START:
            self.started = True
            self._allowance.answered()
            await self._send(self._cleaned(message))
        elif message["type"] in _BODY:
            more = message.get("more_body", False)
            if more or self._streaming or message["type"] in _UNREAD:
                self._streaming = True
                await self._send_bounded(message)
            else:
                await self._send(message)
            self.complete = not more

    def _cleaned(self, message: Message) -> Message:
        status = message["status"]
        headers = clean_response(message.get("headers", ()), status)
        if self._body.expects_continue and not self._body.asked:
            # The client waits to be asked for the body, and now never will be. Whether it sends
            # the body all the same can't be known, so neither can where a next request begins.
            headers.append((b"connection", b"close"))
        return {"type": _START, "status": status, "headers": headers}

    async def _send_bounded(self, message: Message) -> None:
        size_bytes = message.get("count") or len(message.get("body", b""))
        try:
            async with asyncio.timeout(self._stall_seconds + size_bytes / SLOWEST_BYTES_PER_SECOND):
                await self._send(message)
        except TimeoutError:
            raise ClientGone("The client does not read") from None
        self._allowance.moved(size_bytes)
