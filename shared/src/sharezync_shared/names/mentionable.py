"""What a username may be made of, as far as `@name` in a text has to know. Pure.

It is wider than what registering takes today: accounts that are older are called all the same.
"""

from collections.abc import Iterator
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

_BEGIN: Final = r"\p{L}\p{N}_"
# Marks are part of letters in most scripts of India and South-East Asia.
_WORD: Final = _BEGIN + r"\p{M}"
_PART: Final = rf"{_WORD}.\-{_JOINERS}"
# One more than the longest: what is longer is no name.
_CALL: Final = rf"(?<![{_WORD}@.])@([{_BEGIN}][{_PART}]{{0,{MAX_CHARACTERS}}})"


def is_name(text: str) -> bool:
    """Return whether `text` has the shape of a username: its length, characters and ends."""
    return (
        compiled(_LONG_ENOUGH).fullmatch(text) is not None
        and compiled(rf"[{_BEGIN}](?:[{_PART}]*[{_WORD}])?").fullmatch(text) is not None
    )


def names_called(text: str) -> Iterator[str]:
    """Yield what stands behind each `@` in `text` and has the shape of a username.

    What stands before the sign mustn't belong to a word: an e-mail address calls nobody. Dots and
    dashes at the end belong to the sentence.
    """
    for found in compiled(_CALL).finditer(text):
        name: str = found[1]
        if len(name) > MAX_CHARACTERS:
            # Longer than any name: it ends at the last dash or dot, if it is somebody's.
            name = name[: max(map(name.rfind, _SEPARATORS)) + 1]
        name = name.rstrip(_SEPARATORS + _JOINERS)
        if is_name(name):
            yield name
