"""A grammar of what one client may send on one connection, as strategies of Hypothesis.

A stream is a run of requests, cut into packets at any place. Most are regular: whatever they offer
or how they are packed, each has exactly one answer. At most one is odd (`oddities.py`), after which
a server may refuse and close. The last request of a stream asks for the connection's end, so that
both sides agree on when all is said.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

Field = tuple[bytes, bytes]

OFFERS: tuple[tuple[Field, ...], ...] = (
    (),
    ((b"Connection", b"Upgrade"), (b"Upgrade", b"h2c")),
    # As the JDK's own client sends with every request.
    (
        (b"Connection", b"Upgrade, HTTP2-Settings"),
        (b"HTTP2-Settings", b"AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA"),
        (b"Upgrade", b"h2c"),
    ),
    ((b"Connection", b"upgrade"), (b"Upgrade", b"foo")),
    ((b"Connection", b"keep-alive, Upgrade"), (b"Upgrade", b"TLS/1.0, foo/2")),
    ((b"Upgrade", b"h2c"),),  # without Connection it is no offer
    ((b"Connection", b"Upgrade"),),
    ((b"Connection", b"Upgrade"), (b"Connection", b"keep-alive"), (b"Upgrade", b"h2c")),
)
"""Offers of other protocols. None is taken: the request is answered as if it had made none."""

TRAILERS: tuple[Field, ...] = (
    (b"X-Trailer", b"yes"),
    (b"X-Forwarded-For", b"203.0.113.9"),
    (b"Authorization", b"Bearer smuggled"),
    (b"X-Request-Id", b"smuggled-by-trailer"),
)

EXTENSIONS = (b"", b";a", b";a=b", b';name="quoted; value"')


@dataclass(frozen=True)
class Message:
    """What a request is about, before it is decided how it is framed."""

    method: bytes
    target: bytes
    body: bytes = b""
    fields: tuple[Field, ...] = ()


@dataclass(frozen=True)
class Sent:
    """A request as bytes, in the parts between which a packet is most likely to end."""

    parts: tuple[bytes, ...]
    odd: bool = False
    as_if: bytes | None = None
    """What it may be taken for where the reference is stricter than HTTP asks for."""

    @property
    def wire(self) -> bytes:
        return b"".join(self.parts)


@dataclass(frozen=True)
class Stream:
    """What is sent on one connection."""

    sent: tuple[Sent, ...]
    packets: tuple[bytes, ...]
    half_closes: bool
    """The client ends its direction at once, and not when it has its answers."""

    @property
    def wire(self) -> bytes:
        return b"".join(self.packets)

    @property
    def meant(self) -> bytes:
        """What the reference is given: the same, but for what it is stricter in."""
        return b"".join(s.wire if s.as_if is None else s.as_if for s in self.sent)

    @property
    def regular(self) -> int:
        """How many requests come before the first odd one: all where there is none."""
        return next((at for at, sent in enumerate(self.sent) if sent.odd), len(self.sent))


def spelled(mark: str) -> bytes:
    """Return a whole request, to be sent where it is none: as the body of another."""
    return (
        b"GET /echo/hidden HTTP/1.1\r\nHost: x\r\nX-Request-Id: hidden-%s\r\n\r\n" % mark.encode()
    )


BODIES: tuple[bytes, ...] = (
    b"",
    b"x",
    b"\r\n",
    b"0\r\n\r\n",
    spelled("in-a-body"),
    spelled("once") + spelled("twice"),
    b"5\r\nhello\r\n0\r\n\r\n",
    bytes(range(256)) * 3,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    spelled("large") * 2000,  # more than is read at a time, or kept waiting
)


@st.composite
def echo_messages(draw: st.DrawFn) -> Message:
    """Requests to the application of `echo.py`."""
    way = draw(st.sampled_from(("echo", "echo", "early", "part", "first", "slow")))
    method = draw(
        st.sampled_from((b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"))
    )
    body = draw(st.sampled_from(BODIES) | st.binary(max_size=80))
    return Message(method, b"/%s/x" % way.encode(), body)


def head(mark: str, message: Message, fields: Sequence[Field], version: bytes = b"1.1") -> bytes:
    """Return the head of a request, of which the framing is among `fields`."""
    lines = [b"%s %s HTTP/%s" % (message.method, message.target, version), b"Host: x"]
    lines.append(b"X-Request-Id: " + mark.encode())
    lines += [b"%s: %s" % field for field in (*message.fields, *fields)]
    return b"\r\n".join([*lines, b"", b""])


@st.composite
def chunked(draw: st.DrawFn, body: bytes, *, trailers: bool = True) -> tuple[bytes, ...]:
    """A body in chunks of any sizes, with extensions and trailers."""
    parts: list[bytes] = []
    while body:
        size = draw(st.integers(1, len(body)))
        piece, body = body[:size], body[size:]
        spelling = draw(st.sampled_from(("%x", "%X", "%05x"))) % size
        extension = draw(st.sampled_from(EXTENSIONS))
        parts += [spelling.encode() + extension + b"\r\n", piece, b"\r\n"]
    parts.append(
        draw(st.sampled_from((b"0", b"000"))) + draw(st.sampled_from(EXTENSIONS)) + b"\r\n"
    )
    if trailers:
        for name, value in draw(st.lists(st.sampled_from(TRAILERS), max_size=3, unique=True)):
            parts.append(b"%s: %s\r\n" % (name, value))
    return (*parts, b"\r\n")


@st.composite
def regular(draw: st.DrawFn, mark: str, message: Message, *, last: bool = False) -> Sent:
    """A request that every server must answer, whatever else it says."""
    version = draw(st.sampled_from((b"1.1",) * 9 + (b"1.0",)))
    fields: list[Field] = list(draw(st.sampled_from(OFFERS)))
    if last or draw(st.integers(0, 19)) == 0:
        fields.append((b"Connection", draw(st.sampled_from((b"close", b"Close, x-named")))))
    if version == b"1.0":
        fields += draw(st.sampled_from(((), ((b"Connection", b"keep-alive"),))))
    if draw(st.integers(0, 9)) == 0:
        fields += ((b"TE", b"trailers, gzip;q=0.5"), (b"Trailer", b"X-Trailer"))
    if message.body and draw(st.integers(0, 5)) == 0:
        fields.append((b"Expect", b"100-continue"))
    if version == b"1.1" and draw(st.booleans()):
        fields.append((b"Transfer-Encoding", draw(st.sampled_from((b"chunked", b"Chunked")))))
        framed = draw(chunked(message.body))
    elif message.body or draw(st.booleans()):
        fields.append((b"Content-Length", b"%d" % len(message.body)))
        framed = (message.body,)
    else:
        framed = ()
    order = draw(st.permutations(fields)) if draw(st.booleans()) else fields
    return Sent((head(mark, message, order, version), *framed))


@st.composite
def packets(draw: st.DrawFn, sent: Sequence[Sent], *, each_byte: int = 1500) -> tuple[bytes, ...]:
    """Cut what is sent; byte by byte only where it is no longer than `each_byte`."""
    parts = [part for request in sent for part in request.parts if part]
    whole = b"".join(parts)
    ends = list(itertools.accumulate(len(part) for part in parts))[:-1]
    ways = ["whole", "parts", "around", "requests", "anywhere"]
    if len(whole) <= each_byte:
        ways.append("bytes")
    match draw(st.sampled_from(ways)):
        case "whole":
            cuts: list[int] = []
        case "parts":
            cuts = ends
        case "around":
            shifts = draw(st.lists(st.integers(-3, 3), min_size=len(ends), max_size=len(ends)))
            cuts = [end + shift for end, shift in zip(ends, shifts, strict=True)]
        case "requests":
            cuts = list(itertools.accumulate(len(request.wire) for request in sent))
        case "anywhere":
            cuts = draw(st.lists(st.integers(1, max(1, len(whole) - 1)), max_size=12))
        case _:
            cuts = list(range(1, len(whole)))
    at = sorted({0, len(whole), *(cut for cut in cuts if 0 < cut < len(whole))})
    return tuple(whole[start:end] for start, end in itertools.pairwise(at))


Odd = Callable[[str, Message], st.SearchStrategy[Sent]]


@st.composite
def streams(
    draw: st.DrawFn,
    messages: st.SearchStrategy[Message],
    *,
    odd: Odd | None = None,
    name: str = "m",
    most: int = 5,
    each_byte: int = 1500,
) -> Stream:
    """Up to `most` regular requests, among them an odd one where `odd` makes one.

    All marks begin with `name`.
    """
    count = draw(st.integers(1, most))
    strange = draw(st.integers(0, count - 1)) if odd is not None else -1
    sent: list[Sent] = []
    for number in range(count):
        mark, message = f"{name}{number}", draw(messages)
        if odd is not None and number == strange:
            sent.append(draw(odd(mark, message)))
        else:
            last = number == count - 1
            sent.append(draw(regular(mark, message, last=last)))
    if odd is not None:
        sent.append(draw(regular(f"{name}last", draw(messages), last=True)))
    half_closes = draw(st.integers(0, 7)) == 0
    return Stream(tuple(sent), draw(packets(sent, each_byte=each_byte)), half_closes)
