"""Signed links to a file's content: whoever holds one may read, for minutes.

A link names the file and the moment it runs out; the HMAC over both can only be made with the key,
which every replica derives from SECRET_KEY.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from uuid import UUID

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sharezync_storage.problems import SignatureExpired, SignatureInvalid


class Signer:
    """Makes and checks signatures, with a key of its own: HKDF-SHA256 of SECRET_KEY (RFC 5869)."""

    def __init__(self, secret_key: str) -> None:
        kdf = HKDF(SHA256(), length=32, salt=None, info=b"sharezync storage signed links")
        self._key = kdf.derive(secret_key.encode())

    def path(self, file_id: UUID, expires: int) -> str:
        """Return a path, with query, by which the content can be read until `expires`.

        `expires` is in seconds since 1970, as everywhere here.
        """
        signature = self._signature(file_id, expires)
        return f"/v1/files/{file_id}/content?expires={expires}&signature={signature}"

    def check(self, file_id: UUID, expires: int, signature: str, *, now: float) -> None:
        """Raise SignatureInvalid or SignatureExpired unless the signature holds."""
        expected = self._signature(file_id, expires).encode()
        if not hmac.compare_digest(signature.encode(errors="replace"), expected):
            raise SignatureInvalid
        if now >= expires:
            raise SignatureExpired

    def _signature(self, file_id: UUID, expires: int) -> str:
        said = f"GET /v1/files/{file_id}/content until {expires}".encode()
        digest = hmac.new(self._key, said, hashlib.sha256).digest()
        return urlsafe_b64encode(digest).rstrip(b"=").decode()
