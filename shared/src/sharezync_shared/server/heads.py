"""Heads of requests: where one ends, and what it says of its body. Without I/O.

RFC 9112, read strictly: what could be read in two ways is refused. httptools parses heads; it is
given each by itself and nothing else, because it neither tells where in its input a message ended,
nor bounds trailers and chunk extensions, nor takes for a body what an `Upgrade` was offered with.
"""

import re
from typing import Final

import httptools

from sharezync_shared.problems import Malformed, Problem
from sharezync_shared.server.bodies import ChunkedBody, FramedBody, LengthBody
from sharezync_shared.server.bounds import MAX_FIELDS, MAX_HEAD_BYTES, HeadTooLarge

HEAD_END: Final = b"\r\n\r\n"

_REQUEST_LINE: Final = re.compile(
    rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [\x21\x22\x24-\x7e]+ HTTP/1\.[01]\r\n"
)


class HeadReader:
    """Collects one head, however it is cut."""

    __slots__ = ("_head", "is_for_head", "read_bytes")

    def __init__(self) -> None:
        self._head = bytearray()
        self.read_bytes = 0
        """How much has come of it, empty lines before it included."""
        self.is_for_head = False
        """Whether the method of the last one is HEAD, also where it isn't whole or is refused."""

    def feed(self, data: memoryview) -> tuple[bytes, memoryview]:
        """Return the head that is whole now (else nothing), and what of `data` is behind it.

        Raises HeadTooLarge.
        """
        head, sought = self._head, max(0, len(self._head) - len(HEAD_END) + 1)
        head += data
        self.read_bytes += len(data)
        if head[:1] in b"\r\n":  # empty lines before a request are nothing (RFC 9112 §2.2)
            self._head = head = head.lstrip(b"\r\n")
            sought = 0
        self.is_for_head = head.startswith(b"HEAD ")
        end = head.find(HEAD_END, sought)
        behind = len(head) - end - len(HEAD_END) if end >= 0 else 0
        if self.read_bytes - behind > MAX_HEAD_BYTES:
            raise HeadTooLarge(f"At most {MAX_HEAD_BYTES} bytes are accepted")
        if end < 0:
            return b"", data[:0]
        self._head = bytearray()
        self.read_bytes = 0
        return bytes(head[: end + len(HEAD_END)]), data[len(data) - behind :]


def parse_head(parser: httptools.HttpRequestParser, head: bytes) -> None:
    """Parse a head, but for what the parser lets pass: HTTP/0.9, 2.0 and others, too many fields.

    Raises Malformed and HeadTooLarge, and whatever Problem a callback does.
    """
    if not _REQUEST_LINE.match(head):
        raise Malformed("Not a valid HTTP/1.1 or HTTP/1.0 request")
    if head.count(b"\r\n") - 2 > MAX_FIELDS:
        raise HeadTooLarge(f"At most {MAX_FIELDS} header fields are accepted")
    try:
        parser.feed_data(head)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError as error:
        cause = error.__context__
        raise cause if isinstance(cause, Problem) else Malformed(str(error)) from None


def body_of(method: bytes, version: str, headers: list[tuple[bytes, bytes]]) -> FramedBody:
    """Return the body that a head announces; names are in lower case. Raises Malformed."""
    body: FramedBody = LengthBody(0)
    hosts = 0
    for name, value in headers:
        if name == b"host":
            hosts += 1
        elif name == b"content-length":  # the parser lets pass one, of digits only
            body = LengthBody(int(value))
        elif name == b"transfer-encoding":  # and not beside a Content-Length
            # The one coding that is understood here; in HTTP/1.0 there is none.
            if value.lower() != b"chunked" or version == "1.0":
                raise Malformed("A body needs Content-Length, or chunked encoding in HTTP/1.1")
            body = ChunkedBody()
    if hosts > 1 or (version == "1.1" and not hosts):
        raise Malformed("A request must have one Host field (RFC 9112 §3.2)")
    if method == b"CONNECT":
        raise Malformed("CONNECT isn't supported")
    return body


def path_of(url: bytes, headers: list[tuple[bytes, bytes]]) -> bytes:
    """Return the path and query of a target in absolute form, and put its host into `headers`.

    What a target says of the host goes before what the field says (RFC 9112 §3.2.2). Raises
    Malformed.
    """
    target = httptools.parse_url(url)
    if not target.host or target.userinfo:
        raise Malformed("The request target must be a path or a URL")
    host = target.host if not target.port else b"%s:%d" % (target.host, target.port)
    headers[:] = [(b"host", host), *(field for field in headers if field[0] != b"host")]
    path: bytes = target.path or b"/"
    return path + b"?" + target.query if target.query else path


def offers_websocket(method: bytes, headers: list[tuple[bytes, bytes]], body: FramedBody) -> bool:
    """Return whether a request asks for a WebSocket, and for nothing else beside it.

    Raises Malformed where it is not one that may.
    """
    if not any(name == b"upgrade" and value.lower() == b"websocket" for name, value in headers):
        return False
    if method != b"GET" or not body.is_complete:
        raise Malformed("A WebSocket handshake must be a GET request without a body")
    return True
