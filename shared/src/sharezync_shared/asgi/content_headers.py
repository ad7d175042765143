"""The headers a content is served under, so that no file can do harm where it is opened. Pure.

Sources: RFC 6266 (Content-Disposition), RFC 8187 (its `filename*`), Fetch §nosniff, CSP3 §sandbox.
"""

from typing import Final
from urllib.parse import quote

from sharezync_shared.asgi.content_wanted import Span, Version
from sharezync_shared.media_types import clean_media_type

CONTENT_SECURITY_POLICY: Final = "default-src 'none'; sandbox"

# attr-char of RFC 8187, but for letters and digits, which quote() never touches.
_ATTR_CHARS: Final = "!#$&+-.^_`|~"


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
