"""Which bytes are asked for, and whether they are asked for at all: RFC 9110 §13 and §14."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Final

from starlette.datastructures import Headers

from sharezync_storage.problems import PreconditionFailed, RangeUnsatisfiable

# Nineteen digits reach beyond any file; more are nobody's honest question.
_RANGE: Final = re.compile(r"(\d{0,19})-(\d{0,19})", re.ASCII)
_ETAG: Final = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')


@dataclass(frozen=True, slots=True)
class Span:
    """A range of bytes, both ends inclusive."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """How many bytes it holds."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class Version:
    """By what clients know a content. Both are strong: content never changes (§8.8)."""

    etag: str
    modified_at: datetime

    @property
    def last_modified(self) -> str:
        """When the content came to be, as an HTTP date."""
        return format_datetime(self.modified_at, usegmt=True)


def not_modified(headers: Headers, version: Version) -> bool:
    """Whether the client has this very content, and need not be sent it again (304).

    Only for GET and HEAD, and in the order of §13.2.2. Raises what `check_wanted` raises.
    """
    check_wanted(headers, version)
    if "if-none-match" in headers:
        return _names(headers, "if-none-match", version.etag, weak=True)
    since = _date(headers, "if-modified-since")
    return since is not None and _seconds(version) <= since


def check_wanted(headers: Headers, version: Version) -> None:
    """Raise PreconditionFailed where the client wants another content than there is."""
    if "if-match" in headers:
        # Compared strongly: a weak ETag stands for no content in particular (§13.1.1).
        if not _names(headers, "if-match", version.etag, weak=False):
            raise PreconditionFailed
    elif (until := _date(headers, "if-unmodified-since")) and _seconds(version) > until:
        raise PreconditionFailed


def span_of(headers: Headers, size_bytes: int, version: Version) -> Span | None:
    """Return the one range that is asked for; None for the whole. Not for HEAD (§14.2).

    A range of another unit is none (§14.2), and so is one for another version of the content
    (If-Range, §13.1.5). Raises RangeUnsatisfiable for what can't be satisfied or understood, and
    for several ranges at once: answering those has cost others more than it ever gave.
    """
    given = ",".join(headers.getlist("range"))
    unit, _, asked = given.partition("=")
    if unit.strip().lower() != "bytes":
        return None
    same = {version.etag, version.last_modified}
    if "if-range" in headers and headers["if-range"].strip() not in same:
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


def _names(headers: Headers, name: str, etag: str, *, weak: bool) -> bool:
    """Whether a list of ETags, or `*`, stands for this one; the list may come in several lines."""
    given = ",".join(headers.getlist(name))
    if given.strip() == "*":
        return True
    return any(tag == etag and (weak or not mark) for mark, tag in _ETAG.findall(given))


def _date(headers: Headers, name: str) -> datetime | None:
    """Return an HTTP date, in any of the three forms of §5.6.7; one that is none is not there."""
    try:
        given = parsedate_to_datetime(headers[name])
    except (KeyError, ValueError, OverflowError):
        return None
    return given if given.tzinfo else given.replace(tzinfo=UTC)


def _seconds(version: Version) -> datetime:
    return version.modified_at.replace(microsecond=0)
