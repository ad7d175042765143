"""Spans by OpenTelemetry, sent over HTTP (OTLP). Imported only where that is set up."""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, Self

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace.propagation import set_span_in_context

from sharezync_shared.ids import uuid7
from sharezync_shared.outage_log import OutageLog
from sharezync_shared.problems import Problem
from sharezync_shared.tracing.context import TraceContext, current_trace
from sharezync_shared.tracing.spans import Attributes, SpanKind, TraceSpan

_TIMEOUT_SECONDS: Final = 5
_CLOSE_SECONDS: Final = 3.0
_SCOPE: Final = "sharezync"


class OtlpRecorder:
    """Keeps spans until a thread of its own has sent them; beyond 2,048 the newest are dropped."""

    def __init__(
        self, service: str, version: str, endpoint: str, headers: Mapping[str, str]
    ) -> None:
        """`endpoint` is the base URL of a collector: spans go to `/v1/traces` below it."""
        exporter = OTLPSpanExporter(
            endpoint=f"{endpoint.rstrip('/')}/v1/traces",
            headers=dict(headers),
            timeout=_TIMEOUT_SECONDS,
        )
        self._provider = TracerProvider(
            resource=Resource.create(
                {
                    "service.namespace": "sharezync",
                    "service.name": service,
                    "service.version": version,
                    "service.instance.id": str(uuid7()),
                }
            ),
            shutdown_on_exit=False,
        )
        self._exporter = _ToldExporter(exporter)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer(_SCOPE)

    def start(
        self, parent: TraceContext, name: str, kind: SpanKind, attributes: Attributes
    ) -> TraceSpan:
        """As `Recorder.start`."""
        if self._exporter.loop is None:
            self._exporter.loop = asyncio.get_running_loop()
        above = Context()
        if parent.traceparent:
            seen = trace.SpanContext(
                int(parent.trace_id, 16),
                int(parent.span_id, 16),
                is_remote=True,
                trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED),
                trace_state=trace.TraceState.from_header([parent.tracestate]),
            )
            above = set_span_in_context(trace.NonRecordingSpan(seen), above)
        begun = self._tracer.start_span(
            name, above, trace.SpanKind[kind.name], attributes=dict(attributes)
        )
        return _Recorded(begun, parent.tracestate, self)

    def close(self) -> None:
        """Send what is left; returns within seconds."""
        # In a thread that nobody waits for: an exporter may hang for longer than its timeout.
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        ending.join(_CLOSE_SECONDS)


class _Recorded:
    """A `TraceSpan` of OpenTelemetry's."""

    __slots__ = ("_reset", "_span", "context")

    def __init__(self, begun: trace.Span, tracestate: str, recorder: OtlpRecorder) -> None:
        self._span = begun
        own = begun.get_span_context()
        traceparent = f"00-{own.trace_id:032x}-{own.span_id:016x}-01"
        self.context: TraceContext | None = TraceContext(traceparent, tracestate, recorder)

    def set(self, name: str, value: str | int) -> None:
        self._span.set_attribute(name, value)

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def fail(self, error_type: str) -> None:
        self._span.set_attribute("error.type", error_type)
        self._span.set_status(trace.StatusCode.ERROR)

    def end(self) -> None:
        self._span.end()

    def __enter__(self) -> Self:
        self._reset = current_trace.set(self.context)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        current_trace.reset(self._reset)
        # Not its text, which may hold what people wrote; and to refuse with reason is no failure.
        if kind is not None and not (isinstance(error, Problem) and error.status < 500):
            self.fail(kind.__qualname__)
        self.end()


class _ToldExporter(SpanExporter):
    """Tells of a collector that is away once, and that it is back."""

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner
        self.loop: asyncio.AbstractEventLoop | None = None
        """The one that spans begin on, once one has."""
        self._log = OutageLog("spans_not_exported")

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._inner.export(spans)
        loop = self.loop
        if loop is not None and not loop.is_closed():
            if result is SpanExportResult.SUCCESS:
                loop.call_soon_threadsafe(self._log.over)
            else:
                loop.call_soon_threadsafe(self._log.failed, "the collector did not take them")
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)
