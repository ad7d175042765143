"""Header hygiene: what a client may say, what a service may say, and what only we say.

Sources: RFC 9110 §7.6.1 (Connection and hop-by-hop fields), RFC 9112 §6.3 and §11.2 (message
length, request smuggling).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote_to_bytes

from sharezync_gateway.errors import BadHeaders, BadPath

Headers = list[tuple[bytes, bytes]]
RawHeaders = Iterable[tuple[bytes, bytes]]

_HOP_BY_HOP: Final = frozenset({
    b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization",
    b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade",
})  # fmt: skip
_OURS_TO_SAY: Final = frozenset({
    b"forwarded", b"x-request-id", b"x-real-ip", b"expect", b"traceparent", b"tracestate",
})  # fmt: skip
_OURS_TO_SAY_PREFIXES: Final = (b"x-user-", b"x-auth-", b"x-internal-", b"x-forwarded-")
_SERVER_WRITES: Final = frozenset({b"date", b"server", b"x-request-id"})
_NO_BODY: Final = frozenset({204, 304})

_OFFSET_STREAM: Final = b"application/offset+octet-stream"

_HOST: Final = re.compile(rb"[A-Za-z0-9._\-]+(?::\d{1,5})?|\[[0-9A-Fa-f:.]+\](?::\d{1,5})?")
_DIGITS: Final = re.compile(rb"\d{1,15}")

_PCHAR: Final = rb"A-Za-z0-9\-._~!$&'()*+,;=:@"
_PLAIN: Final = re.compile(rb"(?:/[A-Za-z0-9\-_~!$&'()*+,;=:@][" + _PCHAR + rb"]*)+")
_ALLOWED: Final = re.compile(rb"/(?:[" + _PCHAR + rb"/]|%[0-9A-F]{2})*")
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})?")
_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_~")
_REFUSED: Final = frozenset([*range(0x20), 0x7F, *b"/\\.%"])
_QUERY: Final = re.compile(rb"[\x21-\x7e]*")
_HIGH: Final = re.compile(rb"[\x80-\xff]")


@dataclass(slots=True)
class RequestHead:
    """What the header fields of a request say, and those of them that may go on."""

    host: bytes = b""
    authorization: bytes | None = None
    body_bytes: int | None = 0
    """Length of the body; 0 for none, None for a chunked one."""
    expects_continue: bool = False
    forwarded_for: list[bytes] = field(default_factory=list)
    forwarded_proto: bytes | None = None
    forwarded_host: bytes | None = None
    kept: Headers = field(default_factory=list)
    """Lower-case names; without host, framing, hop-by-hop fields and identities."""


def read_head(headers: RawHeaders, http_version: str = "1.1") -> RequestHead:  # noqa: C901, PLR0912 - one pass over the fields; splitting it would read them several times
    """Read the fields of a request once, and keep those that may go on to a service.

    Raises BadHeaders for what two servers could read in two ways: Content-Length with
    Transfer-Encoding, or either of them, Host or Authorization twice or malformed.
    """
    head = RequestHead()
    length: bytes | None = None
    coding: bytes | None = None
    host: bytes | None = None
    named: set[bytes] = set()
    for name, value in headers:
        if name == b"host":
            if host is not None:
                raise BadHeaders("Host is repeated")
            host = value
        elif name == b"content-length":
            if length is not None:
                raise BadHeaders("Content-Length is repeated")
            length = value
        elif name == b"transfer-encoding":
            if coding is not None:
                raise BadHeaders("Transfer-Encoding is repeated")
            coding = value
        elif name == b"connection":
            named.update(token.strip().lower() for token in value.split(b","))
        elif name == b"x-forwarded-for":
            head.forwarded_for.extend(part.strip() for part in value.split(b","))
        elif name == b"x-forwarded-proto":
            head.forwarded_proto = value.lower()
        elif name == b"x-forwarded-host":
            head.forwarded_host = value
        elif name == b"expect":
            head.expects_continue = value.lower() == b"100-continue"
        elif name == b"authorization":
            if head.authorization is not None:
                raise BadHeaders("Authorization is repeated")
            head.authorization = value
            head.kept.append((name, value))
        elif not (
            name in _HOP_BY_HOP
            or name in _OURS_TO_SAY
            or name.startswith(_OURS_TO_SAY_PREFIXES)
            or b"_" in name  # X_User_Id becomes X-User-Id in more than one framework
        ):
            head.kept.append((name, value))
    if named:
        head.kept = [entry for entry in head.kept if entry[0] not in named]
    head.host = _checked_host(host, http_version)
    head.body_bytes = _body_bytes(length, coding)
    return head


def _checked_host(host: bytes | None, http_version: str) -> bytes:
    if host is None and http_version == "1.0":
        return b""
    if host is None or not _HOST.fullmatch(host):
        raise BadHeaders("Host is missing or malformed")
    return host


def _body_bytes(length: bytes | None, coding: bytes | None) -> int | None:
    if coding is not None:
        if length is not None:
            raise BadHeaders("Content-Length and Transfer-Encoding exclude each other")
        if coding.strip().lower() != b"chunked":
            raise BadHeaders("The only supported transfer coding is chunked")
        return None
    if length is None:
        return 0
    if not _DIGITS.fullmatch(length):
        raise BadHeaders("Content-Length must be a number")
    return int(length)


def counts_in_part(kept: Headers) -> bool:
    """Whether the body is of tus: of one that breaks off, the service keeps all that came."""
    said = next((value for name, value in kept if name == b"content-type"), b"")
    return said.partition(b";")[0].strip().lower() == _OFFSET_STREAM


def clean_response(headers: RawHeaders, status: int) -> Headers:
    """Return the fields of a service's answer that may go to the client, with lower-case names.

    Dropped are hop-by-hop fields and those that Connection names, what our own server writes, and
    what is ours to say: CORS and anything internal.
    """
    kept: Headers = []
    named: set[bytes] = set()
    for raw_name, value in headers:
        name = raw_name.lower()
        if name == b"connection":
            named.update(token.strip().lower() for token in value.split(b","))
        elif name not in _HOP_BY_HOP and name not in _SERVER_WRITES:
            if name.startswith((b"x-internal-", b"access-control-")):
                continue
            if name == b"content-length" and status in _NO_BODY:
                continue  # the server would wait for a body that never comes
            kept.append((name, value))
    return [entry for entry in kept if entry[0] not in named] if named else kept


def normalise(raw: bytes) -> bytes:
    """Return the one accepted spelling of a raw request path.

    Escapes of unreserved characters are undone and the others written in upper case
    (RFC 3986 §6.2.2). Raises BadPath for what two parsers could read in two ways: escaped
    separators, dots, percent signs and control characters, `.` and `..` segments, empty segments
    (but one at the end, which is dropped), backslashes, bytes outside of ASCII, and escapes that
    aren't UTF-8.
    """
    if _PLAIN.fullmatch(raw):
        return raw
    if (
        len(raw) > 1 and raw.endswith(b"/") and not raw.endswith(b"//")
    ):  # with and without it a path means the same
        raw = raw[:-1]
    path = _ESCAPE.sub(_unescape, raw)
    if not _ALLOWED.fullmatch(path):
        raise BadPath("A path must begin with a slash and contain only characters of RFC 3986")
    segments = path.split(b"/")
    if b"." in segments or b".." in segments:
        raise BadPath("Dot segments aren't accepted")
    if path != b"/" and b"" in segments[1:]:
        raise BadPath("Empty segments are not accepted")
    try:
        unquote_to_bytes(path).decode()
    except UnicodeDecodeError:
        raise BadPath("Escapes in a path must be UTF-8") from None
    return path


def _unescape(match: re.Match[bytes]) -> bytes:
    digits = match[1]
    if digits is None:
        raise BadPath("A percent sign must be followed by two hexadecimal digits")
    byte = int(digits, 16)
    if byte in _REFUSED:
        raise BadPath(f"%{byte:02X} is not accepted in a path")
    return bytes([byte]) if byte in _UNRESERVED else b"%%%02X" % byte


def clean_query(raw: bytes) -> bytes:
    """Return the query string in ASCII: raw bytes of other alphabets are escaped.

    Raises BadPath for control characters and spaces.
    """
    if _QUERY.fullmatch(raw):
        return raw
    query = _HIGH.sub(lambda match: b"%%%02X" % match[0][0], raw)
    if not _QUERY.fullmatch(query):
        raise BadPath("Control characters are not accepted in a query")
    return query
