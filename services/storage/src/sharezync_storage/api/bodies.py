"""Bodies of requests: read piece by piece, with an end to every wait."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

from fastapi import HTTPException, Request
from fastapi.routing import APIRoute
from starlette.types import Message

from sharezync_shared.asgi.app import MAX_JSON_BODY_BYTES
from sharezync_shared.problems import TooLarge
from sharezync_storage.problems import BodyBroken, ChunkLength

IDLE_SECONDS: Final = 60.0
"""How long a client may send nothing in the middle of a body, or take nothing of an answer."""


async def body_of(request: Request) -> AsyncGenerator[bytes]:
    """Yield the body as it comes. Raises BodyBroken where it ends too soon or stalls."""
    more = True
    while more:
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                message = await request.receive()
        except TimeoutError as error:
            raise BodyBroken(f"Nothing came for {IDLE_SECONDS:g} s") from error
        if message["type"] == "http.disconnect":
            raise BodyBroken
        more = message.get("more_body", False)
        if piece := message.get("body", b""):
            yield piece


async def chunk_of(request: Request, length: int) -> list[bytes]:
    """Return a body of `length` bytes, in the pieces it came in. Raises ChunkLength, BodyBroken."""
    said = request.headers.get("content-length", "")
    if said.isdigit() and int(said[:20]) != length:
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
    return ChunkLength(f"Exactly {length} bytes belong here", expected_bytes=length)


class SmallBodyRoute(APIRoute):
    """A route that reads JSON: in a service that takes files, the limit is the route's."""

    def get_route_handler(self):  # type: ignore[no-untyped-def]  # noqa: ANN201 - FastAPI's type is long and its own
        """Wrap the handler so that it reads at most MAX_JSON_BODY_BYTES."""
        handle = super().get_route_handler()

        async def handle_small(request: Request):  # type: ignore[no-untyped-def]  # noqa: ANN202 - as above
            seen = 0

            async def receive() -> Message:
                nonlocal seen
                message = await request.receive()
                seen += len(message.get("body", b""))
                if seen > MAX_JSON_BODY_BYTES:
                    # FastAPI lets only this class pass while it reads a body.
                    detail = f"At most {MAX_JSON_BODY_BYTES} bytes are accepted here"
                    raise HTTPException(TooLarge.kind.value, detail)
                return message

            return await handle(Request(request.scope, receive))

        return handle_small
