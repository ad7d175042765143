"""What goes over the wire."""

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from sharezync_shared.contracts.storage import MAX_URL_SECONDS, Sha256Hex
from sharezync_shared.examples import examples
from sharezync_shared.names.policies import FILE_NAME, MEDIA_TYPE, verbatim
from sharezync_storage.passwords import MAX_CHARACTERS
from sharezync_storage.usecases.direct_uploads import DirectUpload
from sharezync_storage.usecases.links import OpenedLink

_EXAMPLE_SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_EXAMPLE_URL = "/v1/files/presigned/01936f0c-2b7e-7d33-8a53-6d9f4c1e2b70/parts/1?expires=…"
_DAY_SECONDS: Final = 24 * 3600


class Read(BaseModel):
    """A document that is read from a row, or whatever else has attributes of its names."""

    model_config = ConfigDict(from_attributes=True, use_attribute_docstrings=True)


def _hexadecimal(value: bytes | str | None) -> str | None:
    return value.hex() if isinstance(value, bytes) else value


Digest = Annotated[str | None, BeforeValidator(_hexadecimal)]
"""A digest, hexadecimal; rows have it as bytes."""


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


# --- uploads --------------------------------------------------------------------------------


class ResumableUpload(Read):
    """A resumable upload."""

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


class DirectCreate(BaseModel):
    """A file to upload by presigned URLs."""

    model_config = examples(
        {"name": "holiday.mp4", "size_bytes": 750000000, "mime": "video/mp4"},
        {"name": "notes.txt", "size_bytes": 0},
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
        """Return it as its owner sees it."""
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

    model_config = examples(
        {"parts": [{"number": 1, "etag": '"9f86d081884c7d659a2feaa0c55ad015"'}]},
        {"parts": []},
    )

    parts: list[PartSent] = Field(max_length=10_000)


# --- links and signed URLs ------------------------------------------------------------------


Lifetime = Annotated[int, Field(ge=1, le=MAX_URL_SECONDS, strict=True)]


class UrlCreate(BaseModel):
    """The lifetime of a URL."""

    expires_in_seconds: Lifetime = MAX_URL_SECONDS


class UrlRead(Read):
    """A signed URL. Everyone who has it can use it until it expires."""

    url: str = Field(
        examples=["/v1/files/01936f0c-2b7e-7d33-8a53-6d9f4c1e2b70/content?expires=…&signature=…"],
        description="Absolute URL, or a path of this API",
    )
    expires_at: datetime


class LinkCreate(BaseModel):
    """Limits of a link."""

    model_config = ConfigDict(
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                {"expires_in_seconds": 86400, "max_downloads": 5},
                {"password": "between you and me"},
            ]
        },
    )

    expires_in_seconds: int = Field(
        7 * _DAY_SECONDS, ge=60, le=365 * _DAY_SECONDS, strict=True, examples=[7 * _DAY_SECONDS]
    )
    password: Annotated[str, verbatim("password", MAX_CHARACTERS, 4)] | None = Field(
        None, examples=["between you and me"]
    )
    """Password that each download requires. It can't be retrieved later."""
    max_downloads: int | None = Field(None, ge=1, le=1_000_000, strict=True, examples=[5])
    """How often the file can be downloaded; null: without limit."""


class LinkRead(Read):
    """A link to a file."""

    id: UUID
    file_id: UUID
    has_password: bool
    max_downloads: int | None
    downloads_left: int | None
    """Remaining downloads; null: without limit."""
    expires_at: datetime
    created_at: datetime


class LinkCreated(LinkRead):
    """A new link with its token, which is only shown once."""

    token: str = Field(
        examples=["5Wq3mJ0fXk1s9Zt4Rb7uYc2hNd8vLe6a"], description="Token of the link"
    )
    path: str = Field(
        examples=["/v1/links/5Wq3mJ0fXk1s9Zt4Rb7uYc2hNd8vLe6a"],
        description="Path of the link in this API",
    )


class LinkLook(Read):
    """A link as everyone who has it sees it. With a password, the file isn't described."""

    name: str | None = Field(
        examples=["holiday.jpg"], description="Name of the file; null if a password is required"
    )
    size_bytes: int | None = Field(
        examples=[1_500_000], description="Size in bytes; null if a password is required"
    )
    mime: str | None = Field(
        examples=["image/jpeg"], description="Media type; null if a password is required"
    )
    asks_password: bool
    downloads_left: int | None
    """Remaining downloads; null: without limit."""
    expires_at: datetime

    @classmethod
    def from_link(cls, followed: OpenedLink) -> "LinkLook":
        """Return it as strangers see it."""
        link = followed.link
        file = None if link.has_password else followed.file
        return cls(
            name=file and file.name,
            size_bytes=file and file.size_bytes,
            mime=file and file.mime,
            asks_password=link.has_password,
            downloads_left=link.downloads_left,
            expires_at=link.expires_at,
        )


class LinkOpen(BaseModel):
    """The password of a link."""

    password: Annotated[str, verbatim("password", MAX_CHARACTERS)] | None = Field(
        None, description="Password, if the link requires one"
    )
