"""What is taken for each kind of text, as types for wire schemas: `Annotated[str, TOPIC]`.

A policy cleans what it can without changing what is seen, and refuses (a ValueError in plain words,
which is an error of the field) what is then empty, too long, or can't be stored. The table is in
the README of this package; `x-text-policy` in the OpenAPI documents names the policy of each field.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from sharezync_shared.names.characters import many_lines, one_line
from sharezync_shared.sizes import MAX_TEXT_CHARACTERS, UTF8_BYTES
from sharezync_shared.text import storable

POLICY: Final = "x-text-policy"
PARSED: Final = "parsed"
"""The policy of text with a grammar of its own, which is taken apart and not kept: lists of ids,
tokens, signatures, metadata of tus."""

Parsed = Annotated[str, Field(json_schema_extra={POLICY: PARSED})]


def _as_it_is(text: str) -> str:
    return text


@dataclass(frozen=True, slots=True)
class Policy:
    """One kind of text. Lengths are in characters (code points), before and after cleaning.

    `cleaned` returns what is kept of a text; it may raise ValueError. `stored`: what PostgreSQL
    can't hold is refused before; else whoever uses the text takes it out.
    """

    name: str
    max_characters: int | None
    min_characters: int = 0
    cleaned: Callable[[str], str] = one_line
    strips: bool = True
    stored: bool = True

    @property
    def max_bytes(self) -> int | None:
        """The most that such a text takes, in UTF-8; None where its length isn't bounded here."""
        return self.max_characters and self.max_characters * UTF8_BYTES

    def clean(self, text: str) -> str:
        """Return `text` as it is kept; cleaning twice changes nothing.

        Raises ValueError, saying what to do, for what can't be stored, is too long, or has less to
        be seen than there must be.
        """
        kept = self.cleaned(storable(text) if self.stored else text)
        if self.max_characters is not None and len(kept) > self.max_characters:
            raise ValueError(f"At most {self.max_characters} characters")
        if len(kept) < self.min_characters:
            plural = "s" if self.min_characters > 1 else ""
            raise ValueError(f"At least {self.min_characters} visible character{plural}")
        return kept

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """As pydantic asks for it: the lengths, which belong in the document, then the cleaning."""
        del source, handler
        return core_schema.no_info_after_validator_function(
            self.clean,
            core_schema.str_schema(
                strip_whitespace=self.strips,
                min_length=self.min_characters or None,
                max_length=self.max_characters,
            ),
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """As pydantic asks for it: the lengths, and the policy's name."""
        return {**handler(schema), POLICY: self.name}


DISPLAY_NAME: Final = Policy("display-name", 100, 1)
DEVICE_NAME: Final = Policy("device-name", 100, 1)
PLATFORM: Final = Policy("platform", 50)
CHANNEL_NAME: Final = Policy("channel-name", 80, 1)
TOPIC: Final = Policy("topic", 250)
NOTE: Final = Policy("note", 1000)
DESCRIPTION: Final = Policy("description", 1000, cleaned=many_lines)
BIO: Final = Policy("bio", 1000, cleaned=many_lines, strips=False)
MESSAGE: Final = Policy("message", MAX_TEXT_CHARACTERS, cleaned=many_lines, strips=False)


def verbatim(name: str, max_characters: int | None, min_characters: int = 0) -> Policy:
    """Return the policy of what is never shown as somebody's words, or is cleaned where it is used.

    It is kept as it came: keys that clients choose, queries, passwords, and names of files, which
    `filenames` cleans at every way into storage.
    """
    return Policy(name, max_characters, min_characters, cleaned=_as_it_is, strips=False)


KEY: Final = verbatim("key", 200, 1)
QUERY: Final = verbatim("query", 200, 1)
FILE_NAME: Final = Policy("file-name", 4096, cleaned=_as_it_is, strips=False, stored=False)
PATH: Final = verbatim("path", 1024, 1)
MEDIA_TYPE: Final = verbatim("media-type", 255)
