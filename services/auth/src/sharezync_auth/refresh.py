"""Refresh tokens: a session, a number, and a seal. No row for each token.

`szr_` and the base64url form of: version (1 byte) | session id (16) | counter (4, big-endian) |
HMAC-SHA256 over all of that by the session's own key, first 16 bytes.

Pure: what a token means for its session is decided here, and carried out in `usecases/tokens.py`.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
import struct
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final
from uuid import UUID

_PREFIX: Final = "szr_"  # so that scanners for leaked secrets can know one
_VERSION: Final = 1
_BODY: Final = struct.Struct(">B16sI")
_SEAL_BYTES: Final = 16
_LENGTH: Final = len(_PREFIX) + -(-(_BODY.size + _SEAL_BYTES) * 8 // 6)

KEY_BYTES: Final = 32


class Verdict(Enum):
    """What the counter of a genuine token says."""

    CURRENT = auto()
    """The expected one: give the next."""
    PREVIOUS = auto()
    """The one before: the client never saw our answer. Give the current one again."""
    REUSED = auto()
    """An older one: two parties hold this session's tokens. End it (RFC 9700 §4.14.2)."""


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A token taken apart; its seal is not checked yet."""

    session_id: UUID
    counter: int
    seal: bytes


def new_key() -> bytes:
    """Return the key of a new session."""
    return secrets.token_bytes(KEY_BYTES)


def seal(session_id: UUID, counter: int, key: bytes) -> str:
    """Return the session's refresh token number `counter`."""
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


def judge(token: RefreshToken, *, key: bytes, counter: int) -> Verdict | None:
    """Return what `token` means for a session whose present counter is `counter`.

    None for a forgery, a token from the future included: it can't have been given out.
    """
    body = _BODY.pack(_VERSION, token.session_id.bytes, token.counter)
    if not hmac.compare_digest(token.seal, _mac(body, key)) or token.counter > counter:
        return None
    match counter - token.counter:
        case 0:
            return Verdict.CURRENT
        case 1:
            return Verdict.PREVIOUS
        case _:
            return Verdict.REUSED


def _mac(body: bytes, key: bytes) -> bytes:
    return hmac.digest(key, body, hashlib.sha256)[:_SEAL_BYTES]
