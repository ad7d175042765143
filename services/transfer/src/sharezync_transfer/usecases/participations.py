"""Participations: what a gateway needs to know before it moves chunks for somebody."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from sharezync_shared.contracts.transfer import (
    AttachedFile,
    FileState,
    ParticipationRead,
    TransferState,
)
from sharezync_shared.ranges import Pair
from sharezync_transfer.access import Actor, Role, TransferAggregate
from sharezync_transfer.cutting import chunk_count
from sharezync_transfer.schemas import TransferRead


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
