"""Which bytes of a file are asked for (RFC 9110 §14), of one that may still be arriving. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sharezync_gateway.transfers.problems import RangeUnsatisfiable

# Nineteen digits reach beyond any file; more are nobody's honest question.
_RANGE: Final = re.compile(rb"(\d{0,19})-(\d{0,19})")
_ETAG: Final = re.compile(rb'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


@dataclass(frozen=True, slots=True)
class Span:
    """A range of bytes, both ends inclusive."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """How many bytes it holds; 0 for the whole of an empty file."""
        return self.last - self.first + 1


def not_modified(fields: Mapping[bytes, bytes], etag: bytes | None) -> bool:
    """Whether the client has this very content (304, §13.1.2).

    A file whose root is not known yet (`etag` None) is no content that anybody could have.
    """
    given = fields.get(b"if-none-match")
    if given is None or etag is None:
        return False
    return given.strip() == b"*" or etag in _ETAG.findall(given)


def span_of(fields: Mapping[bytes, bytes], size_bytes: int, etag: bytes | None) -> Span | None:
    """Return the one range that is asked for; None for the whole.

    A range of another unit is none (§14.2), and so is one on the condition of an ETag that is not
    this content's (If-Range, §13.1.5). Raises RangeUnsatisfiable for what can't be satisfied or
    understood, and for several ranges at once.
    """
    unit, _, asked = fields.get(b"range", b"").partition(b"=")
    if unit.strip().lower() != b"bytes":
        return None
    condition = fields.get(b"if-range")
    if condition is not None and (etag is None or condition.strip() != etag):
        return None
    found = _RANGE.fullmatch(asked.strip())
    span = _resolved(found[1], found[2], size_bytes) if found else None
    if span is None:
        raise RangeUnsatisfiable(headers={"Content-Range": f"bytes */{size_bytes}"})
    return span


def _resolved(first: bytes, last: bytes, size_bytes: int) -> Span | None:
    end = size_bytes - 1
    if first and last and int(first) > int(last):
        return None
    if first:
        span = Span(int(first), min(int(last), end) if last else end)
    elif last:
        span = Span(max(0, size_bytes - int(last)), end)
    else:
        return None
    return span if span.length > 0 else None
