"""Requests that servers read in different ways, or that are none: where smuggling begins.

A server may refuse each of them and close. What it may not is to read other requests out of the
bytes than the reference does.
"""

from hypothesis import strategies as st

from tests.edge.streams import Field, Message, Sent, head, spelled

_CHUNKS = (
    b"g\r\nhello\r\n0\r\n\r\n",  # no number
    b"-1\r\nx\r\n0\r\n\r\n",
    b"+5\r\nhello\r\n0\r\n\r\n",
    b"0x5\r\nhello\r\n0\r\n\r\n",
    b" 5\r\nhello\r\n0\r\n\r\n",
    b"5 \r\nhello\r\n0\r\n\r\n",
    b"5 ;a=b\r\nhello\r\n0\r\n\r\n",
    b"5_0\r\nhello\r\n0\r\n\r\n",
    b"\r\nhello\r\n0\r\n\r\n",
    b"10000000000000005\r\nhello\r\n0\r\n\r\n",  # 2^64 + 5
    b"5\r\nhelloX\r\n0\r\n\r\n",  # the chunk is longer than said
    b"5\r\nhello0\r\n\r\n",
    b"5\nhello\n0\n\n",
    b"5\r\nhello\r\n0\n\n",
    b"5\rhello\r\n0\r\n\r\n",
    b"5; a = 1\r\nhello\r\n0 ; b\r\n\r\n",  # RFC 9112 §7.1.1 allows such spaces; llhttp doesn't
    b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    b"5;\xff\x00\r\nhello\r\n0\r\n\r\n",
    b"5\r\nhello\r\n0\r\nno trailer\r\n\r\n",
    b"5\r\nhello\r\n0\r\nX-Trailer : x\r\n\r\n",
    b"5\r\nhello\r\n0\r\nX-Trailer: a\r\n folded\r\n\r\n",
    b"5\r\nhello\r\n0\r\nContent-Length: 7\r\n\r\n",
    b"5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"5\r\nhello\r\n0\r\n\r",
    b"5\r\nhello\r\n",  # the last chunk never comes
)

_LENGTHS: tuple[tuple[Field, ...], ...] = tuple(
    tuple((b"Content-Length", value) for value in values)
    for values in (
        (b"5", b"5"),
        (b"5, 5",),
        (b"5", b"6"),
        (b"5, 6",),
        (b"+5",),
        (b"-5",),
        (b"0x5",),
        (b"005",),
        (b"5.0",),
        (b"5 5",),
        (b"",),
        (b"five",),
        (b"5;",),
        (b"\t5",),
        (b"18446744073709551621",),  # 2^64 + 5
        (b"99999999999999999999999999",),
        (b"400",),  # more than comes
        (b"3",),  # less than comes: the rest spells the beginning of a request
    )
)

_CODINGS: tuple[tuple[Field, ...], ...] = (
    ((b"Content-Length", b"5"), (b"Transfer-Encoding", b"chunked")),
    ((b"Transfer-Encoding", b"chunked"), (b"Content-Length", b"30")),
    ((b"Transfer-Encoding", b"gzip, chunked"),),
    ((b"Transfer-Encoding", b"chunked, gzip"),),
    ((b"Transfer-Encoding", b"chunked, chunked"),),
    ((b"Transfer-Encoding", b"chunked"), (b"Transfer-Encoding", b"chunked")),
    ((b"Transfer-Encoding", b"chunked"), (b"Transfer-Encoding", b"identity")),
    ((b"Transfer-Encoding", b"identity"), (b"Transfer-Encoding", b"chunked")),
    ((b"Transfer-Encoding", b"identity"),),
    ((b"Transfer-Encoding", b"identity"), (b"Content-Length", b"5")),
    ((b"Transfer-Encoding", b"xchunked"),),
    ((b"Transfer-Encoding", b"chunked;q=1"),),
    ((b"Transfer-Encoding", b'"chunked"'),),
    ((b"Transfer-Encoding", b"\x0bchunked"),),
    ((b"Transfer-Encoding", b""),),
    ((b"Transfer-Encoding", b"chunked\r\n "),),
    ((b"Transfer-Encoding ", b"chunked"),),
    ((b"Transfer_Encoding", b"chunked"), (b"Content-Length", b"5")),
    ((b" Transfer-Encoding", b"chunked"),),
    ((b"X", b"y\nTransfer-Encoding: chunked"),),
    ((b"X", b"y\rTransfer-Encoding: chunked"),),
    ((b"X", b"y\x00"), (b"Content-Length", b"5")),
    ((b"X\x00", b"y"), (b"Content-Length", b"5")),
    ((b"X", b"a\r\n folded"), (b"Content-Length", b"5")),
    ((b"Content-Length ", b"5"),),
    ((b"Content-Length", b"5\r\n "),),
    ((b"Connection", b"Content-Length"), (b"Content-Length", b"5")),
    ((b"Connection", b"Transfer-Encoding"), (b"Transfer-Encoding", b"chunked")),
)

