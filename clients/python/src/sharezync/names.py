"""Names from strangers, made safe to save. Pure.

The server cleans names as well; who receives trusts nobody, and cleans again. Sources: Microsoft,
"Naming Files, Paths, and Namespaces"; Unicode TR36 (bidirectional spoofing); NAME_MAX.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

MAX_NAME_BYTES: Final = 255
MAX_DEPTH: Final = 32
MAX_PATH_BYTES: Final = 1024
"""As the server has it. What is much longer can be made, name by name, and no program opens it."""
NAMELESS: Final = "file"
_MAX_GIVEN: Final = 4 * MAX_NAME_BYTES
_END_GIVEN: Final = 128
"""Of a longer name only the beginning and these last characters, with its suffix, are cleaned."""

_RESERVED: Final = re.compile(r'[<>:"|?*]')
_DEVICE: Final = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|clock\$|com[0-9¹²³]|lpt[0-9¹²³])", re.IGNORECASE
)
_JOINERS: Final = "\u200c\u200d"  # words of Persian and families of emoji need them
_NO_JOINERS: Final = dict.fromkeys(map(ord, _JOINERS))
_DRIVE: Final = re.compile(r"^[A-Za-z]:")
# What chooses a variant of an emoji, an ideograph or a Mongolian letter, and is not seen itself.
_VARIANTS: Final = re.compile(
    "(^|[^\ufe00-\ufe0f\u180b-\u180f\U000e0100-\U000e01ef])"
    "([\ufe00-\ufe0f\u180b-\u180f\U000e0100-\U000e01ef]+)(\u20e3?)"
)
# Letters, marks and signs that look like nothing; server and terminals take them for spaces too.
_BLANKS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")


def clean_parts(path: str) -> tuple[str, ...]:
    """Return a path from elsewhere as names that stay inside whatever folder they are put in.

    Never empty; no name is `.`, `..`, invisible, a device, or longer than file systems take.
    A path too deep or too long loses its middle folders.
    """
    segments = [_visible(each) for each in re.split(r"[/\\]", _DRIVE.sub("", path))]
    parts = [clean_name(each) for each in segments if each.strip(" ." + _JOINERS)]
    if len(parts) > MAX_DEPTH:
        parts = [*parts[: MAX_DEPTH - 1], parts[-1]]
    while len(parts) > 1 and len("/".join(parts).encode()) > MAX_PATH_BYTES:
        del parts[-2]
    return tuple(parts) or (NAMELESS,)


def clean_name(given: str) -> str:
    """Return one name as it can be saved anywhere."""
    name = _visible(given).replace("/", "_").replace("\\", "_")
    name = _RESERVED.sub("_", name).lstrip(" " + _JOINERS).rstrip(". " + _JOINERS) or NAMELESS
    if _DEVICE.fullmatch(name.partition(".")[0].rstrip(" " + _JOINERS)):
        name = f"_{name}"
    return shortened(name)


def shortened(name: str, suffix: str = "", limit: int = MAX_NAME_BYTES) -> str:
    """Return a name that has room for `suffix` before its extension, within the limit in bytes."""
    stem, dot, extension = name.rpartition(".")
    if not stem or len((dot + extension).encode()) > 32:
        stem, dot, extension = name, "", ""
    available = limit - len((suffix + dot + extension).encode())
    kept = stem.encode()[:available].decode(errors="ignore")
    if kept != stem:
        kept = kept.rstrip(". " + _JOINERS)  # Windows would drop them, and make another name of it
    return f"{kept}{suffix}{dot}{extension}"


def numbered(name: str) -> Iterator[str]:
    """Yield a name, then others like it: `a.txt`, `a (1).txt`, `a (2).txt` …"""
    yield name
    number = 1
    while True:
        yield shortened(name, f" ({number})")
        number += 1


def key_of(name: str) -> str:
    """Return what is the same for names that some file systems take for one.

    By case (Windows, macOS), by composition (macOS), and by joiners, which HFS+ passes over.
    """
    bare = name.translate(_NO_JOINERS)
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", bare).casefold())


def _visible(given: str) -> str:
    """Return it in NFC, of what can be seen; twice, as neighbours may combine then."""
    if len(given) > _MAX_GIVEN:
        given = given[: _MAX_GIVEN - _END_GIVEN] + given[-_END_GIVEN:]
    shown = "".join(map(_shown, unicodedata.normalize("NFC", given)))
    return unicodedata.normalize("NFC", _VARIANTS.sub(_variant, shown))


def _variant(match: re.Match[str]) -> str:
    """Return a character's variation selector; nothing where there is no variant of it."""
    varied, selectors, keycap = match.groups()
    if varied and (keycap or not (varied.isascii() or varied in _JOINERS)):
        return f"{varied}{selectors[0]}{keycap}"
    return f"{varied}{keycap}"


def _shown(character: str) -> str:
    category = unicodedata.category(character)
    if category[0] == "Z" or character in _BLANKS:
        return " "
    if character in _JOINERS:
        return character
    # Controls, formats (bidirectional ones among them), halves of surrogates, private use.
    if category in {"Cc", "Cf", "Cs", "Co"} or (category == "Cn" and _never_seen(character)):
        return ""
    return character


def _never_seen(character: str) -> bool:
    """Whether it is none (Unicode §23.7), or ignorable whatever it will be assigned to."""
    code = ord(character)
    noncharacter = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
    return noncharacter or code == 0x2065 or 0xFFF0 <= code <= 0xFFF8 or 0xE0000 <= code <= 0xE0FFF
