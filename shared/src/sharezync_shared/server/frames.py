"""WebSocket frames as a server writes them: final, unmasked (RFC 6455 §5.2)."""

import struct
from typing import Final

TEXT: Final = 0x81
"""First byte of a whole text message: FIN and opcode 1."""
BINARY: Final = 0x82
"""First byte of a whole binary message: FIN and opcode 2."""


def frame_header(first_byte: int, payload_bytes: int) -> bytes:
    """Return what stands before a payload of that many bytes; the length in its shortest form."""
    if payload_bytes < 126:
        return bytes((first_byte, payload_bytes))
    if payload_bytes < 65536:
        return struct.pack("!BBH", first_byte, 126, payload_bytes)
    return struct.pack("!BBQ", first_byte, 127, payload_bytes)


def encode_text_frame(payload: bytes) -> bytes:
    """Return one whole text message. `payload` must be UTF-8: nobody checks it again."""
    return frame_header(TEXT, len(payload)) + payload


def encode_binary_frame(payload: bytes) -> bytes:
    """Return one whole binary message."""
    return frame_header(BINARY, len(payload)) + payload
