"""Trace contexts as they travel: in HTTP headers, frames, facts and rows.

Source: W3C Trace Context, https://www.w3.org/TR/trace-context/.
"""

import re
from collections.abc import Iterable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from sharezync_shared.tracing.spans import Recorder

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
TRACEPARENT_CHARACTERS: Final = 55
MAX_TRACESTATE_CHARACTERS: Final = 512
"""What everybody must pass on (3.3.1.5); a longer one is dropped whole."""

_WELL_FORMED: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_STATE: Final = re.compile(r"[\x20-\x7e\t]+")
_FLAGS: Final = 53
_SAMPLED: Final = 0x01


class TraceContext(NamedTuple):
    """Of which trace something is part, and which span is above it."""

    traceparent: str
    """Well formed; empty where a trace shall begin that nobody has named yet."""
    tracestate: str = ""
    recorder: "Recorder | None" = None
    """Who records the spans below; None where this trace isn't recorded here."""

    @property
    def trace_id(self) -> str:
        return self.traceparent[3:35]

    @property
    def span_id(self) -> str:
        return self.traceparent[36:52]

    @property
    def sampled(self) -> bool:
        """Whether who came before records the trace."""
        return bool(int(self.traceparent[_FLAGS:], 16) & _SAMPLED)

    def unsampled(self) -> "TraceContext":
        """Return the same trace, recorded by nobody."""
        return TraceContext(self.traceparent[:_FLAGS] + "00", self.tracestate)


current_trace: ContextVar[TraceContext | None] = ContextVar("current_trace", default=None)
"""What this task is part of. Whoever works for many at once has none."""


def read_context(traceparent: str | None, tracestate: str | None = None) -> TraceContext | None:
    """Return what these say; None for a `traceparent` that is missing or malformed.

    Versions after 00 are not read. A malformed or long `tracestate` is left out.
    """
    if not traceparent or not _WELL_FORMED.fullmatch(traceparent):
        return None
    state = tracestate or ""
    if len(state) > MAX_TRACESTATE_CHARACTERS or not _STATE.fullmatch(state):
        state = ""
    return TraceContext(traceparent, state)


def context_of_headers(headers: Iterable[tuple[bytes, bytes]]) -> TraceContext | None:
    """Return the context that a request came with; of two `traceparent`s none counts (3.2.1)."""
    parent: bytes | None = None
    states: list[bytes] = []
    for name, value in headers:
        if name == b"traceparent":
            if parent is not None:
                return None
            parent = value
        elif name == b"tracestate":
            states.append(value)
    if parent is None or len(parent) != TRACEPARENT_CHARACTERS:
        return None
    return read_context(parent.decode("latin-1"), b",".join(states).decode("latin-1"))


def context_headers() -> dict[str, str]:
    """Return the headers that a call made now passes the context on with."""
    here = current_trace.get()
    if here is None or not here.traceparent:
        return {}
    headers = {TRACEPARENT: here.traceparent}
    if here.tracestate:
        headers[TRACESTATE] = here.tracestate
    return headers


def current_traceparent() -> str | None:
    """Return what an event or a fact that comes about now is marked with, if with anything."""
    here = current_trace.get()
    return here.traceparent or None if here is not None else None
