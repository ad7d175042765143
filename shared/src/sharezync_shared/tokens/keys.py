"""Where verification keys come from. Each source knows one algorithm; a token never chooses it."""

from collections.abc import Mapping
from typing import Final, Literal, Protocol

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from jwt.algorithms import HMACAlgorithm

Algorithm = Literal["ES256", "HS256"]
VerificationKey = EllipticCurvePublicKey | bytes
"""A P-256 public key for ES256, the secret's bytes for HS256."""

MIN_SECRET_BYTES: Final = 32
"""A key shorter than the hash weakens HMAC (RFC 7518 §3.2)."""

SECRET_KID: Final = "secret-key"  # noqa: S105 - a name that tokens show
"""The `kid` of every HS256 token: there is only the one secret."""


class UnknownKey(Exception):
    """No key has this `kid`: the token was not signed by us, or long ago."""


class KeysUnavailable(Exception):
    """The key could not be looked up; nothing is known about the token. Try again later."""


class WeakSecret(ValueError):
    """SECRET_KEY can't sign tokens; the message says what to do."""


class KeySource(Protocol):
    """Gives out the keys that tokens are verified with."""

    @property
    def algorithm(self) -> Algorithm:
        """The one algorithm of every key here. Never changes."""

    async def key_for(self, kid: str | None) -> VerificationKey:
        """Return the key of this id; a `kid` of None is unknown.

        Safe to call at any rate with ids made up by strangers. Raises UnknownKey, or
        KeysUnavailable where the answer could not be found out.
        """


class StaticKeys:
    """ES256 keys that are at hand: those of auth itself, and of tests."""

    algorithm: Algorithm = "ES256"

    def __init__(self, keys: Mapping[str, EllipticCurvePublicKey]) -> None:
        for key in keys.values():
            if not isinstance(key.curve, SECP256R1):
                raise ValueError(f"ES256 needs a P-256 key, not {key.curve.name}")  # noqa: TRY004 - the type is right, the curve is not
        self._keys = dict(keys)

    async def key_for(self, kid: str | None) -> VerificationKey:
        """Return the key of this id. Raises UnknownKey."""
        try:
            return self._keys[kid or ""]
        except KeyError:
            raise UnknownKey(kid) from None


class SecretKeys:
    """The one-secret mode: HS256 with SECRET_KEY, for who wants to run without key rotation.

    Whoever holds the secret can issue tokens, so every service can; ES256 has no such weakness.
    Raises WeakSecret.
    """

    algorithm: Algorithm = "HS256"

    def __init__(self, secret_key: str) -> None:
        self._key = usable_secret(secret_key)

    async def key_for(self, kid: str | None) -> VerificationKey:
        """Return the secret. Raises UnknownKey for any `kid` but ours."""
        if kid != SECRET_KID:
            raise UnknownKey(kid)
        return self._key


def usable_secret(secret_key: str) -> bytes:
    """Return the bytes that HS256 signs with; raises WeakSecret, which says what to do."""
    key = secret_key.encode()
    if len(key) < MIN_SECRET_BYTES:
        raise WeakSecret(
            f"SECRET_KEY has {len(key)} bytes, and ALGORITHM=HS256 needs at least "
            f"{MIN_SECRET_BYTES}. Make one with `openssl rand -base64 48`, or use ALGORITHM=ES256."
        )
    try:
        return HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(key)
    except jwt.InvalidKeyError as error:
        raise WeakSecret(
            "SECRET_KEY holds an asymmetric key, and ALGORITHM=HS256 needs random text. "
            "Make some with `openssl rand -base64 48`."
        ) from error
