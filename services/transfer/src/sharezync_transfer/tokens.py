"""Capability tokens: the bearer of one may move the chunks of one transfer, in one role.

They live as long as the transfer, so an access token that runs out in mid-transfer stops nothing.
A token names what it opens and until when; the HMAC over it can only be made with a key that every
replica derives from SECRET_KEY. Whether the transfer is still open is for the database to say
(`usecases/capabilities.py`): nothing needs to be revoked.

    szt1.<base64url of JSON [transfer, role, user, seconds since 1970]>.<base64url of HMAC-SHA256>
"""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sharezync_shared.contracts.transfer import CapabilityRefused
from sharezync_transfer.access import Role

_PREFIX: Final = "szt1"
_MOST_CHARACTERS: Final = 512


class Capability(msgspec.Struct, frozen=True, array_like=True):
    """What a token opens: one transfer, to one user, in one role."""

    transfer_id: UUID
    role: Role
    user_id: UUID
    expires: int
    """In seconds since 1970."""


class Capabilities:
    """Makes and reads tokens, with a key of its own: HKDF-SHA256 of SECRET_KEY (RFC 5869)."""

    def __init__(self, secret_key: str) -> None:
        kdf = HKDF(SHA256(), length=32, salt=None, info=b"sharezync transfer capability")
        self._key = kdf.derive(secret_key.encode())

    def issue(self, *, transfer_id: UUID, role: Role, user_id: UUID, until: datetime) -> str:
        """Return a token that opens a transfer to a user in a role, `until` then."""
        capability = Capability(transfer_id, role, user_id, int(until.timestamp()))
        said = f"{_PREFIX}.{_text(msgspec.json.encode(capability))}"
        return f"{said}.{self._signature(said)}"

    def read(self, token: str, *, now: datetime) -> Capability:
        """Return what a token opens. Raises CapabilityRefused unless we made it and it holds.

        What it opens may have ended all the same.
        """
        said, _, signature = token.rpartition(".")
        prefix, _, claims = said.partition(".")
        known = len(token) <= _MOST_CHARACTERS and prefix == _PREFIX
        expected = self._signature(said).encode()
        if not known or not hmac.compare_digest(signature.encode(errors="replace"), expected):
            raise CapabilityRefused
        padded = claims + "=" * (-len(claims) % 4)
        capability = msgspec.json.decode(urlsafe_b64decode(padded), type=Capability)
        if now.timestamp() >= capability.expires:
            raise CapabilityRefused("The token has expired")
        return capability

    def _signature(self, said: str) -> str:
        return _text(hmac.new(self._key, said.encode(errors="replace"), hashlib.sha256).digest())


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
