"""Uploads by signed URLs as they go over the wire."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from sharezync_shared.names.policies import FILE_NAME, MEDIA_TYPE
from sharezync_storage.api.wire import Sha256Hex
from sharezync_storage.stores import DirectPart
from sharezync_storage.usecases.direct import Ticket

_EXAMPLE_URL = "/v1/files/presigned/01936f0c-2b7e-7d33-8a53-6d9f4c1e2b70/parts/1?expires=…"


class DirectCreate(BaseModel):
    """What is going to come."""

    name: Annotated[str, FILE_NAME] = Field(examples=["holiday.mp4"])
    size_bytes: int = Field(ge=0, strict=True, examples=[750_000_000])
    mime: Annotated[str, MEDIA_TYPE] | None = Field(None, examples=["video/mp4"])
    sha256: Sha256Hex | None = Field(
        None,
        description="Of the whole. It is checked at the end, for which all of it is read once "
        "more, and the file has it then; without, nobody computes one, and the file has none",
    )


class PartRead(BaseModel):
    """Where one part goes: PUT exactly so many bytes, with these headers and no token."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    number: int
    """From 1. Parts follow each other in the file, without a gap."""
    size_bytes: int
    url: str = Field(examples=[_EXAMPLE_URL])
    """Absolute, or a path at the gateway."""
    headers: dict[str, str]
    """To be sent as they are: they are signed."""

    @classmethod
    def of(cls, part: DirectPart) -> "PartRead":
        """Return it as it is told."""
        return cls(
            number=part.number, size_bytes=part.size_bytes, url=part.url, headers=part.headers
        )


class DirectRead(BaseModel):
    """An upload by signed URLs. The id is also that of the file which it will become."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: UUID
    name: str = Field(examples=["holiday.mp4"], description="Cleaned: safe to show and to save")
    size_bytes: int
    mime: str
    state: Literal["created", "receiving", "verifying", "finished"]
    parts: list[PartRead]
    """All of them, whether they were sent or not; none once the upload is a file."""
    urls_expire_at: datetime
    """Then ask again: the same upload has fresh ones."""
    expires_at: datetime | None
    """When the upload is given up, if nobody asks for it any more."""
    file_id: UUID | None
    """Once finished."""

    @classmethod
    def of(cls, ticket: Ticket) -> "DirectRead":
        """Return it as its owner is told."""
        upload = ticket.upload
        return cls.model_validate(
            {
                "id": upload.id,
                "name": upload.name,
                "size_bytes": upload.size_bytes,
                "mime": upload.mime,
                "state": upload.state,
                "parts": [PartRead.of(part) for part in ticket.parts],
                "urls_expire_at": ticket.urls_expire_at,
                "expires_at": upload.expires_at,
                "file_id": upload.id if upload.state == "finished" else None,
            }
        )


class PartSent(BaseModel):
    """One part that was sent, and how it was answered."""

    number: int = Field(ge=1, le=100_000, strict=True)
    etag: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[!-~]+$")] = (
        Field(examples=['"9f86d081884c7d659a2feaa0c55ad015"'])
    )


class DirectComplete(BaseModel):
    """All parts, in any order."""

    parts: list[PartSent] = Field(max_length=10_000)
