"""What a username may be made of, as far as `@name` in a text has to know. Pure.

It is wider than what registering takes today: accounts that are older are called all the same.
"""

import unicodedata
from collections.abc import Iterator
from typing import Final

MIN_CHARACTERS: Final = 3
MAX_CHARACTERS: Final = 32

_SEPARATORS: Final = "-."
_JOINERS: Final = "\u200c\u200d"
BETWEEN: Final = "_" + _SEPARATORS + _JOINERS
"""What a name may have between letters and digits; `_` at its ends too."""


def is_part(character: str) -> bool:
    """Return whether a username may have this character somewhere."""
    return _is_word(character) or character in BETWEEN


def is_name(text: str) -> bool:
    """Return whether `text` has the shape of a username: its length, characters and ends."""
    return (
        MIN_CHARACTERS <= len(text) <= MAX_CHARACTERS
        and all(map(is_part, text))
        and _begins(text[0])
        and text[-1] not in _SEPARATORS + _JOINERS
    )


def names_after(sign: str, text: str) -> Iterator[str]:
    """Yield what stands behind each `sign` (`@`) in `text` and has the shape of a username.

    What stands before the sign mustn't belong to a word: an e-mail address calls nobody. Dots and
    dashes at the end belong to the sentence. One pass: at most 33 characters behind each sign.
    """
    at = text.find(sign)
    while at >= 0:
        before = text[at - 1] if at else " "
        if not (is_part(before) and before not in "-" + _JOINERS) and before != sign:
            name = _name_at(text, at + 1)
            if name is not None:
                yield name
        at = text.find(sign, at + 1)


def _name_at(text: str, start: int) -> str | None:
    end = start
    while end < len(text) and end - start <= MAX_CHARACTERS and is_part(text[end]):
        end += 1
    name = text[start:end]
    if len(name) > MAX_CHARACTERS:
        # Longer than any name: it ends at the last dash or dot, if it is somebody's.
        name = name[: max(map(name.rfind, _SEPARATORS)) + 1]
    name = name.rstrip(_SEPARATORS + _JOINERS)
    return name if is_name(name) else None


def _is_word(character: str) -> bool:
    # Marks are part of letters in most scripts of India and South-East Asia.
    return character.isalnum() or unicodedata.category(character)[0] == "M"


def _begins(character: str) -> bool:
    return character.isalnum() or character == "_"
