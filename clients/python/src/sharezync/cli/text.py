"""Text from others, as a terminal may show it. Pure.

It steers nothing, keeps to its own line and to its own direction, and stays legible: joiners are
kept where they join something. Every line that is printed goes through `line`; what others wrote
goes through `one_line` or `wrapped` before. Sources: UAX #9 §2.4 (isolates), UTR #36 §2 (visual
spoofing), ECMA-48 (control functions), `wcwidth` as rich has it.
"""

import re
import unicodedata
from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from rich.cells import cell_len, set_cell_size

_UNSEEN: Final = "\N{REPLACEMENT CHARACTER}"
_CUT: Final = "…"
_JOINERS: Final = frozenset("\u200c\u200d")
_ISOLATE: Final = "\u2068"
_END_ISOLATE: Final = "\u2069"
_RIGHT_TO_LEFT: Final = frozenset({"R", "AL", "AN"})
# Left-to-right mark and its like: of use inside a text only, and not needed in an isolate.
_DIRECTION_MARKS: Final = frozenset("\u200e\u200f\u061c")
# Signs before Arabic and Syriac numbers: of category Cf, yet seen.
_SEEN_FORMATS: Final = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u08e2")
# Letters, marks and signs that look like nothing.
_BLANKS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_MARKS_IN_A_ROW: Final = 8
"""No writing system stacks more; longer stacks reach into the lines above and below."""
_EMOJI_STYLE: Final = "\ufe0f"
_LEAST_ROOM: Final = 10
"""Cells beside what begins a line; with fewer, that is broken too."""
_TAB: Final = " " * 4


def one_line(text: str, *, cells: int | None = None) -> str:
    """Return a name, a note or the like as a piece of a line, at most so many cells wide.

    What is right to left is isolated, so that nothing beside it changes places. Of text in which
    nothing can be seen, one replacement character is left.
    """
    cleaned = re.sub(r"\s+", " ", _cleaned(re.sub(r"\s", " ", text))).strip()
    if text and not cleaned:
        cleaned = _UNSEEN
    if cells is not None and cell_len(cleaned) > cells:
        cleaned = set_cell_size(cleaned, cells - 1).rstrip() + _CUT
    return _isolated(cleaned)


def verbatim(text: str) -> str:
    """Return a path of this machine as a piece of a line: with all its spaces."""
    return _isolated(_cleaned(text))


def column(text: str, cells: int) -> str:
    """Return it as `one_line` does, with spaces after it up to a width in cells."""
    shown = one_line(text)
    return shown + " " * (cells - cell_len(shown))


def line(text: str) -> str:
    """Return what is about to be printed as one line, whatever went into it.

    Isolates are closed, and nothing is closed that was not opened here.
    """
    shown: list[str] = []
    opened = 0
    for piece in re.split(f"([{_ISOLATE}{_END_ISOLATE}])", " ".join(text.splitlines())):
        if piece == _ISOLATE:
            opened += 1
        elif piece == _END_ISOLATE:
            if not opened:
                continue
            opened -= 1
        shown.append(piece if piece in {_ISOLATE, _END_ISOLATE} else _cleaned(piece))
    return "".join(shown) + _END_ISOLATE * opened


def wrapped(head: str, text: str, *, width: int | None, indent: int) -> Iterator[str]:
    """Yield lines: `head` and the first of `text`, then the others, indented.

    `width` is that of the terminal in cells: what is longer is broken here, as the terminal would
    go on at its edge, where only our own lines begin. None: only line breaks of `text` are.
    """
    others = None if width is None else max(width - indent, 10)
    first = None if width is None else width - widest(head)
    begin = head
    if first is not None and first < _LEAST_ROOM:  # the terminal would break the head itself
        text, begin, first = unisolated(head) + text, "", width
    for given in text.splitlines() or [""]:
        cleaned = _cleaned(given.replace("\t", _TAB)).rstrip()
        for row in _rows(cleaned, first, others):
            yield (begin + _isolated(row)).rstrip(" ")
            begin = " " * indent
        first = others


def widest(text: str) -> int:
    """Return how many cells a text takes where it takes most.

    Terminals differ in what they join: a family of emoji is two cells in one and eight in another,
    a spacing mark of Devanagari none or one. What is too short leaves a gap; what is too long goes
    on at the edge.
    """
    return sum(map(_widest_of, text))


def unisolated(text: str) -> str:
    """Return a line without its isolates, to be broken into several."""
    return text.replace(_ISOLATE, "").replace(_END_ISOLATE, "")


def _rows(text: str, first: int | None, others: int | None) -> Iterator[str]:
    """Yield a line in rows of at most so many cells, broken at spaces where there are any."""
    if first is None or others is None or widest(text) <= first:
        yield text
        return
    row, width = "", first
    for given in re.findall(r"\s*\S+", text):
        word = given
        if row and widest(row + word) > width:
            yield row
            row, width, word = "", others, word.lstrip()
        row += word
        while (cut := _cut_at(row, width)) < len(row):
            yield row[:cut]
            row, width = row[cut:], others
    yield row


def _cut_at(text: str, cells: int) -> int:
    """Return where to break a text, between characters as people see them; its end if it fits."""
    taken = accumulate(map(_widest_of, text))
    fits = next((place for place, each in enumerate(taken) if each > cells), len(text))
    if fits == len(text):
        return fits
    cut = fits
    while cut and (_is_joined(text[cut]) or text[cut - 1] in _JOINERS):
        cut -= 1
    return cut or max(fits, 1)


def _is_joined(character: str) -> bool:
    return character in _JOINERS or unicodedata.category(character) in {"Mn", "Me", "Mc"}


def _widest_of(character: str) -> int:
    if character == _EMOJI_STYLE or "\U0001f1e6" <= character <= "\U0001f1ff":
        return 1 if character == _EMOJI_STYLE else 2  # it makes two cells of one; half a flag
    category = unicodedata.category(character)
    if category in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def _isolated(text: str) -> str:
    if any(unicodedata.bidirectional(each) in _RIGHT_TO_LEFT for each in text):
        return f"{_ISOLATE}{text}{_END_ISOLATE}"
    return text


def _cleaned(text: str) -> str:
    """Return text without what steers a terminal, or what is there and not seen."""
    shown: list[str] = []
    marks = 0
    for place, each in enumerate(text):
        if each in _JOINERS:
            if shown and _joins(shown[-1]) and _joins(text[place + 1 : place + 2]):
                shown.append(each)
            continue
        if each in _DIRECTION_MARKS:
            continue
        category = unicodedata.category(each)
        if category in {"Mn", "Me"} and each not in _BLANKS:
            marks += 1
            if marks > _MARKS_IN_A_ROW:
                continue
            if not shown:
                shown.append("\N{DOTTED CIRCLE}")  # else it would sit on what is before it
            shown.append(each)
            continue
        marks = 0
        shown.append(_seen(each, category))
    return "".join(shown)


def _seen(character: str, category: str) -> str:
    if category == "Zs" or character in _BLANKS:
        return " "
    if character.isprintable() or character in _SEEN_FORMATS:
        return character
    return _UNSEEN


def _joins(character: str) -> bool:
    return bool(character) and character.isprintable() and not character.isspace()
