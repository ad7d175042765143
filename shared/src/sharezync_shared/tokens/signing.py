"""Keys that sign tokens."""

import hashlib
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Self

import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from sharezync_shared.tokens.keys import SECRET_KID, Algorithm, usable_secret


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key with the name that tokens call it by, and the one algorithm it signs with."""

    kid: str
    algorithm: Algorithm
    private: EllipticCurvePrivateKey | bytes = field(repr=False)

    @classmethod
    def generate(cls) -> Self:
        """Return a new ES256 key."""
        return cls._named(generate_private_key(SECP256R1()))

    @classmethod
    def from_pem(cls, pem: str) -> Self:
        """Return the ES256 key that `to_pem` wrote; its `kid` is the same again.

        Raises ValueError if it is no P-256 private key in unencrypted PEM.
        """
        try:
            key = load_pem_private_key(pem.encode(), password=None)
        except TypeError as error:
            raise ValueError("the private key is encrypted") from error
        if isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1):
            return cls._named(key)
        raise ValueError("ES256 needs a P-256 private key")

    @classmethod
    def from_secret(cls, secret_key: str) -> Self:
        """Return the HS256 key that SECRET_KEY is. Raises WeakSecret."""
        return cls(SECRET_KID, "HS256", usable_secret(secret_key))

    def to_pem(self) -> str:
        """Return an ES256 private key as PKCS#8 PEM, to be kept as secret as a password."""
        if not isinstance(self.private, EllipticCurvePrivateKey):
            raise TypeError("an HS256 key is SECRET_KEY itself and has no PEM form")
        return self.private.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        ).decode()

    def public_key(self) -> EllipticCurvePublicKey:
        """Return what verifies an ES256 key's tokens. Raises TypeError for HS256."""
        if not isinstance(self.private, EllipticCurvePrivateKey):
            raise TypeError("an HS256 key has no public half")
        return self.private.public_key()

    def public_jwk(self) -> dict[str, str]:
        """Return an ES256 key's entry in the JWKS document (RFC 7517). TypeError for HS256."""
        members = _public_members(self.public_key())
        return {**members, "kid": self.kid, "use": "sig", "alg": self.algorithm}

    @classmethod
    def _named(cls, key: EllipticCurvePrivateKey) -> Self:
        # The thumbprint of RFC 7638: the same key has the same name wherever it is loaded.
        canonical = msgspec.json.encode(_public_members(key.public_key()), order="sorted")
        return cls(_base64url(hashlib.sha256(canonical).digest()), "ES256", key)


def _public_members(key: EllipticCurvePublicKey) -> dict[str, str]:
    numbers = key.public_numbers()
    x, y = (_base64url(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": "P-256", "x": x, "y": y}


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
