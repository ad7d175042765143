"""The bytes of a file: raw ASGI, piece by piece, for as long as somebody takes them."""

import asyncio
from email.utils import format_datetime

import structlog
from fastapi import Response
from starlette.types import Receive, Scope, Send

from sharezync_storage.api.bodies import IDLE_SECONDS
from sharezync_storage.api.ranges import Span
from sharezync_storage.models import File
from sharezync_storage.problems import ContentDamaged
from sharezync_storage.serving import CONTENT_SECURITY_POLICY, content_disposition, content_type
from sharezync_storage.stores import PIECE_BYTES, BlobStore, NoSuchBlob

log = structlog.get_logger()


def etag_of(file: File) -> str:
    """Return the ETag of a file. Content never changes, so the id says it all."""
    return f'"{file.id.hex}"'


def last_modified_of(file: File) -> str:
    """Return when the file came to be, as an HTTP date."""
    return format_datetime(file.created_at, usegmt=True)


def headers_of(file: File, *, length: int, span: Span | None = None) -> dict[str, str]:
    """Return the headers with which content is answered; no file can do harm under these."""
    headers = {
        "Content-Type": content_type(file.mime),
        "Content-Length": str(length),
        "Content-Disposition": content_disposition(file.name, file.mime),
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "X-Content-Type-Options": "nosniff",
        "Accept-Ranges": "bytes",
        **validators_of(file),
    }
    if span is not None:
        headers["Content-Range"] = f"bytes {span.first}-{span.last}/{file.size_bytes}"
    return headers


def validators_of(file: File) -> dict[str, str]:
    """Return the headers by which a client knows what it has; it asks each time whether it may."""
    return {
        "ETag": etag_of(file),
        "Last-Modified": last_modified_of(file),
        "Cache-Control": "private, no-cache",
    }


class ContentResponse(Response):
    """Answers with a range of a blob; stops reading when the client goes or takes nothing."""

    def __init__(self, store: BlobStore, file: File, span: Span | None) -> None:
        self._store = store
        self._file = file
        self._span = span or Span(0, file.size_bytes - 1)
        super().__init__(
            status_code=200 if span is None else 206,
            headers=headers_of(file, length=self.length, span=span),
        )

    @property
    def length(self) -> int:
        """How many bytes the body has."""
        return self._span.length

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        left = self.length
        start = {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": self.raw_headers,
        }
        if not left:
            await send(start)
            await send({"type": "http.response.body", "body": b""})
            return
        # A server swallows what is sent to a client that has gone: only receive() tells.
        leaving = asyncio.create_task(_left(receive)) if left > PIECE_BYTES else None
        try:
            reading = self._store.open(self._file.store_key, offset=self._span.first, length=left)
            async with reading as pieces:
                await send(start)
                async for piece in pieces:
                    if leaving is not None and leaving.done():
                        return
                    left -= len(piece)
                    body = {"type": "http.response.body", "body": piece, "more_body": left > 0}
                    async with asyncio.timeout(IDLE_SECONDS):
                        await send(body)
        except TimeoutError:
            log.info("reader_stalled", file_id=str(self._file.id), left_bytes=left)
        except NoSuchBlob as error:
            raise ContentDamaged from error
        finally:
            if leaving is not None:
                leaving.cancel()


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
