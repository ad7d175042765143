"""`GET`, `HEAD` and `PUT /v1/transfers/{id}/files/{n}/chunks/{i}`: one chunk with its digest."""

import asyncio
import re
from typing import Final

import msgspec
import structlog

from sharezync_gateway.errors import (
    BodyBroken,
    BodyTooSlow,
    ChunkLength,
    ChunkMissing,
    ClientGone,
    TransferOver,
    of_code,
)
from sharezync_gateway.proxy.body import RequestBody
from sharezync_gateway.transfers.core.calls import refusal_of
from sharezync_gateway.transfers.core.chunk_store import ChunkAbsent, ChunkRefused, StoreAway
from sharezync_gateway.transfers.core.chunks import gather_chunk
from sharezync_gateway.transfers.http.http_context import HttpContext
from sharezync_gateway.transfers.http.requests import RoutedRequest
from sharezync_shared.contracts.transfer import ParticipationRead
from sharezync_shared.problems import Invalid, NotFound, TooLarge, Unavailable

log = structlog.get_logger()

DIGEST_HEADER: Final = b"x-chunk-sha256"
ARRIVE_SECONDS: Final = 120.0
"""How long a chunk may take to arrive, however steadily it trickles: 1 MiB at 70 kbit/s."""

_DIGEST: Final = re.compile(rb"[0-9a-fA-F]{64}")


async def get_chunk(context: HttpContext, request: RoutedRequest) -> None:
    """Give out a chunk, so that who reads it can check it.

    Raises Problem before anything is sent; hangs up on who does not read.
    """
    transfer_id, (file, index) = request.place()
    request.body(limit_bytes=0)  # refuses one
    participation = await context.participation(transfer_id, request.caller)
    shape = participation.readable(file)
    if index >= shape.chunk_count:
        raise NotFound("The file has no chunk with this index")
    semaphores = (participation.unstored_bytes, context.leaving_bytes)
    async with context.room_in(semaphores, shape.length(index), request.bounds.patience_seconds):
        try:
            # Always from storage: what lies in memory is counted, and kept for others.
            chunk = await context.transfers.store.get_chunk(shape.upload_id, index)
        except ChunkAbsent as error:
            raise ChunkMissing from error
        except StoreAway as error:
            raise Unavailable("Storage is temporarily unavailable") from error
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(len(chunk.payload)),
            "X-Chunk-Sha256": chunk.sha256.hex(),
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "private, no-cache",
        }
        payload = b"" if request.method == "HEAD" else chunk.payload
        try:
            await request.start(200, headers)
            await request.write(payload)
        except ClientGone as reason:
            log.debug("chunk_interrupted", reason=repr(reason))
            request.hang_up()
        else:
            context.transfers.metrics.delivered_bytes.inc(len(payload))


async def put_chunk(context: HttpContext, request: RoutedRequest) -> None:
    """Store one chunk, and answer how far its file is. Raises Problem."""
    transfer_id, (file, index) = request.place()
    sha256 = _digest_of(request)
    known = await context.participation(transfer_id, request.caller)
    expected = _expected_bytes(known.participation, file, index, request.head.body_bytes)
    semaphores = (known.unstored_bytes, context.arriving_bytes)
    async with context.room_in(semaphores, expected, request.bounds.patience_seconds):
        pieces = await _read(request, expected)
        if pieces is None:
            return  # the client has left
        chunk = gather_chunk(transfer_id, file, index, sha256, pieces)
        pieces.clear()
        upload_id = known.participation.shapes[file].upload_id
        await context.transfers.node_bytes.enter(expected)
        try:
            stored = await context.transfers.store_chunk(chunk, upload_id, known.reporter)
        except ChunkRefused as refusal:
            raise of_code(refusal.code, refusal.detail, refusal.status) from refusal
        except StoreAway as error:
            raise Unavailable("Storage is temporarily unavailable") from error
        finally:
            context.transfers.node_bytes.leave(expected)
    body = msgspec.json.encode(stored)
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    await request.start(200, headers)
    await request.write(body)


def _digest_of(request: RoutedRequest) -> bytes:
    given = request.fields.get(DIGEST_HEADER, b"")
    if not _DIGEST.fullmatch(given):
        message = "The SHA-256 of the chunk in 64 hexadecimal digits"
        field = {"field": "header.x-chunk-sha256", "message": message}
        raise Invalid("X-Chunk-Sha256 is missing or malformed", errors=[field])
    return bytes.fromhex(given.decode())


def _expected_bytes(
    participation: ParticipationRead, file: int, index: int, declared: int | None
) -> int:
    """Return how long the chunk must be. Raises Problem where it would be refused anyway."""
    shape = participation.shapes.get(file)
    length = shape.length(index) if shape is not None and index < shape.chunk_count else 0
    refusal = refusal_of(participation, file, index, length if declared is None else declared)
    if refusal is None:
        return length
    code, message = refusal
    if code == TransferOver.slug:
        raise TransferOver(message, state=participation.state)
    if code == ChunkLength.slug:
        raise ChunkLength(message, expected_bytes=length)
    raise of_code(code, message, 409)


async def _read(request: RoutedRequest, expected: int) -> list[bytes] | None:
    """Return the body in its pieces; None if the client left. Raises Problem."""
    body = request.body(expected)
    pieces: list[bytes] = []
    try:
        async with asyncio.timeout(ARRIVE_SECONDS):
            while not body.complete:
                message = await body.receive()
                if message["type"] == "http.disconnect":
                    _explain(body, expected)
                    return None
                if message.get("body"):
                    pieces.append(message["body"])
    except TimeoutError as error:
        raise BodyTooSlow(f"A chunk must be received within {ARRIVE_SECONDS:g} s") from error
    came = sum(map(len, pieces))
    if came != expected:
        raise ChunkLength(
            f"The chunk has {came} bytes instead of {expected}", expected_bytes=expected
        )
    return pieces


def _explain(body: RequestBody, expected: int) -> None:
    """Raise why a body ended too soon, where there is still somebody to answer."""
    if isinstance(body.failure, TooLarge):
        raise ChunkLength(f"The chunk has more than {expected} bytes", expected_bytes=expected)
    if body.failure is not None:
        raise body.failure
    if not body.gone:
        raise BodyBroken
