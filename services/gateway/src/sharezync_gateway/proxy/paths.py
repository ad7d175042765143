"""One spelling for each path: what is matched against the routes is what the service gets."""

import re
from typing import Final
from urllib.parse import unquote_to_bytes

from sharezync_gateway.errors import BadPath

_PCHAR: Final = rb"A-Za-z0-9\-._~!$&'()*+,;=:@"
_PLAIN: Final = re.compile(rb"(?:/[A-Za-z0-9\-_~!$&'()*+,;=:@][" + _PCHAR + rb"]*)+")
_ALLOWED: Final = re.compile(rb"/(?:[" + _PCHAR + rb"/]|%[0-9A-F]{2})*")
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})?")
_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_~")
_REFUSED: Final = frozenset([*range(0x20), 0x7F, *b"/\\.%"])
_QUERY: Final = re.compile(rb"[\x21-\x7e]*")
_HIGH: Final = re.compile(rb"[\x80-\xff]")


def normalise(raw: bytes) -> bytes:
    """Return the one accepted spelling of a raw request path.

    Escapes of unreserved characters are undone and the others written in upper case
    (RFC 3986 §6.2.2). Raises BadPath for what two parsers could read in two ways: escaped
    separators, dots, percent signs and control characters, `.` and `..` segments, empty segments
    (but at the end), backslashes, bytes outside of ASCII, and escapes that aren't UTF-8.
    """
    if _PLAIN.fullmatch(raw):
        return raw
    path = _ESCAPE.sub(_unescape, raw)
    if not _ALLOWED.fullmatch(path):
        raise BadPath("A path must begin with a slash and contain only characters of RFC 3986")
    segments = path.split(b"/")
    if b"." in segments or b".." in segments:
        raise BadPath("Dot segments aren't accepted")
    if b"" in segments[1:-1]:
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
