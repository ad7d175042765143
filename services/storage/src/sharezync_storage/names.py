"""Names of files, cleaned. A name is what people see: never a key, never a path.

Sources: Microsoft, "Naming Files, Paths, and Namespaces"; RFC 7578 §4.2 (no path in a filename);
Unicode TR36 §2.5 (bidirectional spoofing); NAME_MAX of Linux and macOS (255 bytes).
"""

import re
import unicodedata
from typing import Final

MAX_NAME_BYTES: Final = 255
"""In UTF-8: the longest that every common file system takes."""
NAMELESS: Final = "file"

_MAX_SUFFIX_BYTES: Final = 32
_RESERVED: Final = re.compile(r'[<>:"|?*]')
_DEVICE: Final = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|clock\$|com[0-9¹²³]|lpt[0-9¹²³])", re.IGNORECASE
)
# Without these two, emoji families fall apart and words of Persian or Hindi change their letters.
_JOINERS: Final = "\u200c\u200d"
# Letters and signs that look like nothing: fillers of Hangul, the empty pattern of Braille.
_BLANKS: Final = frozenset("\u115f\u1160\u3164\uffa0\u2800")


def clean_name(given: str) -> str:
    """Return `given` as a name that is safe to show, to send in a header and to save anywhere.

    Of a path the last part stays. The result is in NFC, has 1 to 255 bytes, no separator, control,
    bidirectional or invisible character, nothing that Windows reserves, no dot or space at its end
    and is no device of Windows. What is left of nothing is `file`. Cleaning twice changes nothing.
    """
    # Twice normalised: taking characters away lets their neighbours combine.
    name = unicodedata.normalize("NFC", _visible(unicodedata.normalize("NFC", given)))
    name = re.split(r"[/\\]", name.rstrip("/\\"))[-1]
    name = _RESERVED.sub("_", name)
    name = re.sub(r" {2,}", " ", name).lstrip(" " + _JOINERS)
    name = _trimmed(name) or NAMELESS
    if _DEVICE.fullmatch(name.partition(".")[0].rstrip(" ")):
        name = f"_{name}"
    return _shortened(name)


def _visible(text: str) -> str:
    return "".join(filter(None, map(_shown, text)))


def _shown(character: str) -> str:
    """Return what becomes of one character: itself, a space, or nothing."""
    category = unicodedata.category(character)
    if category[0] == "Z" or character in _BLANKS:  # line and paragraph separators are Z too
        return " "
    if character in _JOINERS:
        return character
    if category == "Cn":
        # This Python's Unicode is older than next year's emoji; only what will never be assigned
        # a look goes: noncharacters, and the invisible rest of the specials and of plane 14.
        code = ord(character)
        never = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF or 0xFFF0 <= code <= 0xFFFF
        return "" if never or code >> 16 == 0xE else character
    # Controls, formats (bidirectional ones among them), halves of surrogates, private use.
    return "" if category[0] == "C" else character


def _trimmed(name: str) -> str:
    return name.rstrip(". " + _JOINERS)


def _shortened(name: str) -> str:
    """Cut to the limit between characters, and keep a short suffix: it says what the file is."""
    if len(name.encode()) <= MAX_NAME_BYTES:
        return name
    stem, dot, suffix = name.rpartition(".")
    if not stem or len((dot + suffix).encode()) > _MAX_SUFFIX_BYTES:
        stem, dot, suffix = name, "", ""
    room = MAX_NAME_BYTES - len((dot + suffix).encode())
    stem = stem.encode()[:room].decode(errors="ignore")
    return _trimmed(stem) + dot + suffix
