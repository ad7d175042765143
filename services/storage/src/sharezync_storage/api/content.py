"""The bytes of a file: raw ASGI, piece by piece, for as long as somebody takes them."""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from io import FileIO
from typing import Final

import structlog
from fastapi import Response
from starlette.types import Message, Receive, Scope, Send

from sharezync_shared.asgi.content_wanted import Span, Version, content_headers
from sharezync_shared.media_types import INLINE
from sharezync_shared.server import SLOWEST_BYTES_PER_SECOND, ZERO_COPY
from sharezync_storage.api.bodies import IDLE_SECONDS
from sharezync_storage.errors import ContentDamaged
from sharezync_storage.models import File
from sharezync_storage.settings import MIB
from sharezync_storage.stores.port import PIECE_BYTES, BlobStore, LocalFiles, NoSuchBlob
from sharezync_storage.usecases.claims import Download

log = structlog.get_logger()

_FAST_SECONDS: Final = 0.5
_MOST_BYTES: Final = 8 * MIB

_Body = tuple[int, Message]
"""How many bytes a message brings, and the message."""


def version_of(file: File) -> Version:
    """Return by what clients know a file's content. It never changes, so the id says it all."""
    return Version(f'"{file.id.hex}"', file.created_at)


def headers_of(file: File, span: Span | None = None) -> dict[str, str]:
    """Return the headers with which content is answered; no file can do harm under these."""
    return content_headers(
        name=file.name,
        mime=file.mime,
        size_bytes=file.size_bytes,
        version=version_of(file),
        span=span,
        in_place=file.mime in INLINE,
    )


class ContentResponse(Response):
    """Answers with a range of a blob; stops reading when the client goes or takes nothing."""

    def __init__(
        self,
        store: BlobStore,
        file: File,
        span: Span | None,
        *,
        delivery: Download | None = None,
        more_headers: Mapping[str, str] | None = None,
    ) -> None:
        self._store = store
        self._file = file
        self._span = span or Span(0, file.size_bytes - 1)
        self._delivery = delivery
        self._sent_bytes = 0
        super().__init__(
            status_code=200 if span is None else 206,
            headers={**headers_of(file, span), **(more_headers or {})},
        )

    @property
    def length(self) -> int:
        return self._span.length

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # A server swallows what is sent to a client that has gone: only receive() tells. What comes
        # in one piece is not worth a task, unless it is counted.
        watched = self.length > PIECE_BYTES or self._delivery is not None
        leaving = asyncio.create_task(_left(receive)) if watched else None
        takes_files = ZERO_COPY in scope.get("extensions", {})
        try:
            await self._answer(leaving, send, takes_files=takes_files)
        except TimeoutError:
            left = self.length - self._sent_bytes
            log.info("reader_stalled", file_id=str(self._file.id), left_bytes=left)
        except NoSuchBlob as error:
            raise ContentDamaged from error
        finally:
            if leaving is not None:
                leaving.cancel()
            if self._delivery is not None:
                await asyncio.shield(self._delivery.end(self._sent_bytes))

    async def _answer(
        self, leaving: "asyncio.Task[None] | None", send: Send, *, takes_files: bool
    ) -> None:
        if not self.length:
            await self._start(0, send)
            await send({"type": "http.response.body", "body": b""})
            return
        async with self._bodies(takes_files=takes_files) as bodies:
            if self._delivery is None:
                await self._start(0, send)
            await self._send_all(bodies, leaving, send)

    @asynccontextmanager
    async def _bodies(self, *, takes_files: bool) -> AsyncGenerator[AsyncIterator[_Body]]:
        key, span = self._file.store_key, self._span
        if takes_files and span.length > PIECE_BYTES and isinstance(self._store, LocalFiles):
            async with self._store.open_file(key) as file:
                if os.fstat(file.fileno()).st_size <= span.last:
                    raise ContentDamaged
                yield _of_file(file, span)
            return
        async with self._store.open(key, offset=span.first, length=span.length) as pieces:
            yield _of_pieces(pieces)

    async def _send_all(
        self, bodies: AsyncIterator[_Body], leaving: "asyncio.Task[None] | None", send: Send
    ) -> None:
        async for size_bytes, body in bodies:
            if self._delivery is not None and not self._sent_bytes:
                await asyncio.sleep(0)  # a disconnect that has come by now is seen
            if leaving is not None and leaving.done():
                return
            if self._delivery is not None and not self._sent_bytes:
                await self._start(size_bytes, send)
            self._sent_bytes += size_bytes
            body["more_body"] = self._sent_bytes < self.length
            async with asyncio.timeout(IDLE_SECONDS + size_bytes / SLOWEST_BYTES_PER_SECOND):
                await send(body)

    async def _start(self, first_bytes: int, send: Send) -> None:
        if self._delivery is not None:
            await self._delivery.begin(first_bytes)
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )


async def _of_pieces(pieces: AsyncIterator[bytes]) -> AsyncGenerator[_Body]:
    async for piece in pieces:
        yield len(piece), {"type": "http.response.body", "body": piece}


async def _of_file(file: FileIO, span: Span) -> AsyncGenerator[_Body]:
    """Yield the span, in the larger pieces the faster they are taken.

    Each has a minute: what is slow must be small, or a reader who reads would look like none.
    """
    time = asyncio.get_running_loop().time
    offset, count = span.first, PIECE_BYTES
    while offset <= span.last:
        count = min(count, span.last + 1 - offset)
        began = time()
        yield count, {"type": ZERO_COPY, "file": file, "offset": offset, "count": count}
        offset += count
        is_fast = time() - began < _FAST_SECONDS
        count = min(2 * count, _MOST_BYTES) if is_fast else PIECE_BYTES


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
