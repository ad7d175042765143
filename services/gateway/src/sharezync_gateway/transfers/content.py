"""`GET` and `HEAD /v1/transfers/{id}/files/{n}/content`: a file, even while it still arrives."""

import asyncio
from uuid import UUID

import structlog
from starlette.datastructures import Headers

from sharezync_gateway.proxy.body import RequestBody
from sharezync_gateway.proxy.failures import ClientGone
from sharezync_gateway.proxy.service_timeout import ServiceTimeout
from sharezync_gateway.realtime.transfer.byte_semaphore import ByteSemaphore
from sharezync_gateway.realtime.transfer.calls import DELIVERING, OVER
from sharezync_gateway.realtime.transfer.chunks import Bytes
from sharezync_gateway.realtime.transfer.context import TransferContext
from sharezync_gateway.realtime.transfer.reports import Reporter
from sharezync_gateway.transfers.callers import Caller, caller_of
from sharezync_gateway.transfers.participations import HttpParticipations, readable
from sharezync_gateway.transfers.problems import TransferOver
from sharezync_gateway.transfers.reading import ChunkReader
from sharezync_gateway.transfers.routed_request import RoutedRequest
from sharezync_gateway.transfers.writing import end_without_body, start, write
from sharezync_shared.asgi.content_headers import content_headers, validators
from sharezync_shared.asgi.content_wanted import Span, Version, not_modified, span_of
from sharezync_shared.problems import Problem
from sharezync_shared.ranges import Ranges

log = structlog.get_logger()


class GetContent:
    """Answers with a file's bytes in order; waits for those that are not stored yet."""

    def __init__(
        self, commons: TransferContext, ends: HttpParticipations, leaving: ByteSemaphore
    ) -> None:
        self._commons = commons
        self._ends = ends
        self._leaving = leaving

    async def __call__(self, visit: RoutedRequest) -> None:
        """Answer. Raises Problem before anything is sent; breaks off what can't become whole."""
        transfer_id, (file,) = visit.place()
        confirms = visit.wants("confirm")
        caller = caller_of(visit.head.authorization, visit.identity)
        end = await self._ends.participation_of(transfer_id, caller)
        shape = readable(end, file)
        known = end.attachment.file(file)
        version = Version(f'"{known.root}"' if known.root else None)
        asked = Headers(raw=visit.head.kept)
        body = visit.body(limit_bytes=0)  # there is none; how it ends tells that the client left
        if not_modified(asked, version):
            await start(visit, 304, validators(version))
            await end_without_body(visit)
            return
        wanted = None if visit.method == "HEAD" else span_of(asked, shape.size_bytes, version)
        span = wanted or Span(0, shape.size_bytes - 1)
        # Never in place: what a stranger sends is for keeping, whatever it is said to be.
        headers = content_headers(
            name=known.name,
            mime=known.mime,
            size_bytes=shape.size_bytes,
            version=version,
            span=wanted,
        )
        await start(visit, 200 if wanted is None else 206, headers)
        if visit.method == "HEAD" or not span.length:
            await end_without_body(visit)
            return
        answer = _Answer(self._commons, self._ends, self._leaving, visit, transfer_id, caller)
        reading = ChunkReader(
            self._commons, file, shape, stored_bytes=end.attachment.stored_bytes(file)
        )
        await answer.send(reading, span, body, end.reporter if confirms else None)


class _Answer:
    """One answer on its way, as long as its file is still to be had."""

    def __init__(
        self,
        commons: TransferContext,
        ends: HttpParticipations,
        gate: ByteSemaphore,
        visit: RoutedRequest,
        transfer_id: UUID,
        caller: Caller,
    ) -> None:
        self._commons = commons
        self._ends = ends
        self._gate = gate
        self._visit = visit
        self._transfer_id = transfer_id
        self._caller = caller

    async def send(
        self, reading: ChunkReader, span: Span, body: RequestBody, confirming: Reporter | None
    ) -> None:
        """Send a span of a file; what was sent is confirmed where somebody is given to report it.

        Hangs up where not all of it can be sent.
        """
        patience = ServiceTimeout(self._visit.bounds.patience_seconds, watched=body)
        whole = False
        self._commons.followers.add(self._transfer_id, reading)
        try:
            with patience:
                await self._send_all(reading, span, patience, confirming)
                whole = True
        except (ClientGone, Problem) as reason:
            log.debug("content_interrupted", reason=repr(reason))
        finally:
            self._commons.followers.remove(self._transfer_id, reading)
        if not whole:
            self._visit.hang_up()

    async def _send_all(
        self,
        reading: ChunkReader,
        span: Span,
        patience: ServiceTimeout,
        confirming: Reporter | None,
    ) -> None:
        size = reading.shape.chunk_size_bytes
        last = span.last // size
        next_one: asyncio.Task[Bytes] | None = None
        try:
            for index in range(span.first // size, last + 1):
                patience.resume()
                current = next_one or self._begin(reading, index)
                next_one = current  # so that it is given back, should we be cancelled here
                payload = await current
                next_one = self._begin(reading, index + 1) if index < last else None
                patience.pause()
                begin, after = index * size, index * size + len(payload)
                cut = memoryview(payload)[
                    max(span.first - begin, 0) : min(span.last + 1, after) - begin
                ]
                try:
                    await write(self._visit, cut, is_last=index == last)
                finally:
                    self._gate.leave(len(payload))
                self._commons.metrics.delivered_bytes.inc(len(cut))
                if confirming is not None and len(cut) == len(payload):
                    held = Ranges([(index, index)])
                    confirming.received(reading.file, held, urgent=index == last)
        finally:
            if next_one is not None:
                self._give_back(next_one)

    def _begin(self, reading: ChunkReader, index: int) -> "asyncio.Task[Bytes]":
        return asyncio.create_task(self._fetch(reading, index), name="fetch-chunk")

    async def _fetch(self, reading: ChunkReader, index: int) -> Bytes:
        """Return a chunk once it is stored, its room in the gate taken. Raises Problem."""
        length = reading.shape.length(index)
        while True:
            await reading.wait(index)
            if reading.doubt:
                await self._make_sure(reading)
                continue
            await self._gate.enter(length)
            payload: Bytes | None = None
            try:
                payload = await reading.get(index)
            finally:
                if payload is None:
                    self._gate.leave(length)
            if payload is not None:
                return payload

    async def _make_sure(self, reading: ChunkReader) -> None:
        """Find out how the transfer stands; wait while it rests. Raises TransferOver."""
        reading.doubt = False
        if reading.gone:
            raise TransferOver("Its chunks were deleted")
        end = await self._ends.participation_of(self._transfer_id, self._caller)
        state = end.attachment.state
        if state in OVER and state != "completed":
            raise TransferOver(f"The transfer is {state}", state=state)
        if state not in DELIVERING and state != "completed":
            await reading.rest()

    def _give_back(self, task: "asyncio.Task[Bytes]") -> None:
        def leave(done: "asyncio.Task[Bytes]") -> None:
            if not done.cancelled() and done.exception() is None:
                self._gate.leave(len(done.result()))

        task.cancel()
        task.add_done_callback(leave)
