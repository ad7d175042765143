"""The keys that sign tokens, kept in the database, sealed with a key from SECRET_KEY.

A key is `next` (published, signs nothing yet), then `active` (the one that signs), then `retiring`
(signs no more, published until its last token has run out).
"""

import os
from typing import Final

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlmodel import select

from sharezync_auth.models import SCHEMA, StoredKey
from sharezync_auth.settings import AuthSettings
from sharezync_shared.db.work import Unit, Work
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_shared.tokens.keys import (
    Algorithm,
    KeySource,
    KeysUnavailable,
    SecretKeys,
    StaticKeys,
    VerificationKey,
)
from sharezync_shared.tokens.signing import SigningKey

log = structlog.get_logger()

_NONCE_BYTES: Final = 12
NEXT: Final = "next"
ACTIVE: Final = "active"
RETIRING: Final = "retiring"


class WrongSecretKey(Exception):
    """SECRET_KEY is not the one that the stored keys were sealed with."""


class Keyring:
    """The keys of this installation; `load` before use. A `KeySource`: auth asks nobody else."""

    def __init__(self, settings: AuthSettings) -> None:
        self._settings = settings
        secret = settings.require_secret_key()
        self._sealing = AESGCM(
            HKDF(SHA256(), 32, salt=None, info=b"sharezync signing keys").derive(secret.encode())
        )
        self._signing: SigningKey | None = None
        self._published: list[SigningKey] = []
        self._keys: KeySource | None = None

    @property
    def algorithm(self) -> Algorithm:
        """The one algorithm of this installation."""
        return self._settings.algorithm

    async def key_for(self, kid: str | None) -> VerificationKey:
        """Return what verifies tokens signed by this key. Raises UnknownKey."""
        if self._keys is None:
            raise KeysUnavailable
        return await self._keys.key_for(kid)

    async def load(self, work: Work) -> None:
        """Read the keys; the very first start of an installation makes one.

        In the one-secret mode (ALGORITHM=HS256) there is nothing to read: SECRET_KEY signs.
        Raises WrongSecretKey.
        """
        if self._settings.algorithm == "HS256":
            secret = self._settings.require_secret_key()
            self._signing, self._keys = SigningKey.from_secret(secret), SecretKeys(secret)
            return
        async with work.begin() as unit:
            # Replicas that start together must not each make a first key.
            await (await unit.raw()).execute(
                "SELECT pg_advisory_xact_lock(hashtext($1))", f"{SCHEMA}-keys"
            )
            rows = (await unit.session.exec(select(StoredKey))).all()
            if not any(row.state == ACTIVE for row in rows):
                rows = [*rows, self._make(unit)]
        keys = [(row.state, self._open(row)) for row in rows]
        self._signing = next(key for state, key in keys if state == ACTIVE)
        self._published = [key for _, key in keys]
        self._keys = StaticKeys({key.kid: key.public_key() for key in self._published})

    def issuer(self) -> TokenIssuer:
        """Return what mints tokens with the active key."""
        if self._signing is None:
            raise RuntimeError("The keyring was not loaded")
        return TokenIssuer(
            key=self._signing,
            issuer=self._settings.jwt_issuer,
            audience=self._settings.jwt_audience,
            access_lifetime_seconds=self._settings.access_token_expire_minutes * 60,
        )

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Return the public document (RFC 7517); empty in the one-secret mode."""
        return {"keys": [key.public_jwk() for key in self._published]}

    def _make(self, unit: Unit) -> StoredKey:
        key = SigningKey.generate()
        nonce = os.urandom(_NONCE_BYTES)
        # The name is sealed in, so that a sealed key can't be passed off as another.
        sealed = nonce + self._sealing.encrypt(nonce, key.to_pem().encode(), key.kid.encode())
        row = StoredKey(
            kid=key.kid, state=ACTIVE, sealed_pem=sealed, created_at=unit.now, state_since=unit.now
        )
        unit.add(row)
        log.info("signing_key_made", kid=key.kid)
        return row

    def _open(self, row: StoredKey) -> SigningKey:
        nonce, sealed = row.sealed_pem[:_NONCE_BYTES], row.sealed_pem[_NONCE_BYTES:]
        try:
            pem = self._sealing.decrypt(nonce, sealed, row.kid.encode())
        except InvalidTag as error:
            raise WrongSecretKey(
                "SECRET_KEY is not the one that the signing keys in the database were sealed "
                "with. Put the old one back; a lost one means new keys and new logins for all."
            ) from error
        return SigningKey.from_pem(pem.decode())
