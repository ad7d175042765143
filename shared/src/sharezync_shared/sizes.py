r"""How large messages, frames and bodies may be: each size holds those that it is derived from.

A text is bounded in characters, as people count; everything that carries it is bounded in bytes. A
character has at most 4 bytes in UTF-8, and 12 where JSON spells it in escapes (RFC 8259, section 7:
two surrogates, `\ud83d\ude00`). We and browsers write UTF-8; who escapes everything gets the
longest messages in by REST, and not into a frame.
"""

from typing import Final

KIB: Final = 1024

MAX_TEXT_CHARACTERS: Final = 16_000
"""Of one message."""
UTF8_BYTES: Final = 4
"""What a character takes at most in UTF-8."""
ESCAPED_BYTES: Final = 12
"""What a character takes at most in JSON, in escapes."""

_AROUND_TEXT_BYTES: Final = 1536
"""What a message has beside its text: ids, up to ten attachments, the names of the fields."""

MAX_TEXT_FRAME_BYTES: Final = MAX_TEXT_CHARACTERS * UTF8_BYTES + _AROUND_TEXT_BYTES
"""A text frame from a client: the longest message, in whatever language. 64 KiB."""

MAX_JSON_BODY_BYTES: Final = 4 * MAX_TEXT_FRAME_BYTES
"""A JSON request, of clients and between services: the longest message in escapes. 256 KiB."""

COMMAND_BYTES: Final = 512
"""What a command in a batch has beside its frame: who says it, on which device."""
MAX_COMMANDS: Final = 500
"""Commands in one batch that chat takes."""
COMMANDS_AT_ONCE: Final = 200
"""Commands in one batch that a gateway sends; bounds the transaction that chat makes of them."""
MAX_COMMANDS_BYTES: Final = MAX_JSON_BODY_BYTES - COMMAND_BYTES
"""What the commands of one batch weigh together: the batch is a JSON request. Holds at least one
command, however large."""

MAX_COMMIT_CHARACTERS: Final = 32 * MAX_TEXT_CHARACTERS
"""Of all messages that one transaction writes, so that nobody waits long for the others'. With
what is around them less than `MAX_FRAMES_BYTES`, however they are spelt."""

MAX_REPLAY_BYTES: Final = 4 * 1024 * KIB
"""Frames that a client may be behind in one stream; more, and it refetches the state. With it goes
what one transaction says in a stream, so that a gap of one can be healed."""

MAX_FRAMES_BYTES: Final = 4 * 1024 * KIB
"""Frames in one message on the broker, beyond the first. RabbitMQ's own limit is 16 MiB
(`max_message_size`), and it closes the AMQP channel of who sends more."""

MAX_PAGE_BYTES: Final = 512 * KIB
"""Items in one page of a list, beyond the first. Holds some of the longest messages, and a client
that doesn't read what it asked for occupies no more."""
