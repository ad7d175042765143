"""Files, quotas and uploads in chunks as they go over the wire."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field

from sharezync_shared.contracts import storage
from sharezync_storage.models import File
from sharezync_storage.usecases.assembler import FinishedUpload
from sharezync_storage.usecases.chunk_uploads import Begun, Coming, Status
from sharezync_storage.usecases.quota import QuotaUsage
from sharezync_storage.usecases.uploads import plan_of

_EXAMPLE_SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


class FileRead(BaseModel):
    """A file. Its content never changes."""

    id: UUID
    name: str = Field(
        examples=["holiday.jpg"], description="Cleaned name, safe to show and to save"
    )
    size_bytes: int
    mime: str = Field(
        examples=["image/jpeg"], description="Media type that the client sent, not verified"
    )
    sha256: str | None = Field(
        examples=[_EXAMPLE_SHA256],
        description="SHA-256 of the content, hexadecimal; null if unknown",
    )
    owner_id: UUID
    created_at: datetime

    @classmethod
    def from_file(cls, file: File) -> "FileRead":
        """Return what everyone who may see a file sees of it."""
        return cls(
            id=file.id,
            name=file.name,
            size_bytes=file.size_bytes,
            mime=file.mime,
            sha256=file.sha256.hex() if file.sha256 else None,
            owner_id=file.owner_id,
            created_at=file.created_at,
        )


class UsageRead(BaseModel):
    """Usage of a quota."""

    quota_bytes: int
    used_bytes: int = Field(description="Bytes that files use")
    reserved_bytes: int = Field(description="Bytes that are reserved for uploads")

    @classmethod
    def from_usage(cls, room: QuotaUsage) -> "UsageRead":
        """Return it as it is told."""
        return cls(
            quota_bytes=room.quota_bytes,
            used_bytes=room.used_bytes,
            reserved_bytes=room.reserved_bytes,
        )


def coming_of(file: storage.FileComing) -> Coming:
    """Return a file that is to come as the use case takes it."""
    sha256 = bytes.fromhex(file.sha256) if file.sha256 else None
    return Coming(file.name, file.size_bytes, file.mime, sha256)


def created_of(begun: Begun) -> storage.UploadCreated:
    """Return a new upload as services see it."""
    return storage.UploadCreated(begun.id, begun.plan.count)


def upload_of(status: Status) -> storage.UploadRead:
    """Return an upload as services see it."""
    upload, plan = status.upload, plan_of(status.upload)
    return storage.UploadRead(
        id=upload.id,
        size_bytes=plan.size_bytes,
        chunk_size_bytes=plan.chunk_size_bytes,
        chunk_count=plan.count,
        stored_bytes=upload.stored_bytes,
        stored=status.stored.pairs(),
        state=upload.state,
        root=upload.root.hex() if upload.root else None,
        sha256=upload.sha256.hex() if upload.sha256 else None,
        file_id=upload.id if upload.state == "finished" else None,
    )


def finished_of(finished: FinishedUpload) -> storage.UploadFinished:
    """Return what an upload has become as services see it."""
    return storage.UploadFinished(
        file_id=finished.file_id,
        root=(finished.root or b"").hex(),
        sha256=finished.sha256.hex() if finished.sha256 else None,
    )
