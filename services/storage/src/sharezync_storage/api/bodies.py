"""Bodies of requests: read piece by piece, with an end to every wait."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable
from typing import ClassVar, Final

from fastapi import HTTPException, Request
from fastapi.routing import APIRoute
from starlette.types import Message

from sharezync_shared.problems import TooLarge
from sharezync_shared.sizes import MAX_JSON_BODY_BYTES
from sharezync_storage.errors import BodyBroken, BodyTooSlow, ChunkLength
from sharezync_storage.usecases.writers import WriterBody

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
    time = asyncio.get_running_loop().time
    least = request.app.state.context.settings.min_body_bytes_per_second
    waited_seconds, size = 0.0, 0
    more = True
    while more:
        began = time()
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                message = await request.receive()
        except TimeoutError as error:
            raise BodyTooSlow(
                f"No bytes were received for {IDLE_SECONDS:g} s", idle_seconds=IDLE_SECONDS
            ) from error
        if message["type"] == "http.disconnect":
            raise BodyBroken
        piece, more = message.get("body", b""), message.get("more_body", False)
        waited_seconds, size = waited_seconds + time() - began, size + len(piece)
        if waited_seconds >= WINDOW_SECONDS:
            if more and size < least * waited_seconds:
                raise BodyTooSlow(
                    f"{size} bytes came in {waited_seconds:.0f} s, and at least {least} must come "
                    "each second",
                    min_bytes_per_second=least,
                )
            waited_seconds, size = 0.0, 0
        if piece:
            yield piece


async def chunk_of(request: Request, length: int, slot: WriterBody | None = None) -> list[bytes]:
    """Return a body of `length` bytes, in the pieces it came in. Raises ChunkLength, BodyBroken.

    With a `slot` it comes through that, and Unavailable is raised where it is gone.
    """
    said = request.headers.get("content-length", "")
    if said.isascii() and said.isdigit() and int(said[:20]) != length:
        raise _wrong_length(length)
    pieces, size = [], 0
    body: AsyncIterable[bytes] = body_of(request)
    async for piece in slot.pieces(body) if slot else body:
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
