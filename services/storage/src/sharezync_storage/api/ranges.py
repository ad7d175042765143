"""Which bytes are asked for, and whether they are asked for at all: RFC 9110 §13 and §14."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sharezync_storage.problems import RangeUnsatisfiable

# Nineteen digits reach beyond any file; more are nobody's honest question.
_RANGE: Final = re.compile(r"(\d{0,19})-(\d{0,19})", re.ASCII)
_ETAG: Final = re.compile(r'(?:W/)?("[\x21\x23-\x7e]*")')


@dataclass(frozen=True, slots=True)
class Span:
    """A range of bytes, both ends inclusive."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """How many bytes it holds."""
        return self.last - self.first + 1


def not_modified(headers: Mapping[str, str], etag: str) -> bool:
    """Whether the client has this very content (If-None-Match, compared weakly)."""
    given = headers.get("if-none-match", "")
    return given.strip() == "*" or etag in _ETAG.findall(given)


def span_of(
    headers: Mapping[str, str], size_bytes: int, *, etag: str, last_modified: str
) -> Span | None:
    """Return the one range that is asked for; None for the whole.

    A range of another unit is none (§14.2), and so is one for another version of the content
    (If-Range, §13.1.5). Raises RangeUnsatisfiable for what can't be satisfied or understood, and
    for several ranges at once: answering those has cost others more than it ever gave.
    """
    unit, _, asked = headers.get("range", "").partition("=")
    if unit.strip().lower() != "bytes":
        return None
    if headers.get("if-range", etag).strip() not in {etag, last_modified}:
        return None
    found = _RANGE.fullmatch(asked.strip())
    span = _resolved(found[1], found[2], size_bytes) if found else None
    if span is None:
        raise RangeUnsatisfiable(headers={"Content-Range": f"bytes */{size_bytes}"})
    return span


def _resolved(first: str, last: str, size_bytes: int) -> Span | None:
    end = size_bytes - 1
    if first:
        span = Span(int(first), min(int(last), end) if last else end)
    elif last:
        span = Span(max(0, size_bytes - int(last)), end)
    else:
        return None
    return span if span.length > 0 and (not last or not first or int(first) <= int(last)) else None
