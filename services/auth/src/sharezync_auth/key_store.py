"""The rows of the signing keys, sealed with a key from SECRET_KEY."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlmodel import col, select

from sharezync_auth.models import SCHEMA, StoredKey
from sharezync_auth.states import Key, KeyRequest, Make, Move, Remove, RotationPolicy, Step, plan
from sharezync_shared.tokens.signing import SigningKey
from sharezync_shared.work import UnitOfWork, UnitsOfWork

log = structlog.get_logger()

_NONCE_BYTES: Final = 12


class WrongSecretKey(Exception):
    """SECRET_KEY is not the one that the stored keys were sealed with."""


@dataclass(frozen=True, slots=True)
class PrivateKey:
    key: Key
    signing: SigningKey


class KeyStore:
    """The one hand that reads and changes the stored keys. Any number of processes may."""

    def __init__(self, work: UnitsOfWork, secret_key: str) -> None:
        self._work = work
        self._sealing = AESGCM(
            HKDF(SHA256(), 32, salt=None, info=b"sharezync signing keys").derive(
                secret_key.encode()
            )
        )

    async def load_and_rotate(self, policy: RotationPolicy) -> list[PrivateKey]:
        """Return all keys, after doing what is due. Raises WrongSecretKey."""
        private_keys = await self.read()
        if plan([each.key for each in private_keys], self._work.now(), policy):
            return await self.follow(KeyRequest.UPKEEP, policy)
        return private_keys

    async def read(self) -> list[PrivateKey]:
        """Return all keys as they are. Raises WrongSecretKey."""
        async with self._work.read() as unit:
            return [self._open(row) for row in await _rows(unit)]

    async def follow(
        self, order: KeyRequest, policy: RotationPolicy, *, whatever_sealed_them: bool = False
    ) -> list[PrivateKey]:
        """Do what `plan` says, in one transaction; return all keys as they are then.

        Raises TooYoung, TooMany and WrongSecretKey: nothing was changed then. With
        `whatever_sealed_them` keys that can't be opened may be replaced all the same.
        """
        async with self._work.begin() as unit:
            # One at a time: replicas that start together must not each make a first key.
            await (await unit.raw()).execute(
                "SELECT pg_advisory_xact_lock(hashtext($1))", f"{SCHEMA}-keys"
            )
            rows = {row.kid: row for row in await _rows(unit)}
            if not whatever_sealed_them:
                # Before anything is sealed otherwise: auth could open neither these nor those.
                for row in rows.values():
                    self._open(row)
            keys = [_key(row) for row in rows.values()]
            for step in plan(keys, unit.now, policy, order):
                await self._take(step, unit, rows)
            return [self._open(row) for row in rows.values()]

    async def _take(self, step: Step, unit: UnitOfWork, rows: dict[str, StoredKey]) -> None:
        match step:
            case Make(state):
                row = self._seal(SigningKey.generate(), state, unit)
                unit.add(row)
                rows[row.kid] = row
                log.info("signing_key_created", kid=row.kid, state=state)
            case Move(kid, state):
                log.info("signing_key_state_changed", kid=kid, before=rows[kid].state, state=state)
                rows[kid].state, rows[kid].state_since = state, unit.now
            case Remove(kid):
                log.info("signing_key_removed", kid=kid, before=rows[kid].state)
                await unit.session.delete(rows.pop(kid))

    def _seal(self, key: SigningKey, state: str, unit: UnitOfWork) -> StoredKey:
        nonce = os.urandom(_NONCE_BYTES)
        # The name is sealed in, so that a sealed key can't be passed off as another.
        sealed = nonce + self._sealing.encrypt(nonce, key.to_pem().encode(), key.kid.encode())
        return StoredKey(
            kid=key.kid, state=state, sealed_pem=sealed, created_at=unit.now, state_since=unit.now
        )

    def _open(self, row: StoredKey) -> PrivateKey:
        nonce, sealed = row.sealed_pem[:_NONCE_BYTES], row.sealed_pem[_NONCE_BYTES:]
        try:
            pem = self._sealing.decrypt(nonce, sealed, row.kid.encode())
        except InvalidTag as error:
            raise WrongSecretKey(
                "SECRET_KEY is not the one that the signing keys in the database were sealed "
                "with. Put the old one back; or, where the new one is meant, make new keys with "
                "`python -m sharezync_auth rotate-keys --compromised --new-secret-key`."
            ) from error
        return PrivateKey(_key(row), SigningKey.from_pem(pem.decode()))


async def _rows(unit: UnitOfWork) -> Sequence[StoredKey]:
    return (await unit.session.exec(select(StoredKey).order_by(col(StoredKey.kid)))).all()


def _key(row: StoredKey) -> Key:
    return Key(row.kid, row.state, row.state_since)
