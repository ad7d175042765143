"""How far a resumable upload is, in JSON: for frontends that want more than header fields."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from sharezync_storage.models import Upload


class ResumableUpload(BaseModel):
    """A resumable upload."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: UUID
    """Id of the upload, and later of its file."""
    name: str = Field(examples=["holiday.jpg"])
    mime: str = Field(examples=["image/jpeg"])
    size_bytes: int | None
    """Size in bytes; null while it isn't known."""
    stored_bytes: int
    """Number of stored bytes: the offset to resume from."""
    state: Literal["created", "receiving", "held", "verifying", "finished", "failed", "aborted"]
    """State of the upload. `held`: a complete part of a larger file. `verifying`: complete, and
    being turned into a file."""
    part: bool
    """Whether it is a part of a larger file, and doesn't become a file itself."""
    file_id: UUID | None
    """Id of the file, once finished."""
    created_at: datetime
    expires_at: datetime | None
    """When it expires unless more bytes are received; null once finished."""

    @classmethod
    def from_upload(cls, upload: Upload) -> "ResumableUpload":
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
