"""Bytes on their way out to whoever reads over HTTP."""

import asyncio
from collections.abc import Mapping
from typing import Final

from starlette.datastructures import Headers

from sharezync_gateway.proxy.failures import ClientGone
from sharezync_gateway.transfers.routed_request import RoutedRequest

LEAVING_BYTES: Final = 64 * 1024 * 1024
"""Of chunks that are being sent to readers, on the whole node."""
_PIECE_BYTES: Final = 256 * 1024
"""Written at a time: whoever takes less than one within `CLIENT_IDLE_SECONDS` doesn't read."""


async def start(visit: RoutedRequest, status: int, headers: Mapping[str, str]) -> None:
    """Begin an answer."""
    raw = Headers(headers).raw
    await visit.send({"type": "http.response.start", "status": status, "headers": raw})


async def end_without_body(visit: RoutedRequest) -> None:
    """End an answer that brings nothing."""
    await visit.send({"type": "http.response.body", "body": b""})


async def write(visit: RoutedRequest, payload: memoryview, *, is_last: bool) -> None:
    """Send some of a body. Raises ClientGone for a client who has left, or takes nothing."""
    for begin in range(0, len(payload), _PIECE_BYTES):
        piece = payload[begin : begin + _PIECE_BYTES]
        more = not is_last or begin + _PIECE_BYTES < len(payload)
        try:
            async with asyncio.timeout(visit.bounds.client_idle_seconds):
                await visit.send({"type": "http.response.body", "body": piece, "more_body": more})
        except (TimeoutError, OSError) as error:
            raise ClientGone("The client does not read") from error
