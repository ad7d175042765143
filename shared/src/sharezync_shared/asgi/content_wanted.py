"""Which bytes of a content are asked for, and the headers it is served under. Pure.

No file can do harm where it is opened. Sources: RFC 9110 §13 and §14; RFC 6266
(Content-Disposition), RFC 8187 (its `filename*`), Fetch §nosniff, CSP3 §sandbox.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Final
from urllib.parse import quote

from starlette.datastructures import Headers

from sharezync_shared.media_types import clean_media_type
from sharezync_shared.problems import Problem, ProblemKind

# Nineteen digits reach beyond any file; more are nobody's honest question.
_RANGE: Final = re.compile(r"(\d{0,19})-(\d{0,19})", re.ASCII)
_ETAG: Final = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')

CONTENT_SECURITY_POLICY: Final = "default-src 'none'; sandbox"

# attr-char of RFC 8187, but for letters and digits, which quote() never touches.
_ATTR_CHARS: Final = "!#$&+-.^_`|~"


class PreconditionFailed(Problem):
    """RFC 9110 §13.1.1, §13.1.4: `If-Match` or `If-Unmodified-Since` does not hold."""

    kind, slug = ProblemKind.PRECONDITION, "precondition-failed"
    title = "The content doesn't match the precondition"


class RangeUnsatisfiable(Problem):
    """With the header `Content-Range: bytes */<size>` (RFC 9110 §15.5.17)."""

    kind, slug = ProblemKind.RANGE, "range-unsatisfiable"
    title = "The range lies outside the file"


@dataclass(frozen=True, slots=True)
class Span:
    """A range of bytes, both ends inclusive."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """How many bytes it holds; 0 for the whole of an empty content, which ends at -1."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class Version:
    """By what clients know a content. Both are strong: content never changes (§8.8).

    None is what nobody knows: of a content that is still arriving, which it will be. No condition
    that names a version holds for that one.
    """

    etag: str | None
    modified_at: datetime | None = None

    @property
    def last_modified(self) -> str | None:
        """When the content came to be, as an HTTP date."""
        return None if self.modified_at is None else format_datetime(self.modified_at, usegmt=True)


def not_modified(headers: Headers, version: Version) -> bool:
    """Whether the client has this very content, and need not be sent it again (304).

    Only for GET and HEAD, and in the order of §13.2.2. Raises what `check_wanted` raises.
    """
    check_wanted(headers, version)
    if "if-none-match" in headers:
        return _names(headers, "if-none-match", version.etag, weak=True)
    since, modified = _date(headers, "if-modified-since"), _seconds(version)
    return since is not None and modified is not None and modified <= since


def check_wanted(headers: Headers, version: Version) -> None:
    """Raise PreconditionFailed where the client wants another content than there is."""
    if "if-match" in headers:
        # Compared strongly: a weak ETag stands for no content in particular (§13.1.1).
        if not _names(headers, "if-match", version.etag, weak=False):
            raise PreconditionFailed
        return
    # Without a date of its own a content has none to compare (§13.1.4).
    until, modified = _date(headers, "if-unmodified-since"), _seconds(version)
    if until is not None and modified is not None and modified > until:
        raise PreconditionFailed


def span_of(headers: Headers, size_bytes: int, version: Version) -> Span | None:
    """Return the one range that is asked for; None for the whole. Not for HEAD (§14.2).

    A range of another unit is none (§14.2), and so is one for another version of the content
    (If-Range, §13.1.5). Several at once are answered with the whole, as §14.2 allows: answering
    them one by one has cost others more than it ever gave. Raises RangeUnsatisfiable for what can't
    be satisfied or understood.
    """
    given = ",".join(headers.getlist("range"))
    unit, _, asked = given.partition("=")
    if unit.strip().lower() != "bytes":
        return None
    same = {version.etag, version.last_modified}
    if "if-range" in headers and headers["if-range"].strip() not in same:
        return None
    parts = [part.strip() for part in asked.split(",") if part.strip()]
    matches = [_RANGE.fullmatch(part) for part in parts]
    spans = [_resolved(found[1], found[2], size_bytes) if found else None for found in matches]
    if None in matches or not any(spans):
        raise RangeUnsatisfiable(headers={"Content-Range": f"bytes */{size_bytes}"})
    return spans[0] if len(spans) == 1 else None


def _resolved(first: str, last: str, size_bytes: int) -> Span | None:
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


def _names(headers: Headers, name: str, etag: str | None, *, weak: bool) -> bool:
    """Whether a list of ETags, or `*`, stands for this one; the list may come in several lines.

    `*` stands for any content there is (§13.1.1, §13.1.2), also for one that has no ETag yet.
    """
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


def _seconds(version: Version) -> datetime | None:
    """Return when the content came to be, no finer than an HTTP date has it."""
    at = version.modified_at
    return None if at is None else at.replace(microsecond=0)


def content_headers(
    *,
    name: str,
    mime: str,
    size_bytes: int,
    version: Version,
    span: Span | None = None,
    in_place: bool = False,
) -> dict[str, str]:
    """Return the headers of an answer that brings a content: a span of it, or else the whole.

    Neither the name nor the media type need be trusted; `in_place` is for media that are.
    """
    headers = {
        "Content-Type": content_type(mime),
        "Content-Length": str(size_bytes if span is None else span.length),
        "Content-Disposition": content_disposition(name, in_place=in_place),
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "X-Content-Type-Options": "nosniff",
        "Accept-Ranges": "bytes",
        **validators(version),
    }
    if span is not None:
        headers["Content-Range"] = f"bytes {span.first}-{span.last}/{size_bytes}"
    return headers


def validators(version: Version) -> dict[str, str]:
    """Return the headers by which a client knows what it has, as far as that is known.

    They are all that a 304 says (RFC 9110 §15.4.5). A client asks each time whether it may.
    """
    known = {"ETag": version.etag, "Last-Modified": version.last_modified}
    present = {name: value for name, value in known.items() if value is not None}
    return {**present, "Cache-Control": "private, no-cache"}


def content_type(mime: str) -> str:
    """Return the Content-Type for a file that is said to be of this media type."""
    believed = clean_media_type(mime)
    # Without a charset browsers guess; with one they can't be talked into UTF-7.
    return "text/plain; charset=utf-8" if believed == "text/plain" else believed


def content_disposition(name: str, *, in_place: bool) -> str:
    """Return the Content-Disposition for a file: shown in place, or kept.

    In place only for media that `INLINE` lists. The name goes in twice: in ASCII for old clients,
    and as it is.
    """
    how = "inline" if in_place else "attachment"
    plain = "".join(c if " " <= c <= "~" and c not in '"\\%' else "_" for c in name)
    value = f'{how}; filename="{plain}"'
    if plain != name:
        value += f"; filename*=UTF-8''{quote(name, safe=_ATTR_CHARS)}"
    return value
