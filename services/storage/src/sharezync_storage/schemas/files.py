"""Files and quotas as they go over the wire."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field

from sharezync_storage.schemas import Digest, Read

_EXAMPLE_SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


class FileRead(Read):
    """A file. Its content never changes."""

    id: UUID
    name: str = Field(
        examples=["holiday.jpg"], description="Cleaned name, safe to show and to save"
    )
    size_bytes: int
    mime: str = Field(
        examples=["image/jpeg"], description="Media type that the client sent, not verified"
    )
    sha256: Digest = Field(
        examples=[_EXAMPLE_SHA256],
        description="SHA-256 of the content, hexadecimal; null if unknown",
    )
    owner_id: UUID
    created_at: datetime


class UsageRead(BaseModel):
    """Usage of a quota."""

    quota_bytes: int
    used_bytes: int = Field(description="Bytes that files use")
    reserved_bytes: int = Field(description="Bytes that are reserved for uploads")
