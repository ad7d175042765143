"""Outbox rows and frames, given to the bus; failures turned into answers."""

import time
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import structlog
from msgspec.structs import replace
from prometheus_client import CollectorRegistry, Counter, Gauge

from sharezync_shared.events.bus import Bus, BusUnavailable, Envelope
from sharezync_shared.events.outbox import OutboxRow
from sharezync_shared.metrics import BatchHistogram, shared_metric
from sharezync_shared.streams.frames import Frame, traceparent_of
from sharezync_shared.tracing.spans import SpanKind, TraceSpan, Tracing, ending

log = structlog.get_logger()


class PublishOutcome(NamedTuple):
    """What became of the rows: the rest of them the bus did not confirm, and may yet."""

    confirmed: set[UUID]
    faulty: set[UUID]
    """Rows that failed by their own fault."""


class EventPublisher:
    """Speaks to the bus for one service's relay, and counts."""

    def __init__(
        self,
        bus: Bus,
        registry: CollectorRegistry,
        *,
        service: str,
        tracing: Tracing | None = None,
    ) -> None:
        self._bus = bus
        self._tracing = tracing or Tracing()
        labels = ("service",)
        self.pending = shared_metric(
            registry,
            Gauge,
            "sharezync_outbox_pending",
            "Rows not yet confirmed by the bus; the same in every replica",
            labels,
        ).labels(service)
        self.oldest_seconds = shared_metric(
            registry,
            Gauge,
            "sharezync_outbox_oldest_seconds",
            "Age of the oldest row not yet confirmed by the bus; the same in every replica",
            labels,
        ).labels(service)
        published = shared_metric(
            registry,
            Counter,
            "sharezync_events_published_total",
            "Facts given to the bus, by what became of it: confirmed, unconfirmed or faulty",
            ("service", "result"),
        )
        self._confirmed = published.labels(service, "confirmed")
        self._unconfirmed = published.labels(service, "unconfirmed")
        self._faulty = published.labels(service, "faulty")
        duration = shared_metric(
            registry,
            BatchHistogram,
            "sharezync_publish_duration_seconds",
            "Time until the bus had a batch of facts or of frames, by what became of it: confirmed "
            "or failed",
            ("service", "kind", "result"),
        )
        self._durations = {
            (kind, taken): duration.labels(service, kind, "confirmed" if taken else "failed")
            for kind in ("facts", "frames")
            for taken in (True, False)
        }

    async def publish(self, rows: Sequence[OutboxRow]) -> PublishOutcome:
        """Publish facts. Where the bus chokes on a batch, each row is tried alone."""
        confirmed: set[UUID] = set()
        faulty: set[UUID] = set()
        started = time.perf_counter()
        envelopes, spans = self._begin_facts(rows)
        try:
            with ending(spans):
                await self._bus.publish(envelopes)
            self._took("facts", started, taken=True)
            confirmed = {row.id for row in rows}
        except BusUnavailable as error:
            self._took("facts", started, taken=False)
            confirmed = set(error.confirmed)
        except Exception as error:  # noqa: BLE001 - whose fault it is, each row alone will show
            if len(rows) > 1:
                answers = [await self.publish([row]) for row in rows]
                return PublishOutcome(
                    {row_id for answer in answers for row_id in answer.confirmed},
                    {row_id for answer in answers for row_id in answer.faulty},
                )
            log.error(  # noqa: TRY400 - a traceback would show the row
                "event_unpublishable",
                event_id=str(rows[0].id),
                type=rows[0].type,
                error=repr(error),
            )
            faulty = {rows[0].id}
        self._confirmed.inc(len(confirmed))
        self._faulty.inc(len(faulty))
        self._unconfirmed.inc(len(rows) - len(confirmed) - len(faulty))
        return PublishOutcome(confirmed, faulty)

    async def send(self, frames: Sequence[Frame]) -> bool:
        """Send frames; False where the bus did not take them all."""
        started = time.perf_counter()
        try:
            with ending(self._begin_frames(frames)):
                await self._bus.send_frames(frames)
        except BusUnavailable:
            self._took("frames", started, taken=False)
            return False
        self._took("frames", started, taken=True)
        return True

    def _begin_facts(self, rows: Sequence[OutboxRow]) -> tuple[list[Envelope], list[TraceSpan]]:
        """Return the facts of these rows, and the spans of their publishing that they lie in."""
        envelopes = [row.envelope() for row in rows]
        spans: list[TraceSpan] = []
        if self._tracing.recorder is not None:
            for place, envelope in enumerate(envelopes):
                attributes = _sent(envelope.type) | {"messaging.message.id": str(envelope.id)}
                begun = self._tracing.start(
                    envelope.traceparent, f"send {envelope.type}", SpanKind.PRODUCER, attributes
                )
                if begun.context is not None:
                    traceparent = begun.context.traceparent
                    envelopes[place] = replace(envelope, traceparent=traceparent)
                    spans.append(begun)
        return envelopes, spans

    def _begin_frames(self, frames: Sequence[Frame]) -> list[TraceSpan]:
        if self._tracing.recorder is None:
            return []
        return [
            self._tracing.start(
                traceparent_of(frame.text), "send frame", SpanKind.PRODUCER, _sent("realtime")
            )
            for frame in frames
        ]

    def _took(self, kind: str, started: float, *, taken: bool) -> None:
        self._durations[kind, taken].observe(time.perf_counter() - started)


def _sent(destination: str) -> dict[str, str]:
    return {
        "messaging.operation.type": "send",
        "messaging.operation.name": "send",
        "messaging.destination.name": destination,
    }
