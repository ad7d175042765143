"""Links and signed URLs as they go over the wire."""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from sharezync_shared.contracts.storage import MAX_URL_SECONDS
from sharezync_shared.names.policies import verbatim
from sharezync_storage.passwords import MAX_CHARACTERS
from sharezync_storage.schemas import Read
from sharezync_storage.usecases.links import OpenedLink

_DAY_SECONDS: Final = 24 * 3600

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
        """Return it as strangers are told."""
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
