"""Media types: what is believed of them, and which of them a browser may show."""

import re
from typing import Final

UNKNOWN: Final = "application/octet-stream"

_MEDIA_TYPE: Final = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,62}/[a-z0-9][a-z0-9!#$&^_.+-]{0,62}")

INLINE: Final = frozenset(
    {
        "audio/flac", "audio/mp4", "audio/mpeg", "audio/ogg", "audio/wav", "audio/webm",
        "audio/x-wav",
        "image/avif", "image/bmp", "image/gif", "image/jpeg", "image/png", "image/webp",
        "text/plain",
        "video/mp4", "video/ogg", "video/webm",
    }
)  # fmt: skip
"""Shown in place; none of them can run a script. Not svg, html, xml, pdf: they can."""


def clean_media_type(given: str | None) -> str:
    """Return `type/subtype` in lower case and without parameters; unknown where it is neither.

    What a client says of its file is passed on to others, and never trusted (RFC 6838 §4.2).
    """
    essence = (given or "").partition(";")[0].strip().lower()
    return essence if _MEDIA_TYPE.fullmatch(essence) else UNKNOWN
