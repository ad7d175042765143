"""What goes over the wire, and how it is told from the rows."""

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
    """A file: complete, and never changed."""

    id: UUID
    name: str = Field(examples=["holiday.jpg"], description="Cleaned: safe to show and to save")
    size_bytes: int
    mime: str = Field(examples=["image/jpeg"], description="As its sender said, never verified")
    sha256: str | None = Field(
        examples=[_EXAMPLE_SHA256], description="Of the content; null where nobody computed it"
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
    """Some of one's files, newest first."""

    items: list[FileRead]
    next: str | None = Field(description="`cursor` of the page after, null on the last")


class FileList(BaseModel):
    """Those of the files asked for that are there, in no order."""

    files: list[FileRead]


class UsageRead(BaseModel):
    """How much of one's quota is taken."""

    quota_bytes: int
    used_bytes: int = Field(description="By files")
    reserved_bytes: int = Field(description="By uploads under way")

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
    """What is going to come."""

    name: Annotated[str, FILE_NAME]
    size_bytes: int = Field(ge=0, strict=True)
    mime: Annotated[str, MEDIA_TYPE] | None = None
    sha256: Sha256Hex | None = Field(None, description="Of the whole; checked at the end")

    def coming(self) -> Coming:
        """Return it as the use case takes it."""
        sha256 = bytes.fromhex(self.sha256) if self.sha256 else None
        return Coming(self.name, self.size_bytes, self.mime, sha256)


class UploadCreate(FileComing):
    """The same, whose it will be, and how it is cut."""

    owner_id: UUID
    chunk_size_bytes: ChunkSize


class UploadCreated(BaseModel):
    """The id is also that of the file which the upload will become."""

    id: UUID
    chunk_count: int

    @classmethod
    def of(cls, begun: Begun) -> "UploadCreated":
        """Return it as services are told."""
        return cls(id=begun.id, chunk_count=begun.plan.count)


class UploadRead(BaseModel):
    """How far an upload is."""

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
    """SHA-256 over the chunks' digests in order, once finished."""
    sha256: str | None
    """Of the whole, where the sender gave one."""
    file_id: UUID | None
    """Once finished."""

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
    """The chunk is durable, and so is what came before it."""

    stored_bytes: int
    through: int = Field(description="Number of chunks stored without a gap from the first")
    complete: bool


class UploadFinished(BaseModel):
    """What the upload has become."""

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
