"""Who may move chunks: participations in transfers, and tokens that stand for one.

The bearer of a capability token may move the chunks of one transfer, in one role.

They live as long as the transfer, so an access token that runs out in mid-transfer stops nothing.
Whether the transfer is still open is for the database to say: nothing needs to be revoked.

    szt1.<base64url of JSON [transfer, role, user, seconds since 1970]>.<base64url of HMAC-SHA256>
"""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self
from uuid import UUID

import asyncpg
import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sharezync_shared.contracts.transfer import (
    AttachedFile,
    CapabilityRefused,
    FileState,
    ParticipationRead,
    TransferState,
)
from sharezync_shared.ids import DeviceId, UserId
from sharezync_shared.ranges import Pair
from sharezync_shared.work import UnitsOfWork
from sharezync_transfer import access, states
from sharezync_transfer.access import Actor, Role, TransferAggregate
from sharezync_transfer.cutting import chunk_count
from sharezync_transfer.errors import NotInThisState, TransferOver
from sharezync_transfer.models import TransferId
from sharezync_transfer.schemas import TokenRead, TransferRead
from sharezync_transfer.settings import TransferSettings

_PREFIX: Final = "szt1"
_MOST_CHARACTERS: Final = 512
_STANDING: Final = """
SELECT t.sender_id, t.sender_device_id, t.state, t.ended_at, t.released_at,
    r.state AS own_state, r.device_id AS own_device_id
FROM transfer.transfers AS t
JOIN transfer.users AS u ON u.id = $2 AND NOT u.deleted
LEFT JOIN transfer.recipients AS r
    ON r.transfer_id = t.id AND r.user_id = u.id AND NOT r.hidden
WHERE t.id = $1
"""


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
        capability = Capability(transfer_id, role, user_id, int(until.timestamp()))
        said = f"{_PREFIX}.{_text(msgspec.json.encode(capability))}"
        return f"{said}.{self._signature(said)}"

    def read(self, token: str, *, now: datetime) -> Capability:
        """Return what a token opens. Raises CapabilityRefused unless we made it for now."""
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


class CapabilityIssuer:
    """Gives tokens for transfers, and verifies them: up to `keep_completed` after completion."""

    def __init__(self, work: UnitsOfWork, settings: TransferSettings) -> None:
        self._work = work
        self._capabilities = Capabilities(settings.require_secret_key())
        self._keep_completed = settings.keep_completed

    def to(self, user_id: UUID, role: Role, transfer: TransferRead) -> str | None:
        """Return a token for this user's end of a transfer; None once it is over for them."""
        if transfer.state in states.FINAL - {"completed"}:
            return None
        return self._issue(user_id, role, transfer).token

    async def ask(self, actor: Actor, transfer_id: TransferId) -> TokenRead:
        """Return a token for the actor's end of a transfer.

        Raises NotFound, NotInThisState before a recipient accepts, and TransferOver.
        """
        async with self._work.read() as unit:
            whole = await access.transfer_to_see(unit, actor, transfer_id)
            role = whole.role_of(actor)
            read = TransferRead.from_aggregate(whole, role, actor.user_id)
        if read.state in states.FINAL - {"completed"}:
            raise TransferOver(f"The transfer is {read.state}", state=read.state)
        if role == "recipient" and read.state == "offered":
            raise NotInThisState("Accept the transfer first", state=read.state)
        return self._issue(actor.user_id, role, read)

    async def admit(self, token: str, transfer_id: TransferId | None = None) -> Actor:
        """Return for whom a token speaks, on which device of theirs and in which role.

        Raises CapabilityRefused, also where it is for another transfer, or its transfer has ended.
        """
        capability = self._capabilities.read(token, now=self._work.now())
        if transfer_id not in (None, capability.transfer_id):
            raise CapabilityRefused("The token is for another transfer")
        pool = await self._work.database.pool()
        row = await pool.fetchrow(_STANDING, capability.transfer_id, capability.user_id)
        if row is None or not self._open(row, capability.role, capability.user_id):
            raise CapabilityRefused("The token is no longer valid")
        device_id = row["sender_device_id" if capability.role == "sender" else "own_device_id"]
        return Actor(
            UserId(capability.user_id), DeviceId(device_id) if device_id else None, capability.role
        )

    def _open(self, row: asyncpg.Record, role: Role, user_id: UUID) -> bool:
        if role == "sender" and row["sender_id"] != user_id:
            return False
        state = row["state"] if role == "sender" else row["own_state"]
        if state == "completed":
            kept_from = self._work.now() - self._keep_completed
            ended_at = row["ended_at"]
            return row["released_at"] is None and (ended_at is None or ended_at > kept_from)
        return state is not None and state not in states.FINAL

    def _issue(self, user_id: UUID, role: Role, transfer: TransferRead) -> TokenRead:
        until = transfer.expires_at + self._keep_completed
        token = self._capabilities.issue(
            transfer_id=transfer.id, role=role, user_id=user_id, until=until
        )
        return TokenRead(token=token, role=role, expires_at=until)


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class Participation:
    """What an actor is to a transfer; `received` are the ranges of each file a recipient has."""

    actor: Actor
    role: Role
    transfer: TransferRead
    files: list[AttachedFile]
    received: Mapping[int, list[Pair]]

    @classmethod
    def from_aggregate(
        cls, whole: TransferAggregate, actor: Actor, received: Mapping[int, list[Pair]]
    ) -> Self:
        """Return an actor's participation; `received` names each file that a recipient accepted."""
        role = whole.role_of(actor)
        size = whole.transfer.chunk_size_bytes
        files = [
            AttachedFile(
                index=file.index,
                upload_id=file.upload_id,
                size_bytes=file.size_bytes,
                chunk_size_bytes=size,
                chunk_count=chunk_count(file.size_bytes, size),
                accepted=role == "sender" or file.index in received,
            )
            for file in whole.files
        ]
        transfer = TransferRead.from_aggregate(whole, role, actor.user_id)
        return cls(actor, role, transfer, files, received)

    def read(self, window_bytes: int) -> ParticipationRead:
        transfer = self.transfer
        files = [
            FileState(file.index, file.stored_bytes, file.root, file.name, file.mime)
            for file in transfer.files
        ]
        return ParticipationRead(
            user_id=self.actor.user_id,
            device_id=self.actor.device_id,
            role=self.role,
            transfer=TransferState(transfer.id, transfer.state, files),
            window_bytes=window_bytes,
            files=self.files,
            received=dict(self.received),
        )
