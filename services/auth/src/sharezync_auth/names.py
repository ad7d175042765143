"""Which usernames are accepted; they are compared by `sharezync_shared.text.key_of`."""

import re
import unicodedata
from typing import Final

from sharezync_shared.text import key_of

RESERVED: Final = frozenset(
    {"channel", "here", "everyone", "all", "me", "deleted", "system", "sharezync"}
)
"""Keys that are nobody's: `@channel` speaks to all, `me` is an address, `deleted` is what is shown
of who is gone, and nobody shall pass for us."""

_USERNAME: Final = re.compile(r"\w[\w.-]{1,30}\w")


def clean_username(text: str) -> str:
    """Return a username as it is stored.

    Raises ValueError unless it has 3 to 32 letters, digits, `_`, `-` or `.`, the ends being
    letters, digits or `_`; and for one that is reserved, in whatever spelling.
    """
    name = unicodedata.normalize("NFKC", text).strip()
    if not _USERNAME.fullmatch(name):
        raise ValueError("3 to 32 letters, digits, '_', '-' or '.', not beginning or ending in - .")
    if key_of(name) in RESERVED:
        raise ValueError("this name is reserved; choose another")
    return name
