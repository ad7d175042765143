"""The one layer around every application: request id, limits, metrics, the last resort.

Pure ASGI: Starlette's BaseHTTPMiddleware adds a task group and a stream to each request and hides
disconnects.
"""

import asyncio
import re
import time
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sharezync_shared.ids import uuid7
from sharezync_shared.metrics import FAST
from sharezync_shared.observability import request_id_var
from sharezync_shared.problems import InternalError, Problem, TooLarge, send_problem
from sharezync_shared.server import ABORT_EXTENSION
from sharezync_shared.tracing.context import context_of_headers, current_trace
from sharezync_shared.tracing.spans import NO_SPAN, SpanKind, TraceSpan, Tracing, span

log = structlog.get_logger()

_WELL_FORMED_ID: Final = re.compile(rb"[A-Za-z0-9._-]{8,64}")
_PROBES: Final = frozenset({"/health", "/ready"})
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_NO_ATTRIBUTES: Final[dict[str, str]] = {}

UNMATCHED: Final = "unmatched"
"""What stands for the route of a request that no route takes."""


class HttpMetrics:
    """Rate, errors and duration of requests. One set for each registry, shared by its services.

    Probes are counted apart: they come every few seconds, answer in no time, and are nothing that a
    user asked for.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("service", "route", "method", "status_class")
        self.duration = Histogram(
            "sharezync_http_request_duration_seconds",
            "Time from the first byte of the request to the end of the response, without probes; "
            "status_class `aborted`: the client left before",
            labels,
            buckets=FAST,
            registry=registry,
        )
        self.probes = Counter(
            "sharezync_http_probes_total",
            "Requests of the probes /health and /ready, by the class of their status",
            ("service", "route", "status_class"),
            registry=registry,
        )
        self.unhandled = Counter(
            "sharezync_unhandled_exceptions_total",
            "Unhandled exceptions, each answered with 500",
            ("service",),
            registry=registry,
        )

    def answered(
        self, service: str, route: str, method: str, status_class: str, seconds: float
    ) -> None:
        """Count one request; `status_class` is 2xx to 5xx, or `aborted`."""
        if route in _PROBES:
            self.probes.labels(service, route, status_class).inc()
        else:
            # What no route takes may have any method: strangers make no series.
            method = method if route != UNMATCHED or method in _METHODS else "other"
            self.duration.labels(service, route, method, status_class).observe(seconds)


def request_id_of(scope: Scope) -> str:
    """Return the caller's request id where it is well formed, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _WELL_FORMED_ID.fullmatch(value):
            return str(value, "ascii")
    return uuid7().hex


def route_of(scope: Scope) -> str:
    """Return the template of the route that answered, never the raw path: labels stay few."""
    route = scope.get("route")
    return getattr(route, "path", None) or UNMATCHED


