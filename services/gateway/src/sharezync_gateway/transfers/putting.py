"""`PUT /v1/transfers/{id}/files/{n}/chunks/{i}`: a chunk as the body of a request."""

import asyncio
import re
from typing import Final

import msgspec

from sharezync_gateway.proxy.body import RequestBody
from sharezync_gateway.realtime.transfer.byte_semaphore import ByteSemaphore
from sharezync_gateway.realtime.transfer.chunk_store import ChunkRefused, StoreAway
from sharezync_gateway.realtime.transfer.chunks import Chunk, gather_chunk
from sharezync_gateway.realtime.transfer.storing import refusal_of
from sharezync_gateway.realtime.transfer.transfers import Transfers
from sharezync_gateway.transfers.callers import caller_of
from sharezync_gateway.transfers.participations import (
    HttpParticipation,
    HttpParticipations,
    room_in,
)
from sharezync_gateway.transfers.problems import (
    BodyBroken,
    BodyTooSlow,
    ChunkLength,
    TransferOver,
    of_code,
)
from sharezync_gateway.transfers.routed_request import RoutedRequest
from sharezync_shared.contracts.storage import ChunkStored
from sharezync_shared.problems import Invalid, TooLarge, Unavailable

DIGEST_HEADER: Final = b"x-chunk-sha256"
ARRIVING_BYTES: Final = 64 * 1024 * 1024
"""Of chunks whose requests are being read, on the whole node. Not of the node's own room for
chunks: there nobody waits for a client, and nobody's slow client may make sockets wait."""
ARRIVE_SECONDS: Final = 120.0
"""How long a chunk may take to arrive, however steadily it trickles: 1 MiB at 70 kbit/s."""

_DIGEST: Final = re.compile(rb"[0-9a-fA-F]{64}")


class PutChunk:
    """Takes chunks, as many at a time as there is room for."""

    def __init__(self, transfers: Transfers, ends: HttpParticipations) -> None:
        self._transfers = transfers
        self._ends = ends
        self._arriving = ByteSemaphore(ARRIVING_BYTES)

    async def __call__(self, visit: RoutedRequest) -> None:
        """Store one chunk, and answer how far its file is. Raises Problem."""
        transfer_id, (file, index) = visit.place()
        sha256 = _digest_of(visit)
        end = await self._ends.participation_of(
            transfer_id, caller_of(visit.head.authorization, visit.identity)
        )
        expected = _expected_bytes(end, file, index, visit.head.body_bytes)
        gates = (end.gate, self._arriving)
        async with room_in(gates, expected, visit.bounds.patience_seconds):
            pieces = await _read(visit, expected)
            if pieces is None:
                return  # the client has left
            chunk = gather_chunk(transfer_id, file, index, sha256, pieces)
            pieces.clear()
            stored = await self._keep(chunk, end)
        body = msgspec.json.encode(stored)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
        ]
        await visit.send({"type": "http.response.start", "status": 200, "headers": headers})
        await visit.send({"type": "http.response.body", "body": body})

    async def _keep(self, chunk: Chunk, end: HttpParticipation) -> ChunkStored:
        upload_id = end.attachment.shapes[chunk.file].upload_id
        try:
            return await self._transfers.keep(chunk, upload_id, end.reporter)
        except ChunkRefused as refusal:
            raise of_code(refusal.code, refusal.detail, refusal.status) from refusal
        except StoreAway as error:
            raise Unavailable("Storage is temporarily unavailable") from error


def _digest_of(visit: RoutedRequest) -> bytes:
    given = visit.fields.get(DIGEST_HEADER, b"")
    if not _DIGEST.fullmatch(given):
        message = "The SHA-256 of the chunk in 64 hexadecimal digits"
        field = {"field": "header.x-chunk-sha256", "message": message}
        raise Invalid("X-Chunk-Sha256 is missing or malformed", errors=[field])
    return bytes.fromhex(given.decode())


def _expected_bytes(end: HttpParticipation, file: int, index: int, declared: int | None) -> int:
    """Return how long the chunk must be. Raises Problem where it would be refused anyway."""
    attachment = end.attachment
    shape = attachment.shapes.get(file)
    length = shape.length(index) if shape is not None and index < shape.chunk_count else 0
    refusal = refusal_of(attachment, file, index, length if declared is None else declared)
    if refusal is None:
        return length
    code, message = refusal
    if code == TransferOver.slug:
        raise TransferOver(message, state=attachment.state)
    if code == ChunkLength.slug:
        raise ChunkLength(message, expected_bytes=length)
    raise of_code(code, message, 409)


async def _read(visit: RoutedRequest, expected: int) -> list[bytes] | None:
    """Return the body in its pieces; None if the client left. Raises Problem."""
    body = visit.body(expected)
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
    """Raise why a body ended too soon, where there is still somebody to be told."""
    if isinstance(body.failure, TooLarge):
        raise ChunkLength(f"The chunk has more than {expected} bytes", expected_bytes=expected)
    if body.failure is not None:
        raise body.failure
    if not body.gone:
        raise BodyBroken
