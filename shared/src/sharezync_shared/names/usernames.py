"""Which usernames are accepted, and which look the same (UTS #39, by ICU).

They are compared by `sharezync_shared.text.key_of`.

Sources: RFC 8265 §3.4 (UsernameCasePreserved: full-width forms mapped, NFC, the rule for names
that run from right to left, joiners only where RFC 5892 A.1 has them); UTS #39 §5.
"""

import re
import unicodedata
from functools import cache
from typing import Final

import icu
from precis_i18n import get_profile
from precis_i18n.profile import Profile

from sharezync_shared.names import mentionable
from sharezync_shared.names.characters import compiled, unstacked

_RULES: Final = 3
"""Of `skeleton_of`, beside its data: one more whenever it returns something else."""
_SMALL_CAPITAL: Final = "LATIN LETTER SMALL CAPITAL "
_BELOW: Final = dict.fromkeys((0x0320, 0x0325, 0x0331, 0x0332, 0x0333, 0x0347))
"""Lines and rings below: where names are underlined, or in small type, nobody sees them.

Not the dot below (U+0323), which makes other letters in Vietnamese, Yoruba and Igbo."""
_SIDE_BY_SIDE: Final = """
ोाे ौाै ॉाॅ ॊाॆ ऑअाॅ ऒअाॆ ऊउु ৡঌৢ ોાે ૌાૈ ૉાૅ ઑઅાૅ ଐଏୗ ଔଓୗ ஆஅா ಓಒೕ ಔಒೌ ആഅാ
ආඅා ඇඅැ ඈඅෑ ඌඋෟ ඎඍෘ ඐඏෟ ඒඑ් ඓඑෙ ඖඔෟ ោេា ើេី ແເເ
"""
"""Vowels, each before those that look like it side by side. The Unicode Standard (chapters 12, 13
and 16) has one spelling of each, and no normalisation makes it of the other."""
_BESIDE_THE_DATA: Final = {
    0x0184: "b",
    0x0185: "b",
    0xA781: "l",
    0x0BB6: "\u0bb8",
    0x1009: "\u1025",  # SHA and SA of Tamil before RII; NYA and U of Myanmar
    **{ord(each[0]): each[1:] for each in _SIDE_BY_SIDE.split()},
}

MAX_MARKS: Final = 8
"""In a row, also beside the letter: a syllable of Burmese or Tibetan has up to seven."""

_HIDDEN_DOT: Final = r"[\p{Soft_Dotted}\u0131\u0237l][^\p{ccc=0}\p{ccc=230}]*\u0307"
"""In NFD: U+0307 where nothing tells it from the letter's own dot (UTS #39, hidden overlay)."""

_TWICE: Final = r"(\p{Mn})\1"
"""In NFD: at one place, where fonts may put one on the other (UTS #39 §5.4)."""

_SEVERAL: Final = "\u0196\u0269"
"""Iota of Latin looks like an `i`, an `l` and an `I`: no one skeleton would tell."""

_MAX_GIVEN: Final = 4 * mentionable.MAX_CHARACTERS
"""Before they are composed: a letter with its marks is decomposed into four at most."""

_TOGETHER: Final = "\u0587\u0e33\u0eb3\u0edc\u0edd"
"""Letters of everyday Armenian, Thai and Lao that PRECIS leaves out (RFC 8264 §9.17), as NFKC takes
each for two others. There they are judged as these two, and kept as they were written."""

_RULE: Final = (
    f"3 to {mentionable.MAX_CHARACTERS} letters, digits, '_', '-' or '.' (of letters without "
    "capitals 2 will do, of Chinese characters or Hangul 1), not beginning or ending in - ."
)


def data_version() -> int:
    """Return of which Unicode's data and by which rules skeletons are made: 17001 for 17.0, by 1.

    Whoever stores skeletons stores this beside them, and makes them anew when it grows.
    """
    major, minor = map(int, icu.UNICODE_VERSION.split(".")[:2])
    return (major * 100 + minor) * 10 + _RULES


