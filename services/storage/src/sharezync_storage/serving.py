"""How the bytes of a file are served, so that no file can do harm where it is shown.

Sources: RFC 6266 (Content-Disposition), RFC 8187 (its `filename*`), Fetch §nosniff, CSP3 §sandbox.
"""

from typing import Final
from urllib.parse import quote

from sharezync_storage.media_types import INLINE

CONTENT_SECURITY_POLICY: Final = "default-src 'none'; sandbox"

# attr-char of RFC 8187, but for letters and digits, which quote() never touches.
_ATTR_CHARS: Final = "!#$&+-.^_`|~"


def content_type(mime: str) -> str:
    """Return the Content-Type for a file of this media type."""
    # Without a charset browsers guess; with one they can't be talked into UTF-7.
    return "text/plain; charset=utf-8" if mime == "text/plain" else mime


def content_disposition(name: str, mime: str) -> str:
    """Return the Content-Disposition for a file: shown in place only where that is harmless.

    The name goes in twice: in ASCII for old clients, and as it is.
    """
    how = "inline" if mime in INLINE else "attachment"
    plain = "".join(c if " " <= c <= "~" and c not in '"\\%' else "_" for c in name)
    value = f'{how}; filename="{plain}"'
    if plain != name:
        value += f"; filename*=UTF-8''{quote(name, safe=_ATTR_CHARS)}"
    return value
