"""Bodies of requests and responses, and how they are made from rows."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from sharezync_shared.names.policies import FILE_NAME, MEDIA_TYPE
from sharezync_storage.models import File
from sharezync_storage.settings import MAX_CHUNK_BYTES
from sharezync_storage.usecases.finishing import Finished
from sharezync_storage.usecases.quota import Room
from sharezync_storage.usecases.uploads import Begun, Coming, Status, plan_of

Sha256Hex = Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{64}$", to_lower=True)]
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
    def of(cls, file: File) -> "FileRead":
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


class FilePage(BaseModel):
    """A page of files."""

    items: list[FileRead]
    next: str | None = Field(description="`cursor` of the next page; null on the last page")


class FileList(BaseModel):
    """The requested files that exist, in no order."""

    files: list[FileRead]


class UsageRead(BaseModel):
    """Usage of a quota."""

    quota_bytes: int
    used_bytes: int = Field(description="Bytes that files use")
    reserved_bytes: int = Field(description="Bytes that are reserved for uploads")

    @classmethod
    def of(cls, room: Room) -> "UsageRead":
        """Return it as it is told."""
        return cls(
            quota_bytes=room.quota_bytes,
            used_bytes=room.used_bytes,
            reserved_bytes=room.reserved_bytes,
        )


ChunkSize = Annotated[int, Field(ge=1, le=MAX_CHUNK_BYTES, strict=True)]


class FileComing(BaseModel):
    """A file to upload in chunks."""

    name: Annotated[str, FILE_NAME]
    size_bytes: int = Field(ge=0, strict=True)
    mime: Annotated[str, MEDIA_TYPE] | None = None
    sha256: Sha256Hex | None = Field(
        None, description="SHA-256 of the file, verified on completion"
    )

    def coming(self) -> Coming:
        """Return it as the use case takes it."""
        sha256 = bytes.fromhex(self.sha256) if self.sha256 else None
        return Coming(self.name, self.size_bytes, self.mime, sha256)


class UploadCreate(FileComing):
    """The same, whose it will be, and how it is cut."""

    owner_id: UUID
    chunk_size_bytes: ChunkSize


class UploadCreated(BaseModel):
    """A new upload. Its file will have the same id."""

    id: UUID
    chunk_count: int

    @classmethod
    def of(cls, begun: Begun) -> "UploadCreated":
        """Return it as services are told."""
        return cls(id=begun.id, chunk_count=begun.plan.count)


class UploadRead(BaseModel):
    """State of an upload."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: UUID
    size_bytes: int
    chunk_size_bytes: int
    chunk_count: int
    stored_bytes: int
    stored: list[tuple[int, int]]
    """Ranges of chunk indexes, both ends inclusive."""
    state: Literal["created", "receiving", "verifying", "finished", "failed", "aborted"]
    root: str | None
    """SHA-256 over the digests of the chunks in order, once finished."""
    sha256: str | None
    """SHA-256 of the file, if the sender gave it."""
    file_id: UUID | None
    """Id of the file, once finished."""

    @classmethod
    def of(cls, status: Status) -> "UploadRead":
        """Return it as services are told."""
        upload, plan = status.upload, plan_of(status.upload)
        return cls.model_validate(
            {
                "id": upload.id,
                "size_bytes": plan.size_bytes,
                "chunk_size_bytes": plan.chunk_size_bytes,
                "chunk_count": plan.count,
                "stored_bytes": upload.stored_bytes,
                "stored": status.stored.pairs(),
                "state": upload.state,
                "root": upload.root.hex() if upload.root else None,
                "sha256": upload.sha256.hex() if upload.sha256 else None,
                "file_id": upload.id if upload.state == "finished" else None,
            }
        )


class ChunkStored(BaseModel):
    """A stored chunk, and the state of its upload."""

    stored_bytes: int
    through: int = Field(description="Number of chunks stored without a gap from the first")
    complete: bool


class UploadFinished(BaseModel):
    """The file of an upload."""

    file_id: UUID
    root: str
    sha256: str | None

    @classmethod
    def of(cls, finished: Finished) -> "UploadFinished":
        """Return it as services are told."""
        return cls(
            file_id=finished.file_id,
            root=(finished.root or b"").hex(),
            sha256=finished.sha256.hex() if finished.sha256 else None,
        )
