"""How far a resumable upload is, in JSON: for frontends that want more than header fields."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from sharezync_storage.models import Upload


class ResumableUpload(BaseModel):
    """An upload that can be resumed."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: UUID
    """The file will have the same."""
    name: str = Field(examples=["holiday.jpg"])
    mime: str = Field(examples=["image/jpeg"])
    size_bytes: int | None
    """Null while it is not known."""
    stored_bytes: int
    """Durable, and the offset to go on from."""
    state: Literal["created", "receiving", "held", "verifying", "finished", "failed", "aborted"]
    """`held`: a part of something larger, complete. `verifying`: all is there, and is made into a
    file."""
    part: bool
    """Whether it is part of something larger, and will be no file by itself."""
    file_id: UUID | None
    """Once finished."""
    created_at: datetime
    expires_at: datetime | None
    """When it is given up unless more comes; null once finished."""

    @classmethod
    def of(cls, upload: Upload) -> "ResumableUpload":
        """Return it as its owner is told."""
        return cls.model_validate(
            {
                "id": upload.id,
                "name": upload.name,
                "mime": upload.mime,
                "size_bytes": upload.size_bytes,
                "stored_bytes": upload.stored_bytes,
                "state": upload.state,
                "part": upload.tus_concat == "partial",
                "file_id": upload.id if upload.state == "finished" else None,
                "created_at": upload.created_at,
                "expires_at": upload.expires_at,
            }
        )
