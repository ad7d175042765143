"""Spans: what took how long within a trace. Where none is kept, each costs a look."""

import asyncio
import random
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from types import TracebackType
from typing import Protocol, Self

from sharezync_shared.tracing.context import TraceContext, current_trace, read_context


class SpanKind(Enum):
    """As OpenTelemetry has them, by name."""

    SERVER = "SERVER"
    CLIENT = "CLIENT"
    PRODUCER = "PRODUCER"
    CONSUMER = "CONSUMER"
    INTERNAL = "INTERNAL"


Attributes = Mapping[str, str | int]
"""Named as in OpenTelemetry's semantic conventions; never contents, tokens or people's names."""


class TraceSpan(Protocol):
    """One span, from its beginning to `end`. As a context manager it is what is current inside."""

    context: TraceContext | None
    """What is below the span is part of this; None where nothing is recorded."""

    def set(self, name: str, value: str | int) -> None: ...

    def rename(self, name: str) -> None: ...

    def fail(self, error_type: str) -> None:
        """Say that it ends in failure, and of which kind."""
        ...

    def end(self) -> None:
        """End it. Owed once, outside of `with`."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Recorder(Protocol):
    """Keeps spans. Its methods neither wait nor raise."""

    def start(
        self, parent: TraceContext, name: str, kind: SpanKind, attributes: Attributes
    ) -> TraceSpan:
        """Begin a span below `parent`."""
        ...

    def close(self) -> None:
        """Send what is left; may block for some seconds."""
        ...


class _NoSpan:
    """What stands for a span where none is kept."""

    context: TraceContext | None = None

    def set(self, name: str, value: str | int) -> None:
        pass

    def rename(self, name: str) -> None:
        pass

    def fail(self, error_type: str) -> None:
        pass

    def end(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass


NO_SPAN: TraceSpan = _NoSpan()


def span(name: str, kind: SpanKind, attributes: Attributes) -> TraceSpan:
    """Return a span below what is current, begun; `NO_SPAN` where that isn't recorded."""
    here = current_trace.get()
    if here is None or here.recorder is None:
        return NO_SPAN
    return here.recorder.start(here, name, kind, attributes)


@contextmanager
def ending(spans: Sequence[TraceSpan]) -> Generator[None]:
    """End several spans, of what is done at once for all of them."""
    try:
        yield
    except BaseException as error:
        for each in spans:
            each.fail(type(error).__qualname__)
        raise
    finally:
        for each in spans:
            each.end()


class Tracing:
    """How a process takes part in traces: which it records, and which it only passes on.

    Of requests of strangers the share `ratio` is recorded, drawn by us; that they ask for it (the
    flag `sampled`) counts for `asked_per_second` of them. What other services of ours ask for is
    done. Without `recorder` nothing is recorded, and what strangers ask for isn't passed on.
    """

    def __init__(
        self, recorder: Recorder | None = None, *, ratio: float = 0.0, asked_per_second: float = 0.0
    ) -> None:
        self.recorder = recorder
        self._ratio = ratio
        self._asked_per_second = asked_per_second
        self._left = self._most = max(1.0, asked_per_second) if asked_per_second else 0.0
        self._refilled_at = time.monotonic()

    def admit(self, asked: TraceContext | None) -> TraceContext | None:
        """Return the context of a stranger's request; `asked` is what it came with."""
        if self.recorder is not None and self._is_drawn(asked):
            if asked is None:
                return TraceContext("", recorder=self.recorder)
            return asked._replace(recorder=self.recorder)
        return asked and asked.unsampled()

    def follow(self, said: TraceContext | None) -> TraceContext | None:
        """Return the context that another part of ours has passed on."""
        if said is not None and self.recorder is not None and said.sampled:
            return said._replace(recorder=self.recorder)
        return said

    @contextmanager
    def following(self, traceparent: str | None, tracestate: str = "") -> Generator[None]:
        """Be part, inside, of the trace that a fact or a command was marked with."""
        reset = current_trace.set(self.follow(read_context(traceparent, tracestate)))
        try:
            yield
        finally:
            current_trace.reset(reset)

    def start(
        self, traceparent: str | None, name: str, kind: SpanKind, attributes: Attributes
    ) -> TraceSpan:
        """Return a span below what something was marked with, begun; or `NO_SPAN`."""
        if self.recorder is None or traceparent is None:
            return NO_SPAN
        parent = read_context(traceparent)
        if parent is None or not parent.sampled:
            return NO_SPAN
        return self.recorder.start(parent, name, kind, attributes)

    async def aclose(self) -> None:
        """Send what was recorded, as far as that is done within seconds."""
        if self.recorder is not None:
            await asyncio.to_thread(self.recorder.close)

    def _is_drawn(self, asked: TraceContext | None) -> bool:
        if random.random() < self._ratio:  # noqa: S311 - a share, no secret
            return True
        if asked is None or not asked.sampled or not self._asked_per_second:
            return False
        now = time.monotonic()
        refilled = self._left + (now - self._refilled_at) * self._asked_per_second
        self._left, self._refilled_at = min(self._most, refilled), now
        if self._left < 1:
            return False
        self._left -= 1
        return True
