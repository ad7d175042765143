"""Somebody's end of a transfer, as gateways are told of it."""

from typing import Self
from uuid import UUID

from pydantic import BaseModel, Field

from sharezync_shared.ids import DeviceId, UserId
from sharezync_transfer.access import Actor, Role
from sharezync_transfer.settings import TransferSettings
from sharezync_transfer.usecases.attachments import Attachment
from sharezync_transfer.usecases.wire import TransferRead


class AttachedFileRead(BaseModel):
    """The upload of a file at storage, and its chunks."""

    index: int
    upload_id: UUID = Field(description="Id of the upload at storage")
    size_bytes: int
    chunk_size_bytes: int
    chunk_count: int
    accepted: bool = Field(
        description="Whether this recipient accepted it; always true for the sender"
    )


class AttachmentRead(BaseModel):
    """The part of a user in a transfer.

    `user_id` and `device_id` belong into reports of progress. With a token they are its owner's.
    """

    user_id: UserId
    device_id: DeviceId | None
    role: Role
    transfer: TransferRead
    window_bytes: int = Field(description="Maximum of unacknowledged bytes on a connection")
    files: list[AttachedFileRead]
    received: dict[str, list[tuple[int, int]]] = Field(
        description="Ranges of chunks that a recipient has confirmed, by accepted file"
    )

    @classmethod
    def of(cls, end: Attachment, actor: Actor, settings: TransferSettings) -> Self:
        return cls(
            user_id=actor.user_id,
            device_id=actor.device_id,
            role=end.role,
            transfer=end.transfer,
            window_bytes=settings.transfer_window_bytes,
            files=[
                AttachedFileRead.model_validate(file, from_attributes=True) for file in end.files
            ],
            received={str(index): pairs for index, pairs in end.received.items()},
        )
