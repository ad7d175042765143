"""Names that look like other names: UTS #39, by ICU, its reference implementation."""

import unicodedata
from functools import cache
from typing import Final

import icu

from sharezync_shared.names.characters import compiled

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
