"""What counts as a trace context, which of them are recorded, and that nothing is loaded for it."""

import subprocess
import sys

import pytest

from shared.tests.unit.test_frame_times import AT, FRAME, STREAM
from sharezync_shared.streams.frames import time_of, traceparent_of, type_of
from sharezync_shared.streams.log import Entry, frame_text
from sharezync_shared.tracing.context import (
    MAX_TRACESTATE_CHARACTERS,
    TraceContext,
    context_headers,
    context_of_headers,
    current_trace,
    read_context,
)
from sharezync_shared.tracing.spans import NO_SPAN, Attributes, SpanKind, TraceSpan, Tracing, span

TRACE = "0af7651916cd43dd8448eb211c80319c"
ASKED = f"00-{TRACE}-b7ad6b7169203331-01"
UNASKED = f"00-{TRACE}-b7ad6b7169203331-00"


class Recording:
    """A recorder that keeps nothing."""

    def start(
        self, parent: TraceContext, name: str, kind: SpanKind, attributes: Attributes
    ) -> TraceSpan:
        return NO_SPAN

    def close(self) -> None:
        pass


def test_a_well_formed_context_is_read() -> None:
    read = read_context(ASKED, "vendor=1")
    assert read == TraceContext(ASKED, "vendor=1")
    assert read is not None
    assert (read.trace_id, read.span_id, read.sampled) == (TRACE, "b7ad6b7169203331", True)
    assert read.unsampled() == TraceContext(UNASKED, "vendor=1")


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        ASKED.upper(),
        ASKED[:-1],
        ASKED + "0",
        ASKED + "\n",
        ASKED.replace(TRACE, "0" * 32),
        ASKED.replace("b7ad6b7169203331", "0" * 16),
        ASKED.replace("00-", "ff-", 1),
        ASKED.replace("-", "_"),
        "00-" * 100_000,
    ],
)
def test_a_malformed_or_long_one_is_none(traceparent: str) -> None:
    assert read_context(traceparent) is None
    assert context_of_headers([(b"traceparent", traceparent.encode())]) is None


@pytest.mark.parametrize("state", ["x" * (MAX_TRACESTATE_CHARACTERS + 1), "a=\x00", "ä=1", ""])
def test_a_malformed_or_long_state_is_left_out(state: str) -> None:
    assert read_context(ASKED, state) == TraceContext(ASKED)


def test_states_of_several_headers_are_one_and_two_parents_are_none() -> None:
    parent, one, other = (b"traceparent", ASKED.encode()), (b"tracestate", b"a=1"), b"b=2"
    read = context_of_headers([parent, one, (b"tracestate", other)])
    assert read == TraceContext(ASKED, "a=1,b=2")
    assert context_of_headers([parent, parent]) is None


def test_what_is_current_goes_on_and_where_nothing_is_nothing_goes_on() -> None:
    assert context_headers() == {}
    with Tracing().following(ASKED, "a=1"):
        assert context_headers() == {"traceparent": ASKED, "tracestate": "a=1"}
        assert span("x", SpanKind.SERVER, {}) is NO_SPAN
    with Tracing().following("malformed"):
        assert current_trace.get() is None


def test_without_a_recorder_strangers_requests_go_on_unsampled() -> None:
    assert Tracing().admit(TraceContext(ASKED)) == TraceContext(UNASKED)
    assert Tracing().admit(None) is None


def test_the_ratio_is_ours_whatever_strangers_ask_for() -> None:
    recorder = Recording()
    everything, nothing = Tracing(recorder, ratio=1), Tracing(recorder)
    assert everything.admit(None) == TraceContext("", recorder=recorder)
    assert everything.admit(TraceContext(UNASKED)) == TraceContext(UNASKED, recorder=recorder)
    assert nothing.admit(TraceContext(ASKED)) == TraceContext(UNASKED)


def test_asking_counts_for_as_many_as_are_set() -> None:
    tracing = Tracing(Recording(), asked_per_second=3)
    admitted = [tracing.admit(TraceContext(ASKED)) for _ in range(1000)]
    recorded = [each for each in admitted if each is not None and each.recorder is not None]
    assert 3 <= len(recorded) <= 5  # a little time passes
    assert tracing.admit(TraceContext(UNASKED)) == TraceContext(UNASKED)


def test_what_other_services_ask_for_is_done() -> None:
    recorder = Recording()
    assert Tracing(recorder).follow(TraceContext(ASKED)) == TraceContext(ASKED, recorder=recorder)
    assert Tracing(recorder).follow(TraceContext(UNASKED)) == TraceContext(UNASKED)


def test_a_frame_says_of_which_trace_its_event_is() -> None:
    entry = Entry(STREAM, "message.created", b'{"traceparent":"no"}', traceparent=ASKED)
    text = frame_text(entry, "abcd1234", 7, AT)
    assert traceparent_of(text) == ASKED
    assert (time_of(text), type_of(text)) == (AT.timestamp(), "message.created")
    assert traceparent_of(FRAME) is None
    assert traceparent_of(frame_text(Entry(STREAM, "x", entry.data), "a", 1, AT)) is None


def test_nothing_is_imported_where_nothing_is_recorded() -> None:
    program = """
import sys
from sharezync_shared.platform import fleet_platform
from sharezync_shared.settings import Settings
fleet_platform(Settings(_env_file=None, secret_key="Wc7kP2vRx9LmZt4QhB8nYs6DfJg3Ue5a"), "gateway")
ours = ("opentelemetry.sdk", "opentelemetry.exporter", "google.protobuf", "requests")
print([name for name in sys.modules if name.startswith(ours)])  # the API is FastAPI's
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
