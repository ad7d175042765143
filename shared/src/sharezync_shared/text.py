"""Text that strangers send: what of it can be stored, and what names are compared by."""

import unicodedata


def storable(text: str) -> str:
    """Return `text` if PostgreSQL and UTF-8 can hold it.

    Raises ValueError for NUL, which PostgreSQL's text can't hold, and for half of a surrogate
    pair, which JSON can spell and nothing else can.
    """
    if "\x00" in text:
        raise ValueError("Text must not contain the character NUL")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("The text is not valid Unicode") from error
    return text


def key_of(text: str) -> str:
    """Return what two spellings of the same name have in common: NFKC, case folded.

    Folding can undo the normal form (Unicode 3.13, D146), so it is made twice.
    """
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
