"""Identifiers: UUIDv7 (RFC 9562 §5.7), so that keys grow with time and index pages stay warm."""

import os
import time
from typing import NewType
from uuid import UUID

UserId = NewType("UserId", UUID)
SessionId = NewType("SessionId", UUID)
DeviceId = NewType("DeviceId", UUID)


def uuid7() -> UUID:
    """Return a new UUIDv7: 48 bits of milliseconds since the epoch, then 74 random bits.

    Ids made within one millisecond are not ordered among themselves; nothing here relies on it.
    """
    milliseconds = time.time_ns() // 1_000_000
    bits = int.from_bytes(os.urandom(10))
    rand_a, rand_b = bits >> 68, bits & (1 << 62) - 1
    return UUID(
        int=(milliseconds & 0xFFFF_FFFF_FFFF) << 80 | 0x7 << 76 | rand_a << 64 | 0b10 << 62 | rand_b
    )
