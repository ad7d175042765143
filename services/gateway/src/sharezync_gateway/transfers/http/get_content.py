"""`GET` and `HEAD /v1/transfers/{id}/files/{n}/content`: a file, even while it still arrives."""

import asyncio
from uuid import UUID

import structlog
from starlette.datastructures import Headers

from sharezync_gateway.errors import ClientGone, TransferOver
from sharezync_gateway.proxy.body import RequestBody
from sharezync_gateway.proxy.service_timeout import ServiceTimeout
from sharezync_gateway.transfers.core.calls import DELIVERING, OVER
from sharezync_gateway.transfers.core.chunks import Bytes
from sharezync_gateway.transfers.core.reports import Reporter
from sharezync_gateway.transfers.http.chunk_reader import ChunkReader
from sharezync_gateway.transfers.http.http_context import HttpContext
from sharezync_gateway.transfers.http.requests import RoutedRequest
from sharezync_shared.asgi.content_wanted import (
    Span,
    Version,
    content_headers,
    not_modified,
    span_of,
    validators,
)
from sharezync_shared.problems import Problem
from sharezync_shared.ranges import Ranges

log = structlog.get_logger()


async def get_content(context: HttpContext, request: RoutedRequest) -> None:
    """Answer with a file's bytes in order; wait for those that are not stored yet.

    Raises Problem before anything is sent; breaks off what can't become whole.
    """
    transfer_id, (file,) = request.place()
    confirms = request.wants("confirm")
    known = await context.participation(transfer_id, request.caller)
    shape = known.readable(file)
    state = known.participation.file(file)
    version = Version(f'"{state.root}"' if state.root else None)
    asked = Headers(raw=request.head.kept)
    body = request.body(limit_bytes=0)  # there is none; how it ends shows that the client left
    if not_modified(asked, version):
        await request.start(304, validators(version))
        await request.write(b"")
        return
    wanted = None if request.method == "HEAD" else span_of(asked, shape.size_bytes, version)
    span = wanted or Span(0, shape.size_bytes - 1)
    # Never in place: what a stranger sends is for keeping, whatever it is said to be.
    headers = content_headers(
        name=state.name,
        mime=state.mime,
        size_bytes=shape.size_bytes,
        version=version,
        span=wanted,
    )
    await request.start(200 if wanted is None else 206, headers)
    if request.method == "HEAD" or not span.length:
        await request.write(b"")
        return
    reader = ChunkReader(context.transfers, file, shape, stored_bytes=state.stored_bytes)
    answer = _Answer(context, request, transfer_id, reader)
    await answer.send(span, body, known.reporter if confirms else None)


class _Answer:
    """One answer on its way, as long as its file is still to be had."""

    def __init__(
        self, context: HttpContext, request: RoutedRequest, transfer_id: UUID, reader: ChunkReader
    ) -> None:
        self._context = context
        self._request = request
        self._transfer_id = transfer_id
        self._reader = reader

    async def send(self, span: Span, body: RequestBody, confirming: Reporter | None) -> None:
        """Send a span of a file; what was sent is confirmed where somebody is given to report it.

        Hangs up where not all of it can be sent.
        """
        patience = ServiceTimeout(self._request.bounds.patience_seconds, watched=body)
        whole = False
        listeners = self._context.transfers.listeners
        listeners.add(self._transfer_id, self._reader)
        try:
            with patience:
                await self._send_all(span, patience, confirming)
                whole = True
        except (ClientGone, Problem) as reason:
            log.debug("content_interrupted", reason=repr(reason))
        finally:
            listeners.remove(self._transfer_id, self._reader)
        if not whole:
            self._request.hang_up()

    async def _send_all(
        self, span: Span, patience: ServiceTimeout, confirming: Reporter | None
    ) -> None:
        reader = self._reader
        size = reader.shape.chunk_size_bytes
        last = span.last // size
        next_one: asyncio.Task[Bytes] | None = None
        try:
            for index in range(span.first // size, last + 1):
                patience.resume()
                current = next_one or self._begin(index)
                next_one = current  # so that it is given back, should we be cancelled here
                payload = await current
                next_one = self._begin(index + 1) if index < last else None
                patience.pause()
                begin, after = index * size, index * size + len(payload)
                cut = memoryview(payload)[
                    max(span.first - begin, 0) : min(span.last + 1, after) - begin
                ]
                try:
                    await self._request.write(cut, is_last=index == last)
                finally:
                    self._context.leaving_bytes.leave(len(payload))
                self._context.transfers.metrics.delivered_bytes.inc(len(cut))
                if confirming is not None and len(cut) == len(payload):
                    confirmed = Ranges([(index, index)])
                    confirming.received(reader.file, confirmed, urgent=index == last)
        finally:
            if next_one is not None:
                self._give_back(next_one)

    def _begin(self, index: int) -> "asyncio.Task[Bytes]":
        return asyncio.create_task(self._fetch(index), name="fetch-chunk")

    async def _fetch(self, index: int) -> Bytes:
        """Return a chunk once it is stored, its room in `leaving_bytes` taken. Raises Problem."""
        length = self._reader.shape.length(index)
        while True:
            await self._reader.wait(index)
            if self._reader.changed:
                await self._check_transfer()
                continue
            await self._context.leaving_bytes.enter(length)
            payload: Bytes | None = None
            try:
                payload = await self._reader.get(index)
            finally:
                if payload is None:
                    self._context.leaving_bytes.leave(length)
            if payload is not None:
                return payload

    async def _check_transfer(self) -> None:
        """Find out how the transfer stands; wait while it is paused. Raises TransferOver."""
        self._reader.changed = False
        if self._reader.gone:
            raise TransferOver("Its chunks were deleted")
        known = await self._context.participation(self._transfer_id, self._request.caller)
        state = known.participation.state
        if state in OVER and state != "completed":
            raise TransferOver(f"The transfer is {state}", state=state)
        if state not in DELIVERING and state != "completed":
            await self._reader.wait_for_change()

    def _give_back(self, task: "asyncio.Task[Bytes]") -> None:
        def leave(done: "asyncio.Task[Bytes]") -> None:
            if not done.cancelled() and done.exception() is None:
                self._context.leaving_bytes.leave(len(done.result()))

        task.cancel()
        task.add_done_callback(leave)
