"""What a username may be made of, as far as `@name` in a text has to know. Pure.

It is wider than what registering takes today: accounts that are older are called all the same.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from sharezync_shared.names.characters import compiled

MAX_CHARACTERS: Final = 32
# As short as people's names are: one character that is a word (金, 솔), two letters that are
# syllables, or consonants whose vowels aren't written (がお, जय, דן), three of other alphabets.
# Letters of the first two kinds have no capitals.
_WITHOUT_CAPITALS: Final = (
    r"[[\p{Lo}\p{Lm}\p{M}\u3007]--[\p{scx=Latn}\p{scx=Grek}\p{scx=Cyrl}\p{scx=Zyyy}]]"
)
_LONG_ENOUGH: Final = (
    rf"[\p{{Lo}}&&[\p{{Han}}\p{{Hangul}}]]|{_WITHOUT_CAPITALS}{{2}}|.{{3,{MAX_CHARACTERS}}}"
)

_SEPARATORS: Final = "-."
_JOINERS: Final = "\u200c\u200d"
BETWEEN: Final = "_" + _SEPARATORS + _JOINERS
"""What a name may have between letters and digits; `_` at its ends too."""

SIGNS: Final = "@\uff20"
"""What a call begins with; keyboards of East Asia have a full-width one."""

_BEGIN: Final = r"\p{L}\p{N}_"
# Marks are part of letters in most scripts of India and South-East Asia.
_WORD: Final = _BEGIN + r"\p{M}"
_PART: Final = rf"{_WORD}.\-{_JOINERS}"
# An address of e-mail ends so: letters that have capitals, digits, and what joins them. Words of
# other scripts stand beside the sign as well (请@bob, ל@bob).
_OF_ADDRESS: Final = r"[\p{Lu}\p{Ll}\p{Lt}]\p{M}{0,8}_{0,8}|\p{Nd}_{0,8}"
# One more than the longest: what is longer is no name.
_CALL: Final = rf"(?<!{_OF_ADDRESS}|[{SIGNS}])[{SIGNS}]([{_BEGIN}][{_PART}]{{0,{MAX_CHARACTERS}}})"

# Written without spaces, or with particles that follow at once: a name may end at each letter.
_UNSPACED: Final = "[{}--[\\p{{M}}\\p{{Nd}}]]".format(
    "".join(
        rf"\p{{scx={script}}}"
        for script in (
            *("Hani", "Hira", "Kana", "Bopo", "Hang", "Yiii"),
            *("Thai", "Laoo", "Khmr", "Mymr", "Tibt", "Lana", "Talu", "Java", "Bali"),
        )
    )
)
_LATIN: Final = r"\p{Latin}"
_NOT_LATIN: Final = rf"[[\p{{L}}\p{{M}}]--[{_LATIN}\p{{scx=Zyyy}}\p{{scx=Zinh}}]]"
_ENDS: Final = (
    rf"(?<={_UNSPACED}\p{{M}}{{0,8}})(?![\p{{M}}{_JOINERS}])|(?={_UNSPACED})"
    rf"|(?<={_LATIN})(?={_NOT_LATIN})|(?<={_NOT_LATIN})(?={_LATIN})"
    rf"|(?=[.\-])"
)
"""Between two characters where a name may end although what could be one goes on."""


MAX_CALLS: Final = 200


def is_name(text: str) -> bool:
    """Return whether `text` has the shape of a username: its length, characters and ends."""
    return (
        compiled(_LONG_ENOUGH).fullmatch(text) is not None
        and compiled(rf"[{_BEGIN}](?:[{_PART}]*[{_WORD}])?").fullmatch(text) is not None
    )


def names_called(text: str) -> Iterator[tuple[str, ...]]:
    """Yield for each `@` (full-width, too) in `text` the names that may be meant, longest first.

    Which it is, is for who knows the names: 看一下 of `@bob看一下` may belong to one, and a dash, a
    dot or `_` behind it to the sentence. What stands before the sign mustn't be the beginning of
    an e-mail address: that calls nobody. Yields nothing where nothing has the shape of a username,
    the same once, and no more than the first `MAX_CALLS` of a text are looked at.
    """
    runs = dict.fromkeys(found[1] for found in compiled(_CALL).finditer(text))
    for run in islice(runs, MAX_CALLS):
        ends = [each.start() for each in compiled(_ENDS).finditer(run)]
        if len(run) <= MAX_CHARACTERS:
            ends.append(len(run))
        names = {run[:end].rstrip(_SEPARATORS + _JOINERS) for end in ends}
        names |= {name.rstrip("_") for name in names}
        if called := tuple(sorted(filter(is_name, names), key=len, reverse=True)):
            yield called
