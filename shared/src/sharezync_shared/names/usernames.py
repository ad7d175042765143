"""Which usernames are accepted. They are compared by `sharezync_shared.text.key_of`.

Sources: RFC 8265 §3.4 (UsernameCasePreserved: full-width forms mapped, NFC, the rule for names
that run from right to left, joiners only where RFC 5892 A.1 has them); UTS #39 §5.
"""

import re
import unicodedata
from functools import cache
from typing import Final

from precis_i18n import get_profile
from precis_i18n.profile import Profile

from sharezync_shared.names import lookalikes, mentionable
from sharezync_shared.names.characters import unstacked

MAX_MARKS: Final = 8
"""In a row, also beside the letter: a syllable of Burmese or Tibetan has up to seven."""

_RULE: Final = (
    f"{mentionable.MIN_CHARACTERS} to {mentionable.MAX_CHARACTERS} letters, digits, "
    "'_', '-' or '.', "
    "not beginning or ending in - ."
)


def clean_username(text: str) -> str:
    """Return a username as it is stored and shown.

    Raises ValueError, saying what to do, unless it has 3 to 32 letters of any language with their
    marks, digits, `_`, `-` or `.`, the ends being no `-` or `.`; for letters of several alphabets
    together, and for marks that pile up.
    """
    try:
        name: str = _profile().enforce(text.strip())
    except UnicodeEncodeError as error:
        raise ValueError(_RULE) from error
    if not mentionable.is_name(name) or not all(map(_is_accepted, name)):
        raise ValueError(_RULE)
    apart = unicodedata.normalize("NFD", name)
    if unstacked(apart, alike=2) != apart or _runs_of_marks(apart):
        raise ValueError("too many marks on one letter")
    if lookalikes.mixes_scripts(name):
        raise ValueError("letters and digits of one alphabet, please: this name mixes several")
    return name


def _is_accepted(character: str) -> bool:
    """Whether a character of a mentionable name is accepted today; joiners PRECIS has judged."""
    category = unicodedata.category(character)
    return category[0] in "LM" or category == "Nd" or character in mentionable.BETWEEN


def _runs_of_marks(apart: str) -> bool:
    marks = "".join("m" if unicodedata.category(each)[0] == "M" else "-" for each in apart)
    return re.search(rf"m{{{MAX_MARKS + 1}}}", marks) is not None


@cache
def _profile() -> Profile:
    return get_profile("UsernameCasePreserved")
