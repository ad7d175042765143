"""Bodies of tus: bytes of an upload, and the checksum that may come with them."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from fastapi import Request

from sharezync_shared.ids import UserId
from sharezync_storage.api.bodies import body_of
from sharezync_storage.api.dependencies import TheParts
from sharezync_storage.api.tus_headers import one_of
from sharezync_storage.models import Upload, UploadId
from sharezync_storage.problems import BodyBroken, BodyTooSlow, UploadInterrupted
from sharezync_storage.usecases.checksums import Checksum


async def append_body(
    request: Request,
    parts: TheParts,
    owner_id: UserId,
    upload_id: UploadId,
    offset: int,
    length: int | None,
    checksum: Checksum | None,
    *,
    skip_bytes: int = 0,
) -> Upload:
    """Keep the body, but for its first `skip_bytes`.

    One that broke off is no fault of the request: it may be sent again.
    """
    try:
        async with (
            aclosing(body_of(request)) as body,
            aclosing(_beyond(skip_bytes, body, parts)) as pieces,
        ):
            return await parts.appending.append(
                owner_id=owner_id,
                upload_id=upload_id,
                offset=offset,
                pieces=pieces,
                length=length,
                checksum=checksum,
            )
    except (BodyBroken, BodyTooSlow) as broken:
        raise UploadInterrupted(broken.detail) from broken


async def _beyond(
    skip_bytes: int, body: AsyncIterator[bytes], parts: TheParts
) -> AsyncGenerator[bytes]:
    """Pass on what follows the first `skip_bytes` of a body, and count it: nearly all is kept."""
    async for piece in body:
        new = piece[skip_bytes:] if skip_bytes else piece
        skip_bytes -= len(piece) - len(new)
        if new:
            parts.metrics.tus_bytes.inc(len(new))
            yield new


def checksum_of(request: Request) -> Checksum | None:
    said = one_of(request.headers, "Upload-Checksum")
    return None if said is None else Checksum.from_header(said)
