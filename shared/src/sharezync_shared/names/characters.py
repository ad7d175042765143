"""Characters that nobody sees, that reorder others, or that pile up: found and taken out. Pure.

Sources: Unicode 17 (properties, by the library `regex`); UAX #9 (bidirectional controls);
UAX #31 §2.3 and RFC 5892 A.1 (where joiners belong); UTS #51 (emoji sequences); UTR #36 §2.5;
UAX #15 §13 (how many marks normalising has to sort).
"""

import unicodedata
from functools import cache
from typing import Final

import regex

# Letters and signs that look like nothing: fillers of Hangul and Khitan, the empty pattern of
# Braille, a note without a head, blanks between hieroglyphs.
_BLANKS: Final = r"\u115f\u1160\u3164\uffa0\u2800\U00016fe4\U0001d159\U00013441\U00013442"

# Seen only beside others: joiners of hieroglyphs and Tifinagh, what stands for an object, and the
# sign above an abbreviation in Syriac.
_UNSEEN_ALONE: Final = r"\U00013430-\U0001343f\u2d7f\ufffc\u070f"

_SPACES: Final = rf"[\s\p{{Z}}{_BLANKS}]+"
_BREAKS: Final = r"\r\n?|[\v\f\x85\u2028\u2029]"
_BIDI_OVERRIDES: Final = r"\u202d\u202e"

# Scripts whose letters change shape with their neighbours: there a joiner is spelling.
_JOINING: Final = "".join(
    rf"\p{{scx={script}}}"
    for script in (
        *("Arab", "Syrc", "Mand", "Nkoo", "Mong", "Adlm", "Rohg", "Sogd", "Mani", "Phag"),
        *("Deva", "Beng", "Guru", "Gujr", "Orya", "Taml", "Telu", "Knda", "Mlym", "Sinh"),
        *("Khmr", "Mymr", "Tibt", "Java", "Bali", "Sund", "Cham", "Lana", "Newa", "Tirh"),
        *("Mtei", "Saur", "Limb", "Lepc", "Cakm", "Gran", "Sidd", "Modi", "Brah", "Kthi"),
    )
)

_PICTURE: Final = r"\p{Extended_Pictographic}"
_SEEN: Final = r"[\p{L}\p{M}\p{N}\p{P}\p{S}]--[\p{Default_Ignorable_Code_Point}\ufff0-\ufffc]"
_SEEN_ALONE: Final = (
    r"[^\s\p{Z}\p{Cc}\p{Default_Ignorable_Code_Point}\ufff0-\ufffb"
    rf"{_BLANKS}{_UNSEEN_ALONE}]"
)
_OF_MONGOLIAN: Final = r"\u180b-\u180f"
_MONGOLIAN: Final = rf"[\p{{Mongolian}}--[{_OF_MONGOLIAN}]][{_OF_MONGOLIAN}]"

_TAGS: Final = r"\U000e0030-\U000e0039\U000e0061-\U000e007a"
_HIDDEN: Final = (
    r"[\p{Cc}\p{Cs}\p{Co}\p{Noncharacter_Code_Point}\p{Default_Ignorable_Code_Point}"
    r"\ufff0-\ufffc]"
)
# What is invisible by itself, and stays where it is part of what is seen: with what it then ends,
# none of which is taken out.
_KEPT: Final = (
    rf"(?:[[\p{{L}}\p{{M}}]&&[{_JOINING}]--[{_OF_MONGOLIAN}]]|{_MONGOLIAN})[\u200c\u200d]",
    rf"[{_PICTURE}\p{{Emoji_Modifier}}]\ufe0f?\u200d(?={_PICTURE})",
    # The form of the character before it: ❤️, ideographs, Mongolian.
    rf"[{_SEEN}][\ufe00-\ufe0f\U000e0100-\U000e01ef]",
    _MONGOLIAN,
    rf"\U0001f3f4(?=[{_TAGS}]{{1,6}}\U000e007f)[{_TAGS}]{{0,6}}[{_TAGS}\U000e007f]",  # 🏴󠁧󠁢󠁳󠁣󠁴󠁿
)
_VARYING: Final = (
    rf"[\u200c\u200d\ufe00-\ufe0f{_OF_MONGOLIAN}\U000e0030-\U000e007f\U000e0100-\U000e01ef]"
)
# It begins with a set, and looks behind only from there: to try each of `_KEPT` at every character
# takes ten times as long.
_REMOVED: Final = rf"[{_HIDDEN}--{_VARYING}]+|{_VARYING}" + "".join(
    f"(?<!{each})" for each in _KEPT
)
_MARK: Final = r"[\p{Mn}\p{Me}]"
_MOST_MARKS: Final = 8
_MOST_SORTED: Final = 30
_BEYOND_SORTED: Final = rf"[^\p{{ccc=0}}]{{{_MOST_SORTED}}}\K[^\p{{ccc=0}}]+"


