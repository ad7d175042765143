"""Refresh tokens: a session, a number, and a seal. No row for each token.

`szr_` and the base64url form of: version (1 byte) | session id (16) | counter (4, big-endian) |
HMAC-SHA256 over all of that by the session's own key, first 16 bytes.

Each token is good once: it is answered with the next (RFC 9700 §4.14.2). But answers get lost, and
a client that never saw one has only the token before to show. That one is taken

- within `GRACE_SECONDS` of the rotation, as often as it comes: retries, two tabs of a browser;
- later, but never for two numbers in a row: a phone that lost an answer stays logged in, and a
  thief who lives beside the client is found at the second step at the latest.

Everything else ends the session. Pure; carried out in `usecases/grants.py`.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
import struct
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from typing import Final
from uuid import UUID

_PREFIX: Final = "szr_"  # so that scanners for leaked secrets can know one
_VERSION: Final = 1
_BODY: Final = struct.Struct(">B16sI")
_SEAL_BYTES: Final = 16
_LENGTH: Final = len(_PREFIX) + -(-(_BODY.size + _SEAL_BYTES) * 8 // 6)

KEY_BYTES: Final = 32

GRACE_SECONDS: Final = 60
"""For how long after a rotation the token before is answered without being counted."""

LAST_COUNTER: Final = 2**31 - 1
"""What the column holds. Nobody refreshes that often: a session that gets there ends."""


class RefreshVerdict(Enum):
    """What the counter of a genuine token says."""

    CURRENT = auto()
    """The expected one: give the next."""
    PREVIOUS = auto()
    """The one before: the client never saw our answer. Give the current one again."""
    PREVIOUS_LATE = auto()
    """As PREVIOUS, and to be remembered: it won't be granted for the next number."""
    REUSED = auto()
    """Two parties hold this session's tokens. End it (RFC 9700 §4.14.2)."""
    SPENT = auto()
    """The expected one, and there is no next. End the session."""


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A token taken apart; its seal is not checked yet."""

    session_id: UUID
    counter: int
    seal: bytes


def new_key() -> bytes:
    return secrets.token_bytes(KEY_BYTES)


def seal(session_id: UUID, counter: int, key: bytes) -> str:
    body = _BODY.pack(_VERSION, session_id.bytes, counter)
    raw = body + _mac(body, key)
    return _PREFIX + base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def parse(token: str) -> RefreshToken | None:
    """Take a token apart; None if it can't be one of ours. Needs no key and no database."""
    if len(token) != _LENGTH or not token.startswith(_PREFIX):
        return None
    text = token.removeprefix(_PREFIX)
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    version, session_id, counter = _BODY.unpack_from(raw)
    if version != _VERSION:
        return None
    return RefreshToken(UUID(bytes=session_id), counter, raw[_BODY.size :])


def judge(
    token: RefreshToken,
    *,
    key: bytes,
    counter: int,
    since_rotation: timedelta,
    late_grace_counter: int,
) -> RefreshVerdict | None:
    """Return what `token` means for a session whose present counter is `counter`; None for a
    forgery.

    `since_rotation` is the age of the present token; `late_grace_counter` is the last number that
    was given once more on PREVIOUS_LATE, 0 for none.
    """
    body = _BODY.pack(_VERSION, token.session_id.bytes, token.counter)
    if not hmac.compare_digest(token.seal, _mac(body, key)) or token.counter > counter:
        return None
    match counter - token.counter:
        case 0:
            return RefreshVerdict.CURRENT if counter < LAST_COUNTER else RefreshVerdict.SPENT
        case 1 if since_rotation <= timedelta(seconds=GRACE_SECONDS):
            return RefreshVerdict.PREVIOUS
        case 1 if late_grace_counter != counter - 1:
            return RefreshVerdict.PREVIOUS_LATE
        case _:
            return RefreshVerdict.REUSED


def _mac(body: bytes, key: bytes) -> bytes:
    return hmac.digest(key, body, hashlib.sha256)[:_SEAL_BYTES]