class RequestLayer:
    """Wrap an application so that each request has an id, a limit, a measure and an answer.

    Lifespan and WebSocket scopes pass through untouched. `max_body_bytes` bounds what a request
    may send; None leaves it to the routes. With `access_log`, each request makes one record.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        service: str,
        metrics: HttpMetrics,
        max_body_bytes: int | None,
        access_log: bool = False,
        tracing: Tracing | None = None,
        for_strangers: bool = False,
    ) -> None:
        """With `for_strangers`, `tracing` decides whether what clients want recorded is."""
        self.app = app
        self.service = service
        self.metrics = metrics
        self.max_body_bytes = max_body_bytes
        self.access_log = access_log
        tracing = tracing or Tracing()
        self._trace_of = tracing.admit if for_strangers else tracing.follow

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = request_id_of(scope)
        reset = request_id_var.set(request_id)
        trace_reset = current_trace.set(self._trace_of(context_of_headers(scope["headers"])))
        try:
            with span(scope["method"], SpanKind.SERVER, _NO_ATTRIBUTES) as told:
                await self._measured(scope, receive, _Answer(send, request_id), told)
        finally:
            current_trace.reset(trace_reset)
            request_id_var.reset(reset)

    async def _measured(
        self, scope: Scope, receive: Receive, answer: "_Answer", told: TraceSpan
    ) -> None:
        started = time.perf_counter()
        try:
            await self._serve(scope, receive, answer)
        finally:
            elapsed = time.perf_counter() - started
            route = route_of(scope)
            self.metrics.answered(
                self.service, route, scope["method"], answer.status_class, elapsed
            )
            if self.access_log:
                log.info(
                    "request",
                    method=scope["method"],
                    route=route,
                    status=answer.status,
                    duration_ms=round(elapsed * 1000, 2),
                )
            if told is not NO_SPAN:
                _describe(told, scope, route, answer.status)

    async def _serve(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        try:
            if self.max_body_bytes is not None:
                receive = _limit_body(scope, receive, self.max_body_bytes)
            await self.app(scope, receive, answer.send)
        except ClientDisconnect:
            # Nobody is left to be answered, and nothing went wrong here.
            log.debug("client_left", route=route_of(scope))
        except Problem as problem:
            if answer.status:
                await _break_off(scope, answer, problem)
            else:
                await send_problem(answer.send, problem)
        except (
            Exception
        ) as error:  # boundary: whatever escaped is logged once, and answered with 500
            if answer.client_left and answer.status:
                log.debug("client_left", route=route_of(scope))
                return
            if answer.status and isinstance(error.__cause__, Problem):
                # Starlette wraps what its handlers come too late for.
                await _break_off(scope, answer, error.__cause__)
                return
            self.metrics.unhandled.labels(self.service).inc()
            log.exception("unhandled_exception", route=route_of(scope))
            if answer.status:
                await _hang_up(scope, answer)
            else:
                await send_problem(answer.send, InternalError())


def _describe(told: TraceSpan, scope: Scope, route: str, status: int) -> None:
    """Without the path: what stands in it may be a name or an invitation."""
    method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
    told.rename(f"{method} {route}")
    told.set("http.request.method", method)
    told.set("http.route", route)
    told.set("network.protocol.version", scope.get("http_version", "1.1"))
    if status:
        told.set("http.response.status_code", status)
    if status >= 500:
        told.fail(str(status))


class _Answer:
    """What became of an answer, and the ASGI `send` that puts the request id into it."""

    __slots__ = ("_request_id", "_send", "client_left", "complete", "status")

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.status = 0
        """0 until it has begun."""
        self.complete = False
        self.client_left = False

    @property
    def status_class(self) -> str:
        """`2xx` to `5xx`; `aborted` where the client left before it had the answer."""
        return "aborted" if self.client_left or not self.status else f"{self.status // 100}xx"

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            own = (b"x-request-id", self._request_id.encode())
            message["headers"] = [*message.get("headers", ()), own]
        try:
            await self._send(message)
        except (OSError, asyncio.CancelledError):  # nobody is there, or who waited gave up
            self.client_left = True
            raise
        if message["type"] != "http.response.start":
            self.complete = not message.get("more_body", False)


async def _break_off(scope: Scope, answer: _Answer, problem: Problem) -> None:
    log.warning("response_interrupted", route=route_of(scope), code=problem.slug)
    await _hang_up(scope, answer)


async def _hang_up(scope: Scope, answer: _Answer) -> None:
    """Break off half an answer: only a connection that closes shows the client that it is one.

    Behind a whole one it may be another request's by now.

    Under a server that has no way to, raise: it closes the connection as well, and logs why twice.
    """
    if answer.complete:
        return
    abort = scope.get("extensions", {}).get(ABORT_EXTENSION)
    if abort is None:
        raise RuntimeError("the answer broke off")
    abort["abort"]()


def _limit_body(scope: Scope, receive: Receive, max_body_bytes: int) -> Receive:
    detail = f"At most {max_body_bytes} bytes are accepted"
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value[:20]) > max_body_bytes:
            raise TooLarge(detail, limit_bytes=max_body_bytes)
    seen = 0

    async def limited() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > max_body_bytes:
                # FastAPI lets only this class pass while it reads a body.
                raise HTTPException(TooLarge.kind.value, detail)
        return message

    return limited
