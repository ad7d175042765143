"""Emoji as Unicode lists them (UTS #51, by the library `emoji`), each in one form.

Python's own tables are those of its release: what is newer isn't known to them.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import cache
from typing import Final

import emoji

SELECTORS: Final = "\ufe0e\ufe0f"
"""Which tell how the character before them is drawn: as a letter, or as a picture. Keyboards leave
them out or add them, and what is meant is the same."""


@asynccontextmanager
async def loaded() -> AsyncGenerator[None]:
    """Read the list before the first reaction, for which everybody would wait."""
    await asyncio.to_thread(_forms)
    yield


def normal_form(text: str) -> str | None:
    """Return the fully-qualified form of an emoji, with the selectors where Unicode has them.

    None for what is no emoji, or several.
    """
    return _forms().get(_bare(text))


def shown(text: str) -> str:
    """Return a reaction that is stored as it is shown; those that are no emoji stay as they are."""
    return normal_form(text) or text


def bare(column: str) -> str:
    """Return an SQL expression by which reactions are the same emoji, for a column or parameter."""
    return f"translate({column}, '{SELECTORS}', '')"


def _bare(text: str) -> str:
    return text.translate(dict.fromkeys(map(ord, SELECTORS)))


@cache
def _forms() -> dict[str, str]:
    kept = {emoji.STATUS["fully_qualified"], emoji.STATUS["component"]}
    return {
        _bare(each): each for each, known in emoji.EMOJI_DATA.items() if known["status"] in kept
    }
