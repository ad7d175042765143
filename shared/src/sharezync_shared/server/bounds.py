"""What one connection may cost, where that is no setting: nobody has a reason to want another."""

from typing import Final

from sharezync_shared.problems import TooLarge

MAX_HEAD_BYTES: Final = 32 * 1024
"""Request line and headers together. A token takes one to two KiB, cookies of others a few."""
MAX_FIELDS: Final = 128
"""Header fields of a request: as many as websockets accepts. Browsers behind proxies send 30."""
MAX_CHUNK_LINE_BYTES: Final = 256
"""A chunk's size and its extensions, which nobody uses (RFC 9112 §7.1.1)."""
FRAMING_BYTES: Final = 128 * 1024
"""How much of a chunked body is read at a time behind the chunk that is known; if it can't be
looked at in one turn, it is held."""
MAX_TRAILER_BYTES: Final = 8 * 1024
"""All trailers of a body. None is looked at (RFC 9110 §6.5.1)."""
MAX_EXCESS_BYTES: Final = 64 * 1024
"""By how much the framing of a body may outweigh its content. That of chunks of five bytes and more
never does; one byte by itself costs us what 4 KiB in one piece do."""
MAX_IGNORED_BYTES: Final = 1024 * 1024
"""How much is still read, and thrown away, from a peer whose request was refused."""
MAX_LEFTOVER_BYTES: Final = 64 * 1024 * 1024
"""The same of a body behind its answer, where the connection ends with it: many clients read
nothing before they have written all."""
STEPS_A_TURN: Final = 256
"""How many chunks, parts of chunks or trailers are read before others get their turn: less than
half a millisecond's work."""


class HeadTooLarge(TooLarge):
    """The request line and headers, or the trailers, outgrew their bounds (RFC 6585 §5)."""

    slug, title = "head-too-large", "The request line and headers are too large"

    @property
    def status(self) -> int:
        return 431
