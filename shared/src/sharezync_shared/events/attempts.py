"""One attempt at handling an event and what follows from its outcome, the same on both buses."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Counter

from sharezync_shared.background import uncancelled
from sharezync_shared.events.bus import Envelope, Handler, NotNow, PermanentError, Reason
from sharezync_shared.metrics import SLOW, BatchHistogram, shared_metric
from sharezync_shared.outage_log import OutageLog

log = structlog.get_logger()

_ERROR_CHARACTERS: Final = 500


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often an event is attempted, and how long it rests in between."""

    delays_seconds: tuple[float, ...] = (1.0, 10.0, 60.0, 600.0)
    """The rungs of the ladder; the last one repeats."""
    max_attempts: int = 8
    """Attempts before an event becomes a dead letter: some 41 minutes with the delays above. An
    outage that all events meet (`NotNow`) uses none up."""
    deadline_seconds: float = 60.0
    """How long one attempt may take; far below the broker's own limit (30 min by default), after
    which it would close the channel under everyone else on it."""

    def delay_after(self, attempt: int) -> float | None:
        """Return the rest after attempt number `attempt` (from 1); None when it was the last."""
        if attempt >= self.max_attempts:
            return None
        return self.delays_seconds[min(attempt, len(self.delays_seconds)) - 1]


@dataclass(frozen=True, slots=True)
class Handled:
    """The handler returned."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Once more after `delay_seconds`, as attempt number `attempt`."""

    delay_seconds: float
    attempt: int
    error: str


@dataclass(frozen=True, slots=True)
class Dead:
    """Never again by itself."""

    reason: Reason
    error: str


Outcome = Handled | Retry | Dead


class Attempts:
    """Runs handlers under a policy, for one bus; counts and logs what comes of it."""

    def __init__(self, policy: RetryPolicy, registry: CollectorRegistry) -> None:
        self.policy = policy
        self._outages = OutageLog("events_wait")
        self._consumed = shared_metric(
            registry,
            Counter,
            "sharezync_events_consumed_total",
            "Attempts at handling an event, by what came of it: done, retry or dead",
            ("queue", "result"),
        )
        self._delivery = shared_metric(
            registry,
            BatchHistogram,
            "sharezync_event_delivery_seconds",
            "Time from an event's transaction to its handler's commit, retries included; both ends "
            "by their own clocks",
            ("queue",),
            buckets=SLOW,
        )

    async def make(
        self, queue: str, types: frozenset[str], handler: Handler, envelope: Envelope, attempt: int
    ) -> Outcome:
        """Make attempt number `attempt` (from 1). Raises nothing but cancellation."""
        try:
            if envelope.type not in types:
                # Bound to the queue by a newer replica, or by an older one that is gone. The
                # ladder gives a newer one the time to take it.
                raise LookupError(f"{envelope.type} is not consumed here")
            async with asyncio.timeout(self.policy.deadline_seconds):
                await uncancelled(handler(envelope))
        except PermanentError as error:
            return self.bury(queue, envelope, "permanent", error)
        except NotNow as error:
            return self._come_again(queue, attempt, error)
        except Exception as error:  # noqa: BLE001 - boundary: unknown means it may work later
            delay = self.policy.delay_after(attempt)
            if delay is None:
                return self.bury(queue, envelope, "exhausted", error)
            self._consumed.labels(queue, "retry").inc()
            log.warning(
                "event_retried",
                queue=queue,
                event_id=str(envelope.id),
                type=envelope.type,
                attempt=attempt,
                delay_seconds=delay,
                error=_describe(error),
            )
            return Retry(delay, attempt + 1, _describe(error))
        self._consumed.labels(queue, "done").inc()
        took_seconds = (datetime.now(UTC) - envelope.time).total_seconds()
        self._delivery.labels(queue).observe(max(0.0, took_seconds))
        return Handled()

    def _come_again(self, queue: str, attempt: int, error: NotNow) -> Retry:
        """Rest as after any failure, and never give up."""
        # The attempt that would be the last is made again and again.
        attempt = min(attempt, self.policy.max_attempts - 1)
        self._consumed.labels(queue, "retry").inc()
        self._outages.failed(error, queue=queue)
        return Retry(self.policy.delay_after(attempt) or 0.0, attempt + 1, _describe(error))

    def bury(
        self, queue: str, envelope: Envelope | None, reason: Reason, error: BaseException
    ) -> Dead:
        """Note that an event (None: not even readable) becomes a dead letter."""
        self._consumed.labels(queue, "dead").inc()
        log.error(
            "event_dead_lettered",
            queue=queue,
            event_id=str(envelope.id) if envelope else None,
            type=envelope.type if envelope else None,
            reason=reason,
            error=_describe(error),
        )
        return Dead(reason, _describe(error))


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:_ERROR_CHARACTERS]
