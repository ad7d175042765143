"""Names of files, cleaned: the one place. A name is what people see: never a key, never a path.

A relative path is names with slashes between, for those who send a folder; it is shown, and made
below a folder that its receiver chooses.

Sources: Microsoft, "Naming Files, Paths, and Namespaces"; RFC 7578 §4.2 (no path in a filename);
Unicode TR36 §2.5 (bidirectional spoofing); NAME_MAX of Linux and macOS (255 bytes).
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

from sharezync_shared.names.characters import (
    looks_empty,
    one_line,
    without_controls,
    without_leading_marks,
)

MAX_NAME_BYTES: Final = 255
"""In UTF-8: the longest that every common file system takes."""
MAX_PATH_BYTES: Final = 1024
"""In UTF-8: PATH_MAX of macOS, and a quarter of that of Linux: there is a folder around it."""
MAX_PATH_SEGMENTS: Final = 32
NAMELESS: Final = "file"

_MAX_SUFFIX_BYTES: Final = 32
_MAX_GIVEN: Final = 4 * MAX_NAME_BYTES
"""Characters of a name that are looked at: its beginning, and as much of its end as has a suffix.

Cleaning takes time by their number. None is missed unless two in three are taken out."""
_END_GIVEN: Final = 4 * _MAX_SUFFIX_BYTES
_SEPARATOR: Final = re.compile(r"[/\\]")
_RESERVED: Final = re.compile(r'[<>:"|?*]')
_SPACES: Final = re.compile(" {2,}")
_DRIVE: Final = re.compile(r"[A-Za-z]:")
_DEVICE: Final = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|clock\$|com[0-9¹²³]|lpt[0-9¹²³])", re.IGNORECASE
)
_JOINERS: Final = "\u200c\u200d"


def clean_name(given: str) -> str:
    """Return `given` as a name that is safe to show, to send in a header and to save anywhere.

    Of a path the last part stays. The result is in NFC, has 1 to 255 bytes, no separator, control,
    bidirectional or invisible character, nothing that Windows reserves, no dot or space at its end
    and is no device of Windows. What is left of nothing is `file`. Cleaning twice changes nothing.
    """
    parts = _SEPARATOR.split(given)[-MAX_PATH_SEGMENTS:]
    return _named([NAMELESS, *filter(None, _segments(parts))][-1])


def clean_path(given: str) -> str:
    """Return `given` as a relative path that is safe to show, and to make below any folder.

    Its names are each as `clean_name` returns them, with `/` between: at most 32, and 1,024 bytes
    in all. What leads elsewhere is left out: a drive, a root, `.` and `..`, names of nothing. What
    is left of nothing is `file`. Cleaning twice changes nothing.

    Raises ValueError for a path that is too deep or too long: cut off, it would be another's.
    """
    segments = _segments(_SEPARATOR.split(given))
    while segments and (not _trimmed(segments[0].strip("?")) or _DRIVE.fullmatch(segments[0])):
        segments.pop(0)
    names = [each for each in segments if _trimmed(each.lstrip(" " + _JOINERS))]
    if len(names) <= MAX_PATH_SEGMENTS:
        path = "/".join(map(_named, names)) or NAMELESS
        if len(path.encode()) <= MAX_PATH_BYTES:
            return path
    raise ValueError(f"A path has at most {MAX_PATH_SEGMENTS} names and {MAX_PATH_BYTES} bytes")


def path_key(path: str) -> str:
    """Return what clean paths have in common that differ in case only (Unicode, D145).

    Many file systems take them for one.
    """
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())


def clash(keys: Sequence[str]) -> tuple[int, int] | None:
    """Return the places of two paths that can't both be made in one folder; None: all can.

    They have the same `path_key`, or one is a folder of the other.
    """
    files: dict[str, int] = {}
    for place, key in enumerate(keys):
        if key in files:
            return files[key], place
        files[key] = place
    for place, key in enumerate(keys):
        end = key.find("/")
        while end >= 0:
            if key[:end] in files:
                return files[key[:end]], place
            end = key.find("/", end + 1)
    return None


def _segments(parts: Iterable[str]) -> list[str]:
    """Return parts between separators in NFC, of visible characters alone; at least one."""
    return one_line(without_controls("/".join(map(_bounded, parts)))).split("/")


def _bounded(segment: str) -> str:
    if len(segment) <= _MAX_GIVEN:
        return segment
    return segment[: _MAX_GIVEN - _END_GIVEN] + segment[-_END_GIVEN:]


def _named(segment: str) -> str:
    """Return a part between separators, none of whose characters is invisible, as a name."""
    name = segment if segment.isascii() else without_leading_marks(segment)
    name = _SPACES.sub(" ", _RESERVED.sub("_", name)).lstrip(" " + _JOINERS)
    name = _trimmed(name)
    if looks_empty(name):
        return NAMELESS
    if _DEVICE.fullmatch(name.partition(".")[0].rstrip(" ")):
        name = f"_{name}"
    return _shortened(name)


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
