"""The proxy: forwards one request to its service, and the answer back."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Final

from starlette.types import Message, Send

from sharezync_gateway.errors import (
    BrokenAnswer,
    ClientGone,
    ClientTooSlow,
    TookTooLong,
    Unreachable,
    UploadInterrupted,
)
from sharezync_gateway.proxy.allowances import (
    ProxyMemory,
    RequestAllowance,
    ServiceAdmission,
)
from sharezync_gateway.proxy.body import RequestBody
from sharezync_gateway.proxy.bulkhead import BulkheadLimits, WaitingClient
from sharezync_gateway.proxy.headers import RequestHead, clean_query, clean_response, counts_in_part
from sharezync_gateway.proxy.incoming import IncomingRequest
from sharezync_gateway.proxy.upstream import ClientOrigin, Request, Upstream
from sharezync_shared.calls.breaker import Breakers
from sharezync_shared.observability import request_id_var
from sharezync_shared.problems import Problem, Unavailable, send_problem
from sharezync_shared.server import SLOWEST_BYTES_PER_SECOND, SPLICE, ZERO_COPY
from sharezync_shared.tracing.context import context_headers
from sharezync_shared.tracing.spans import SpanKind, span

_START: Final = "http.response.start"
_UNREAD: Final = frozenset({ZERO_COPY, SPLICE})
_BODY: Final = frozenset({"http.response.body", *_UNREAD})


class ResponseWriter:
    """An ASGI `send` that cleans header fields and gives up on a reader who doesn't read."""

    __slots__ = (
        "_allowance", "_body", "_send", "_stall_seconds", "_streaming", "complete", "started",
    )  # fmt: skip

    def __init__(
        self, send: Send, body: RequestBody, allowance: RequestAllowance, *, stall_seconds: float
    ) -> None:
        self._send = send
        self._body = body
        self._allowance = allowance
        self._stall_seconds = stall_seconds
        self._streaming = False
        self.started = False
        self.complete = False

    async def __call__(self, message: Message) -> None:
        """Pass one message on. Raises ClientGone if the client takes nothing for too long."""
        if message["type"] == _START:
            self.started = True
            self._allowance.answered()
            await self._send(self._cleaned(message))
        elif message["type"] in _BODY:
            more = message.get("more_body", False)
            if more or self._streaming or message["type"] in _UNREAD:
                self._streaming = True
                await self._send_bounded(message)
            else:
                await self._send(message)
            self.complete = not more

    def _cleaned(self, message: Message) -> Message:
        status = message["status"]
        headers = clean_response(message.get("headers", ()), status)
        if self._body.expects_continue and not self._body.asked:
            # The client waits to be asked for the body, and now never will be. Whether it sends
            # the body all the same can't be known, so neither can where a next request begins.
            headers.append((b"connection", b"close"))
        return {"type": _START, "status": status, "headers": headers}

    async def _send_bounded(self, message: Message) -> None:
        size_bytes = message.get("count") or len(message.get("body", b""))
        try:
            async with asyncio.timeout(self._stall_seconds + size_bytes / SLOWEST_BYTES_PER_SECOND):
                await self._send(message)
        except TimeoutError:
            raise ClientGone("The client does not read") from None
        self._allowance.moved(size_bytes)


class Proxy:
    """Forwards requests that were let in."""

    def __init__(
        self,
        upstreams: Mapping[str, Upstream],
        limits: BulkheadLimits,
        breakers: Breakers,
    ) -> None:
        self._ways = {
            name: ServiceAdmission(upstream, limits, breakers.for_service(name))
            for name, upstream in upstreams.items()
        }
        self._memory = ProxyMemory()

    def states(self) -> dict[str, str]:
        """Return how the breaker of each service stands: `closed`, `half_open` or `open`."""
        return {name: way.breaker.state.name.lower() for name, way in self._ways.items()}

    async def forward(self, incoming: IncomingRequest, *, service: str, caller: str) -> None:
        """Forward one request to `service` and answer it, with a problem if the service can't.

        `caller` is whose places and memory it takes. Where an answer breaks off in the middle this
        returns without finishing it, so that the server closes the connection: nothing else tells
        the client. Raises TooLarge, BadPath for its query, or Unavailable, before anything is sent.
        """
        attributes = {
            "http.request.method": incoming.method,
            "service.peer.name": f"sharezync-{service}",
        }
        with span(f"{incoming.method} {service}", SpanKind.CLIENT, attributes):
            await self._forward(incoming, service, caller)

    async def _forward(self, incoming: IncomingRequest, service: str, caller: str) -> None:
        scope, head, bounds = incoming.scope, incoming.head, incoming.bounds
        extensions = scope.get("extensions", {})
        body = incoming.body(bounds.body_bytes)
        allowance = RequestAllowance(
            self._ways[service], self._memory, caller, is_long=bounds.is_long
        )
        body.on_bytes = allowance.moved
        answer = ResponseWriter(
            incoming.send, body, allowance, stall_seconds=bounds.client_idle_seconds
        )
        request = Request(
            method=incoming.method,
            path=incoming.path,
            query=clean_query(scope["query_string"]),
            headers=_with_forwarded(head, incoming.origin),
            body=body,
            patience_seconds=bounds.patience_seconds,
            origin=incoming.origin,
            takes_files=ZERO_COPY in extensions,
            takes_splice=SPLICE in extensions,
            may_buffer=allowance.buffer_answer,
            on_served=allowance.leave,
        )
        failure: Problem | None = None
        try:
            # A place is taken when the body is here: who sends it slowly has none to keep.
            if (
                bounds.whole_within_seconds is None
                or body.complete
                or await body.gather(bounds.whole_within_seconds, allowance.buffer_body)
            ):
                upstream = self._ways[service].upstream
                await self._carry(request, answer, allowance, upstream, incoming)
        except ClientGone:
            body.gone = True  # while it waited
        except Unavailable as problem:
            failure = problem
            if isinstance(problem, Unreachable):
                allowance.failed(problem.__cause__ or problem)
        except (TookTooLong, BrokenAnswer) as problem:
            failure = problem
            allowance.failed(problem.__cause__ or problem)
        finally:
            allowance.close(abandoned=failure is None and not answer.complete)
        failure = body.failure or failure
        if isinstance(failure, ClientTooSlow) and counts_in_part(head.kept):
            failure = UploadInterrupted(failure.detail)
        if failure is not None and not answer.started and not body.gone:
            await send_problem(answer, failure)
        elif not answer.complete:
            incoming.hang_up()

    async def _carry(
        self,
        request: Request,
        answer: ResponseWriter,
        allowance: RequestAllowance,
        upstream: Upstream,
        client: WaitingClient,
    ) -> None:
        try:
            async with asyncio.timeout(None) as waiting:
                await allowance.enter(partial(waiting.reschedule, 0.0), client)
                await upstream.forward(request, answer)
        except TimeoutError:
            if allowance.gave_way:
                raise Unavailable(
                    "The server is overloaded, and others have fewer requests"
                ) from None
            raise TookTooLong("The service shows no sign of life") from None


def _with_forwarded(head: RequestHead, origin: ClientOrigin) -> list[tuple[bytes, bytes]]:
    return [
        *head.kept,
        (b"x-forwarded-for", origin.address.encode()),
        (b"x-forwarded-proto", origin.scheme.encode()),
        (b"x-forwarded-host", origin.host),
        (b"x-request-id", (request_id_var.get() or "").encode()),
        *((name.encode(), value.encode()) for name, value in context_headers().items()),
    ]