def skeleton_of(name: str) -> str:
    """Return what this name has in common with all that look the same, whatever their case.

    The skeleton of UTS #39 §4, of the name as it is shown; then without case, and once more: `I`
    is taken for `l`, as it is in many fonts, and an `a` of Cyrillic for that of Latin. Small
    capitals (`ɢ`), and those of Cherokee, are letters like others: the data tells them apart from
    both cases. Lines and rings below letters don't count, nor in which order the marks of a letter
    stand. It is for comparing, and shown to nobody.
    """
    checker = _checker()
    apart = unicodedata.normalize("NFD", name).translate(_BELOW | _BESIDE_THE_DATA)
    apart = compiled(r"\p{M}{2,}").sub(lambda marks: "".join(sorted(marks[0])), apart)
    seen = checker.getSkeleton(0, "".join(map(_full_sized, apart))).casefold()
    return str(checker.getSkeleton(0, seen).casefold())


def mixes_scripts(name: str) -> bool:
    """Return whether a name mixes alphabets, or digits, as no language does.

    UTS #39 §5.2, highly restrictive: letters of one script, or Latin beside those of Chinese,
    Japanese or Korean. §5.3: digits of one system.
    """
    return bool(_checker().check(name))


def _full_sized(letter: str) -> str:
    name = "" if letter.isascii() else unicodedata.name(letter, "")
    if name.startswith("CHEROKEE "):
        return letter.casefold()  # to capitals: they are the older ones
    plain = name.removeprefix(_SMALL_CAPITAL)
    return plain if len(plain) == 1 and plain != name else letter


@cache
def _checker() -> "icu.SpoofChecker":
    checker = icu.SpoofChecker()
    checker.setRestrictionLevel(icu.URestrictionLevel.HIGHLY_RESTRICTIVE)
    checks = icu.USpoofChecks
    checker.setChecks(checks.RESTRICTION_LEVEL | checks.MIXED_NUMBERS)
    return checker


def clean_username(text: str) -> str:
    """Return a username as it is stored and shown.

    Raises ValueError, saying what to do, unless it has 3 to 32 letters of any language with their
    marks, digits, `_`, `-` or `.`, the ends being no `-` or `.`; for letters of several alphabets
    together, and for marks that pile up. Of letters without capitals two will do, of Chinese
    characters or syllables of Hangul one.
    """
    text = text.strip()
    if len(text) > _MAX_GIVEN:
        raise ValueError(_RULE)
    try:
        name = _enforced(text)
    except UnicodeEncodeError as error:
        raise ValueError(_reason(error)) from error
    if not mentionable.is_name(name):
        raise ValueError(_RULE)
    for character in name:
        if not _is_accepted(character) or character in _SEVERAL:
            raise ValueError(_no_part(character))
    apart = unicodedata.normalize("NFD", name)
    if unstacked(apart, alike=2) != apart or _runs_of_marks(apart):
        raise ValueError("too many marks on a letter")
    if compiled(_TWICE).search(apart):
        raise ValueError("too many marks: the same one twice on a letter")
    if compiled(_HIDDEN_DOT).search(apart):
        raise ValueError("too many marks: a dot above a letter that has one can't be seen")
    if mixes_scripts(name):
        raise ValueError("letters and digits must be of one alphabet")
    return name


def _enforced(text: str) -> str:
    """Return `text` as PRECIS has it. Raises UnicodeEncodeError."""
    apart = {each: unicodedata.normalize("NFKC", each) for each in _TOGETHER if each in text}
    for letter, two in apart.items():
        text = text.replace(letter, two)
    name: str = _profile().enforce(text)
    for letter, two in apart.items():
        name = name.replace(two, letter)
    return name


def _reason(error: UnicodeEncodeError) -> str:
    if error.reason.endswith("bidi_rule"):
        return (
            "a name written from right to left begins with one of its letters, ends in a letter "
            "or digit, and has no letters from left to right"
        )
    return _no_part(error.object[error.start]) if error.end == error.start + 1 else _RULE


def _no_part(character: str) -> str:
    name = unicodedata.name(character, "")
    return f"{_RULE}; U+{ord(character):04X} {name}".rstrip() + " is none of these"


def _is_accepted(character: str) -> bool:
    """Whether a character of a mentionable name is accepted today; joiners PRECIS has judged.

    The ideograph for zero is a number in Unicode, and a letter in names (RFC 8264 §9.6).
    """
    category = unicodedata.category(character)
    return category[0] in "LM" or category == "Nd" or character in mentionable.BETWEEN + "\u3007"


def _runs_of_marks(apart: str) -> bool:
    marks = "".join("m" if unicodedata.category(each)[0] == "M" else "-" for each in apart)
    return re.search(rf"m{{{MAX_MARKS + 1}}}", marks) is not None


@cache
def _profile() -> Profile:
    return get_profile("UsernameCasePreserved")
