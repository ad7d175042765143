"""Whether a server read the same requests out of a stream as the reference did."""

import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from sharezync_shared.server import ServerSettings
from tests.edge import answers, reference
from tests.edge.answers import Answer, Answers
from tests.edge.reference import Reading, Seen
from tests.edge.streams import Stream
from tests.edge.wire import Line, a_moment

_HEAD_SECONDS = ServerSettings().head_seconds
"""A head that takes longer is no request any more: its connection is closed."""

Difference = Callable[[Seen, Answer], str]
"""In which way an answer is not that of a request; empty where it is."""


@dataclass(frozen=True)
class Outcome:
    """What became of one stream."""

    came: bytes
    closed: bool
    """The server closed, and not because the client had given up waiting."""
    proxied: bool = False
    """It came through a proxy, which may end a connection behind any answer: nginx does where an
    answer comes before the body was passed on."""
    seconds: float = 0.0
    """How long it took: on a machine that stands still a head may come too slowly."""


async def exchange(
    port: int,
    stream: Stream,
    between: Callable[[], Awaitable[None]] = a_moment,
    *,
    to_the_end: bool = True,
) -> Outcome:
    """Send a stream to the server at `port` and keep what comes until it closes.

    `to_the_end` False: until there is an answer to each request. Proxies understand in more than
    one way what a request says of the connection's end.
    """
    read = reference.read(stream.meant)
    line, began = await Line.open(port), time.monotonic()
    try:
        await line.send(stream.packets, between)
        if stream.half_closes:
            line.half_close()
        elif read.ended == "open" or not to_the_end:
            # The reference waits for more: there is none, once all that came has its answer.
            await _listen(line, read)
            line.half_close()
        closed = await _listen(line, None)
        seconds = time.monotonic() - began
        return Outcome(bytes(line.came), closed, proxied=not to_the_end, seconds=seconds)
    finally:
        line.close()


async def _listen(line: Line, read: Reading | None) -> bool:
    """Listen to the end, or until each request of `read` has an answer; False: it took too long."""

    def enough(came: bytes) -> bool:
        assert read is not None
        whole = answers.read(came, read.requests, ended=False).whole
        return len(whole) >= len(read.requests)

    try:
        await line.listen(enough if read is not None else None)
    except TimeoutError:
        line.half_close()
        with suppress(TimeoutError):
            await line.listen()
        return False
    return True


def complaint(stream: Stream, outcome: Outcome, difference: Difference) -> str:
    """Return what a server did wrong with a stream; empty where it did nothing wrong."""
    read = reference.read(stream.meant)
    got = answers.read(outcome.came, _asked(read), ended=True)
    if (got.broken or got.rest) and not _cut_off(stream, read, got):
        return f"after {len(got.whole)} answers comes what is none: {got.rest[:120]!r} {got.broken}"
    if not outcome.closed:
        return f"the connection stayed open; {_counts(read, got.whole)}"
    if wrong := _wrong_answer(stream, read, got.whole, difference):
        return wrong
    fewer = len(got.whole) < len(read.requests)
    # Whoever ends their direction at once may be taken to have left.
    ended = (outcome.proxied and got.whole) or outcome.seconds > _HEAD_SECONDS
    if fewer and not (got.rest or stream.half_closes or ended or _may_end(stream, read, got)):
        return f"closed without a word; {_counts(read, got.whole)}"
    return ""


def _wrong_answer(
    stream: Stream, read: Reading, whole: Sequence[Answer], difference: Difference
) -> str:
    asked = _asked(read)
    for number, answer in enumerate(whole):
        if _refuses(answer) and number >= stream.regular:
            return _wrong_with_refusal(whole[number:])
        if number >= len(asked):
            return f"an answer nobody asked for, for {answer.mark!r}; {_counts(read, whole)}"
        if wrong := difference(asked[number], answer) or _continues_wrongly(asked[number], answer):
            return f"at {number}: {wrong}"
    return ""


def _asked(read: Reading) -> list[Seen]:
    return [*read.requests, *([read.begun] if read.begun else [])]


def _wrong_with_refusal(rest: Sequence[Answer]) -> str:
    if len(rest) > 1:
        return f"{len(rest) - 1} answers follow the refusal"
    return "" if rest[0].closes else "a refusal that does not say that it closes"


def _may_end(stream: Stream, read: Reading, got: Answers) -> bool:
    """Whether a server may close behind its last answer, though the reference sees more to come.

    Where a body turns out malformed that an answer didn't wait for, it is too late to refuse. Who
    answers a request without having asked for its body (`100 Continue`) can't know whether it
    comes, and says that it closes (RFC 9110 §10.1.1).
    """
    if len(got.whole) > stream.regular:
        return True
    last = len(got.whole) - 1
    unasked = last >= 0 and read.requests[last].field("expect") and not got.whole[last].continues
    return bool(unasked) and got.whole[last].closes


def _cut_off(stream: Stream, read: Reading, got: Answers) -> bool:
    """Whether the last answer broke off because its request did, or its client had left."""
    incomplete = read.begun is not None and len(got.whole) == len(read.requests)
    odd = len(got.whole) == stream.regular < len(stream.sent)
    heads = got.rest.removeprefix(_CONTINUE).count(b"HTTP/1.1 ")
    return heads <= 1 and (incomplete or odd or stream.half_closes)


_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def _refuses(answer: Answer) -> bool:
    """Whether it is the server's own, made before an application was asked: those carry a mark."""
    return 400 <= answer.status < 600 and not answer.mark


def _continues_wrongly(seen: Seen, answer: Answer) -> str:
    """RFC 9110 §10.1.1: `100 Continue` at most once, to whom asked for it, never to HTTP/1.0."""
    asked = seen.field("expect").lower() == "100-continue" and seen.version == "1.1"
    return "" if answer.continues <= int(asked) else f"{answer.continues} × 100 Continue"


def _counts(read: Reading, got: Sequence[Answer]) -> str:
    told = ", ".join(f"{answer.status} {answer.mark}" for answer in got)
    return f"{len(read.requests)} requests ({read.ended} {read.error}), answers: [{told}]"
