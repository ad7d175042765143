"""Signed URLs: whoever holds one may read a file, or write one part of an upload, for minutes.

Each names method, path and the moment it runs out; the HMAC over them can only be made with the
key, which every replica derives from SECRET_KEY.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from typing import Final
from uuid import UUID

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from starlette.types import Scope

from sharezync_shared.contracts.storage import MAX_URL_SECONDS
from sharezync_storage.errors import SignatureExpired, SignatureInvalid
from sharezync_storage.settings import MAX_PART_URL_SECONDS

_SKEW_SECONDS: Final = 60
"""How far the clocks of two replicas may be apart."""


def url_asked_for(scope: Scope) -> str:
    """Return the path and query of a request exactly as they came."""
    path, query = scope["raw_path"], scope["query_string"]
    return str(path + b"?" + query, "latin-1")


class Signer:
    """Makes and checks signatures, with a key of its own: HKDF-SHA256 of SECRET_KEY (RFC 5869)."""

    def __init__(self, secret_key: str) -> None:
        kdf = HKDF(SHA256(), length=32, salt=None, info=b"sharezync storage signed links")
        self._key = kdf.derive(secret_key.encode())

    def path(self, file_id: UUID, expires: int) -> str:
        """Return a path, with query, by which the content can be read until `expires`.

        `expires` is in seconds since 1970, as everywhere here.
        """
        return self._signed("GET", f"/v1/files/{file_id}/content", expires)

    def check(self, file_id: UUID, expires: int, asked: str, *, now: float) -> None:
        """Raise SignatureInvalid or SignatureExpired unless this is a URL that we made.

        `asked` is the path and query as they came: one that is spelt in another way is none of
        ours, and so is one that would hold for longer than any that we make.
        """
        self._check("GET", f"/v1/files/{file_id}/content", expires, asked, now, MAX_URL_SECONDS)

    def part_path(self, upload_id: UUID, number: int, expires: int) -> str:
        """Return a path, with query, to which one part of an upload can be PUT until `expires`."""
        return self._signed("PUT", _part(upload_id, number), expires)

    def check_part(
        self, upload_id: UUID, number: int, expires: int, asked: str, *, now: float
    ) -> None:
        """As `check`, for one part of an upload."""
        self._check("PUT", _part(upload_id, number), expires, asked, now, MAX_PART_URL_SECONDS)

    def _signed(self, method: str, path: str, expires: int) -> str:
        return f"{path}?expires={expires}&signature={self._signature(method, path, expires)}"

    def _check(
        self, method: str, path: str, expires: int, asked: str, now: float, longest_seconds: int
    ) -> None:
        ours = self._signed(method, path, expires).encode()
        if not hmac.compare_digest(asked.encode(errors="replace"), ours):
            raise SignatureInvalid
        if expires > now + longest_seconds + _SKEW_SECONDS:
            raise SignatureInvalid
        if now >= expires:
            raise SignatureExpired

    def _signature(self, method: str, path: str, expires: int) -> str:
        said = f"{method} {path} until {expires}".encode()
        digest = hmac.new(self._key, said, hashlib.sha256).digest()
        return urlsafe_b64encode(digest).rstrip(b"=").decode()


def _part(upload_id: UUID, number: int) -> str:
    return f"/v1/files/presigned/{upload_id}/parts/{number}"
