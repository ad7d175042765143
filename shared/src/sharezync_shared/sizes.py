r"""How large messages, frames and bodies may be: each size is derived from those that it must hold.

A limit is changed here and nowhere else. What can't be derived is checked on import; the documents
that name these numbers are compared with them by `tests/test_limits_document.py`.

A text is bounded in characters, as people count; everything that carries it is bounded in bytes. A
character has at most 4 bytes in UTF-8, and 12 where JSON spells it in escapes (RFC 8259, section 7:
two surrogates, `\ud83d\ude00`). We and browsers write UTF-8; who escapes everything gets the
longest messages in by REST, and not into a frame.
"""

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB

MAX_TEXT_CHARACTERS: Final = 16_000
"""Of one message."""
UTF8_BYTES: Final = 4
"""What a character takes at most in UTF-8."""
WRITTEN_BYTES: Final = 6
"""What a character takes at most in the JSON that we write: a control character, as `\\u0001`."""
ESCAPED_BYTES: Final = 12
"""What a character takes at most in JSON, in escapes."""

_AROUND_TEXT_BYTES: Final = 1536
"""What a message has beside its text: ids, up to ten attachments, the names of the fields."""

MAX_TEXT_FRAME_BYTES: Final = MAX_TEXT_CHARACTERS * UTF8_BYTES + _AROUND_TEXT_BYTES
"""A text frame from a client: the longest message, in whatever language."""

MAX_JSON_BODY_BYTES: Final = 4 * MAX_TEXT_FRAME_BYTES
"""A JSON request, of clients and between services: the longest message in escapes."""

MAX_REQUEST_BYTES: Final = max(MIB, MAX_JSON_BODY_BYTES)
"""A JSON request that the gateway lets through, and the largest that a service takes: an offer of a
transfer."""

COMMAND_BYTES: Final = 512
"""What a command in a batch has beside its frame: who says it, on which device."""
MAX_COMMANDS: Final = 500
"""Commands in one batch that chat takes."""
COMMANDS_AT_ONCE: Final = 200
"""Commands in one batch that a gateway sends; bounds the transaction that chat makes of them."""
MAX_COMMANDS_BYTES: Final = MAX_JSON_BODY_BYTES - COMMAND_BYTES
"""What the commands of one batch weigh together: the batch is a JSON request. Holds at least one
command, however large."""

MAX_COMMIT_CHARACTERS: Final = 512_000
"""Of all messages that one transaction writes, so that nobody waits long for the others'."""

MAX_REPLAY_BYTES: Final = 4 * MIB
"""Frames that a client may be behind in one stream; more, and it refetches the state. With it goes
what one transaction says in a stream, so that a gap of one can be healed."""

MAX_FRAMES_BYTES: Final = 4 * MIB
"""Frames in one message on the broker, beyond the first: what one transaction says."""
BROKER_BYTES: Final = 16 * MIB
"""RabbitMQ's own limit (`max_message_size`); it closes the AMQP channel of who sends more."""

MAX_PAGE_BYTES: Final = 8 * MAX_TEXT_FRAME_BYTES
"""Items in one page of a list, beyond the first. Holds some of the longest messages, and a client
that doesn't read what it asked for occupies no more."""

MAX_CHUNK_BYTES: Final = MIB
"""A chunk of a transfer, by frame or by request."""


def in_words(size_bytes: int) -> str:
    """Return a size as documents have it: "64 KiB"."""
    unit, name = (MIB, "MiB") if size_bytes % MIB == 0 else (KIB, "KiB")
    return f"{size_bytes / unit:g} {name}"


for _holds, _what in (
    (MAX_TEXT_CHARACTERS <= MAX_COMMIT_CHARACTERS, "One transaction holds the longest message"),
    (
        min(MAX_REPLAY_BYTES, MAX_FRAMES_BYTES) >= MAX_COMMIT_CHARACTERS * WRITTEN_BYTES,
        "What one transaction says can be told, and said again",
    ),
    (
        MAX_FRAMES_BYTES + MAX_TEXT_CHARACTERS * WRITTEN_BYTES + MIB <= BROKER_BYTES,
        "The broker takes a full message, and one more frame with what is around it",
    ),
):
    if not _holds:
        raise ValueError(f"The sizes of messages don't fit together. Must hold: {_what}")