_LINES = (
    b"GET /echo/x HTTP/1.1\nHost: x\nX-Request-Id: %s\n\n",
    b"GET /echo/x HTTP/1.1\r\nHost: x\r\nX-Request-Id: %s\r\n\n",
    b"GET /echo/x HTTP/1.1\rHost: x\rX-Request-Id: %s\r\r",
    b"GET\t/echo/x HTTP/1.1\r\nHost: x\r\nX-Request-Id: %s\r\n\r\n",
    b"GET /echo/x y HTTP/1.1\r\nHost: x\r\nX-Request-Id: %s\r\n\r\n",
    b"GET /echo/x HTTP/1.1 \r\nHost: x\r\nX-Request-Id: %s\r\n\r\n",
    b" GET /echo/x HTTP/1.1\r\nHost: x\r\nX-Request-Id: %s\r\n\r\n",
    b"GET /echo/x HTTP/1.2\r\nHost: x\r\nX-Request-Id: %s\r\n\r\n",
    b"GET /echo/x HTTP/2.0\r\nHost: x\r\nX-Request-Id: %s\r\n\r\n",
    b"GET /echo/x HTTP/0.9\r\nHost: x\r\nX-Request-Id: %s\r\n\r\n",
    b"GET /echo/x http/1.1\r\nHost: x\r\nX-Request-Id: %s\r\n\r\n",
    b"GET /echo/x HTTP/1.11\r\nHost: x\r\nX-Request-Id: %s\r\n\r\n",
    b"GET /echo/x HTTP/1\r\nHost: x\r\nX-Request-Id: %s\r\n\r\n",
    b"GET /echo/x\r\nHost: x\r\nX-Request-Id: %s\r\n\r\n",
    b"get /echo/x HTTP/1.1\r\nHost: x\r\nX-Request-Id: %s\r\n\r\n",
    b"NONSENSE /echo/x HTTP/1.1\r\nHost: x\r\nX-Request-Id: %s\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\nX-Request-Id: %s\r\n\r\n",
    b"CONNECT /echo/x HTTP/1.1\r\nHost: x\r\nX-Request-Id: %s\r\nContent-Length: 5\r\n\r\nhello",
    b"GET http://x/echo/x HTTP/1.1\r\nHost: x\r\nX-Request-Id: %s\r\n\r\n",
    b"GET http:// HTTP/1.1\r\nHost: x\r\nX-Request-Id: %s\r\n\r\n",
    b"GET echo HTTP/1.1\r\nHost: x\r\nX-Request-Id: %s\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: x\r\nX-Request-Id: %s\r\n\r\n",
    b"GET /echo/\xff HTTP/1.1\r\nHost: x\r\nX-Request-Id: %s\r\n\r\n",
    b"GET /echo/%%00 HTTP/1.1\r\nHost: x\r\nX-Request-Id: %s\r\n\r\n",
    b"GET /echo/x HTTP/1.1\r\nHost: x\r\n: empty\r\nX-Request-Id: %s\r\n\r\n",
    b"GET /echo/x HTTP/1.1\r\nHost: x\r\nno colon\r\nX-Request-Id: %s\r\n\r\n",
    b"GET /echo/x HTTP/1.1\r\n Host: x\r\nX-Request-Id: %s\r\n\r\n",
    # Of a WebSocket as little or as much as makes no handshake.
    (
        b"POST /echo/x HTTP/1.1\r\nHost: x\r\nX-Request-Id: %s\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\nContent-Length: 5\r\n\r\nhello"
    ),
    (
        b"GET /echo/x HTTP/1.1\r\nHost: x\r\nX-Request-Id: %s\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\n\r\n"
    ),
    (
        b"GET /echo/x HTTP/1.1\r\nHost: x\r\nX-Request-Id: %s\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\nSec-WebSocket-Version: 7\r\nSec-WebSocket-Key: eA==\r\n\r\n"
    ),
    (
        b"POST /echo/x HTTP/1.1\r\nHost: x\r\nX-Request-Id: %s\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n0\r\n\r\n"
    ),
    (
        b"GET /echo/x HTTP/1.0\r\nHost: x\r\nX-Request-Id: %s\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ),
    (
        b"GET /echo/x HTTP/1.1\r\nHost: x\r\nX-Request-Id: %s\r\nConnection: Upgrade\r\n"
        b"Upgrade: h2c, websocket\r\n\r\n"
    ),
)


_PLAIN = b"GET /echo/x HTTP/1.1\r\nHost: x\r\nX-Request-Id: %s\r\n\r\n"

# h11 takes no empty line before a request (RFC 9112 §2.2: servers should), nor more than one space
# (§3: servers may).
_LENIENT = (
    b"\r\n" + _PLAIN,
    b"\r\n\r\n" + _PLAIN,
    b"\n" + _PLAIN,
    _PLAIN.replace(b"GET ", b"GET  "),
    _PLAIN.replace(b" HTTP", b"  HTTP"),
)


@st.composite
def odd(draw: st.DrawFn, mark: str, message: Message) -> Sent:
    """One request of these, followed in some by bytes that spell another."""
    asked = Message(draw(st.sampled_from((b"POST", b"GET"))), message.target)
    as_if = None
    parts: tuple[bytes, ...]
    match draw(st.sampled_from(("chunks", "length", "coding", "line", "lenient"))):
        case "chunks":
            chunked = ((b"Transfer-Encoding", b"chunked"),)
            parts = (head(mark, asked, chunked), draw(st.sampled_from(_CHUNKS)))
        case "length":
            lengths = draw(st.sampled_from(_LENGTHS))
            parts = (head(mark, asked, lengths), b"hello")
        case "coding":
            codings = draw(st.sampled_from(_CODINGS))
            body = draw(st.sampled_from((b"5\r\nhello\r\n0\r\n\r\n", b"hello", b"0\r\n\r\n")))
            parts = (head(mark, asked, codings), body)
        case "line":
            line = draw(st.sampled_from(_LINES))
            parts = (line % mark.encode() if b"%s" in line else line,)
        case _:
            parts = (draw(st.sampled_from(_LENIENT)) % mark.encode(),)
            as_if = _PLAIN % mark.encode()
    behind = draw(st.sampled_from((b"", b"", spelled("behind"))))
    return Sent((*parts, behind), odd=True, as_if=None if as_if is None else as_if + behind)
