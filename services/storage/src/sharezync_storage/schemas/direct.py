"""Uploads by signed URLs as they go over the wire."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from sharezync_shared.contracts.storage import Sha256Hex
from sharezync_shared.names.policies import FILE_NAME, MEDIA_TYPE
from sharezync_storage.schemas import Read
from sharezync_storage.usecases.direct_uploads import DirectUpload

_EXAMPLE_URL = "/v1/files/presigned/01936f0c-2b7e-7d33-8a53-6d9f4c1e2b70/parts/1?expires=…"


class DirectCreate(BaseModel):
    """A file to upload by presigned URLs."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"name": "holiday.mp4", "size_bytes": 750000000, "mime": "video/mp4"},
                {"name": "notes.txt", "size_bytes": 0},
            ]
        }
    )

    name: Annotated[str, FILE_NAME] = Field(examples=["holiday.mp4"])
    size_bytes: int = Field(ge=0, strict=True, examples=[750_000_000])
    mime: Annotated[str, MEDIA_TYPE] | None = Field(None, examples=["video/mp4"])
    sha256: Sha256Hex | None = Field(
        None,
        description="SHA-256 of the file, hexadecimal. If given, it is verified on completion, for "
        "which the file is read once more; otherwise the file has none",
    )


class PartRead(Read):
    """Where to upload a part: PUT exactly its size, with these headers and no token."""

    number: int
    """Number of the part, from 1. Parts are consecutive in the file."""
    size_bytes: int
    url: str = Field(examples=[_EXAMPLE_URL])
    """Absolute URL, or a path of this API."""
    headers: dict[str, str]
    """Headers to send unchanged: they are signed."""


class DirectRead(Read):
    """An upload by presigned URLs. Its file will have the same id."""

    id: UUID
    name: str = Field(
        examples=["holiday.mp4"], description="Cleaned name, safe to show and to save"
    )
    size_bytes: int
    mime: str
    state: Literal["created", "receiving", "verifying", "finished"]
    parts: list[PartRead]
    """All parts, uploaded or not; empty once the upload is finished."""
    urls_expire_at: datetime
    """When the URLs expire. Get the upload again for fresh ones."""
    expires_at: datetime | None
    """When the upload expires unless it is used; null once finished."""
    file_id: UUID | None
    """Id of the file, once finished."""

    @classmethod
    def from_upload(cls, ticket: DirectUpload) -> "DirectRead":
        """Return it as its owner is told."""
        names = cls.model_fields.keys() - {"parts", "urls_expire_at"}
        given = {name: getattr(ticket.upload, name) for name in names}
        return cls.model_validate(
            {**given, "parts": ticket.parts, "urls_expire_at": ticket.urls_expire_at}
        )


class PartSent(BaseModel):
    """An uploaded part."""

    number: int = Field(ge=1, le=100_000, strict=True)
    etag: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[!-~]+$")] = (
        Field(examples=['"9f86d081884c7d659a2feaa0c55ad015"'])
    )


class DirectComplete(BaseModel):
    """All parts of an upload, in any order."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"parts": [{"number": 1, "etag": '"9f86d081884c7d659a2feaa0c55ad015"'}]},
                {"parts": []},
            ]
        }
    )

    parts: list[PartSent] = Field(max_length=10_000)