@cache
def compiled(pattern: str) -> "regex.Pattern[str]":
    """Return a pattern of version 1 (sets with operators), compiled when it is first needed."""
    return regex.compile(pattern, regex.V1)


def one_line(text: str, *, marks: int = 2) -> str:
    """Return `text` as one line of what can be seen, in NFC; empty where there is nothing to see.

    White space of every kind, line breaks among it, is one space, and none at the ends. Taken out
    are controls, bidirectional and other formats, private use, and whatever is invisible but in
    its place: joiners within a word of a script that has them and within an emoji, variation
    selectors behind what they vary. Doing it twice changes nothing.
    """
    if text.isascii() and text.isprintable() and "  " not in text:
        return text.strip(" ")
    spaces = compiled(_SPACES)
    text = spaces.sub(" ", composed(text)).strip(" ")
    shown = compiled(_REMOVED).sub("", text)
    if shown != text:  # taking characters away lets their neighbours combine
        text = composed(spaces.sub(" ", shown).strip(" "))
    text = without_leading_marks(text)
    return "" if looks_empty(text) else unstacked(text, alike=marks)


def composed(text: str) -> str:
    """Return `text` in NFC, with at most 30 marks to sort in a row: those beyond are left out.

    That is the Stream-Safe Text Format (UAX #15 §13). Sorting takes time by the square of their
    number: of 64,000 in a row half a minute, in which nobody else is served.
    """
    return unicodedata.normalize("NFC", compiled(_BEYOND_SORTED).sub("", text))


def many_lines(text: str) -> str:
    """Return `text` as it was written, less what no text needs; empty where nothing is to be seen.

    Every line break is a newline. Taken out are controls but the tab, and the two characters that
    override the order of all others. Marks on one letter are bounded.
    """
    if text.isascii() and text.isprintable():
        return "" if text.isspace() else text
    text = compiled(_BREAKS).sub("\n", text)
    text = compiled(rf"[\p{{Cc}}{_BIDI_OVERRIDES}--[\t\n]]").sub("", text)
    if looks_empty(text):
        return ""
    return unstacked(text, alike=4)


def looks_empty(text: str) -> bool:
    """Return whether there is nothing to see in `text`."""
    return compiled(_SEEN_ALONE).search(text) is None


def without_controls(text: str) -> str:
    """Return `text` without the characters of Unicode's category Cc: tabs and line breaks too."""
    return str(compiled(r"\p{Cc}+").sub("", text))


def without_leading_marks(text: str) -> str:
    """Return `text` from its first letter on: a mark would sit on whatever is shown before it."""
    return str(compiled(r"^[\p{M}\u200c\u200d ]+").sub("", text))


def unstacked(text: str, *, alike: int) -> str:
    """Return `text` with at most `alike` marks of one place on each letter, and 8 of all places.

    The marks that follow one another at one place, above, below or through, pile up over other
    people's lines. Marks that stand beside the letter (vowels of Indic scripts) don't.
    """
    if text.isascii():
        return text

    runs = compiled(f"{_MARK}{{{alike + 1},}}")
    return str(runs.sub(lambda run: _bounded(run[0], alike), text))


def _bounded(run: str, alike: int) -> str:
    kept = ""
    room: dict[int | str, int] = {}
    for mark in run:
        place = unicodedata.combining(mark) or mark
        left = room.get(place, alike)
        if left:
            room[place] = left - 1
            kept += mark
            if len(kept) == _MOST_MARKS:
                break
    return kept
