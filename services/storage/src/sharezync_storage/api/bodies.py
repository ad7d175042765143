"""Bodies of requests: read piece by piece, with an end to every wait."""

import asyncio
from collections.abc import AsyncGenerator
from typing import ClassVar, Final

from fastapi import HTTPException, Request
from fastapi.routing import APIRoute
from starlette.types import Message

from sharezync_shared.problems import TooLarge
from sharezync_shared.sizes import MAX_JSON_BODY_BYTES
from sharezync_storage.errors import BodyBroken, BodyTooSlow, ChunkLength

IDLE_SECONDS: Final = 60.0
"""How long a client may send nothing in the middle of a body, or take nothing of an answer."""
WINDOW_SECONDS: Final = 60.0
"""Over how long the pace of a body is averaged."""


async def body_of(request: Request) -> AsyncGenerator[bytes]:
    """Yield the body as it comes.

    Raises BodyBroken where it ends too soon, and BodyTooSlow where nothing comes for a minute, or
    less than `min_body_bytes_per_second` on the average of one. Only waiting for the client counts:
    a store that is slow is none of its faults.
    """
    pace = _Pace(request.app.state.context.settings.min_body_bytes_per_second)
    more = True
    while more:
        message = await pace.receive(request)
        if message["type"] == "http.disconnect":
            raise BodyBroken
        more = message.get("more_body", False)
        if piece := message.get("body", b""):
            yield piece


class _Pace:
    """How fast a body comes. `minimum` is in bytes per second; 0: any pace will do."""

    def __init__(self, minimum: int) -> None:
        self._minimum = minimum
        self._waited_seconds = 0.0
        self._bytes = 0

    async def receive(self, request: Request) -> Message:
        """Return the next message. Raises BodyTooSlow."""
        time = asyncio.get_running_loop().time
        began = time()
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                message = await request.receive()
        except TimeoutError as error:
            raise BodyTooSlow(
                f"No bytes were received for {IDLE_SECONDS:g} s", idle_seconds=IDLE_SECONDS
            ) from error
        self._waited_seconds += time() - began
        self._bytes += len(message.get("body", b""))
        if self._waited_seconds >= WINDOW_SECONDS:
            if self._bytes < self._minimum * self._waited_seconds and message.get("more_body"):
                raise BodyTooSlow(
                    f"{self._bytes} bytes came in {self._waited_seconds:.0f} s, and at least "
                    f"{self._minimum} must come each second",
                    min_bytes_per_second=self._minimum,
                )
            self._waited_seconds, self._bytes = 0.0, 0
        return message


async def chunk_of(request: Request, length: int) -> list[bytes]:
    """Return a body of `length` bytes, in the pieces it came in. Raises ChunkLength, BodyBroken."""
    said = request.headers.get("content-length", "")
    if said.isascii() and said.isdigit() and int(said[:20]) != length:
        raise _wrong_length(length)
    pieces, size = [], 0
    async for piece in body_of(request):
        size += len(piece)
        if size > length:
            raise _wrong_length(length)
        pieces.append(piece)
    if size != length:
        raise _wrong_length(length)
    return pieces


def _wrong_length(length: int) -> ChunkLength:
    return ChunkLength(f"The body must have exactly {length} bytes", expected_bytes=length)


class SmallBodyRoute(APIRoute):
    """A route that reads JSON: in a service that takes files, the limit is the route's."""

    max_body_bytes: ClassVar[int] = MAX_JSON_BODY_BYTES

    def get_route_handler(self):  # type: ignore[no-untyped-def]  # noqa: ANN201 - FastAPI's type is long and its own
        """Wrap the handler so that it reads at most `max_body_bytes`."""
        handle = super().get_route_handler()

        async def handle_small(request: Request):  # type: ignore[no-untyped-def]  # noqa: ANN202 - as above
            seen = 0

            async def receive() -> Message:
                nonlocal seen
                message = await request.receive()
                seen += len(message.get("body", b""))
                if seen > self.max_body_bytes:
                    # FastAPI lets only this class pass while it reads a body.
                    detail = f"At most {self.max_body_bytes} bytes are accepted"
                    raise HTTPException(TooLarge.kind.value, detail)
                return message

            return await handle(Request(request.scope, receive))

        return handle_small
