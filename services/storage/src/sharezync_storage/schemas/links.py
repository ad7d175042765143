"""Links and signed URLs as they go over the wire."""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from sharezync_shared.contracts.storage import MAX_URL_SECONDS
from sharezync_shared.names.policies import verbatim
from sharezync_storage.models import Link
from sharezync_storage.passwords import MAX_CHARACTERS
from sharezync_storage.usecases.links import NewLink, OpenedLink
from sharezync_storage.usecases.urls import IssuedUrl

_DAY_SECONDS: Final = 24 * 3600

Lifetime = Annotated[int, Field(ge=1, le=MAX_URL_SECONDS, strict=True)]


class UrlCreate(BaseModel):
    """The lifetime of a URL."""

    expires_in_seconds: Lifetime = MAX_URL_SECONDS


class UrlRead(BaseModel):
    """A signed URL. Everyone who has it can use it until it expires."""

    url: str = Field(
        examples=["/v1/files/01936f0c-2b7e-7d33-8a53-6d9f4c1e2b70/content?expires=…&signature=…"],
        description="Absolute URL, or a path of this API",
    )
    expires_at: datetime

    @classmethod
    def from_url(cls, url: IssuedUrl) -> "UrlRead":
        """Return it as it is told."""
        return cls(url=url.url, expires_at=url.expires_at)


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


class LinkRead(BaseModel):
    """A link to a file."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: UUID
    file_id: UUID
    has_password: bool
    max_downloads: int | None
    downloads_left: int | None
    """Remaining downloads; null: without limit."""
    expires_at: datetime
    created_at: datetime

    @classmethod
    def from_link(cls, link: Link) -> "LinkRead":
        """Return it as its owner is told."""
        return cls(
            id=link.id,
            file_id=link.file_id,
            has_password=link.password_hash is not None,
            max_downloads=link.max_downloads,
            downloads_left=link.downloads_left,
            expires_at=link.expires_at,
            created_at=link.created_at,
        )


class LinkCreated(LinkRead):
    """A new link with its token, which is only shown once."""

    token: str = Field(
        examples=["5Wq3mJ0fXk1s9Zt4Rb7uYc2hNd8vLe6a"], description="Token of the link"
    )
    path: str = Field(
        examples=["/v1/links/5Wq3mJ0fXk1s9Zt4Rb7uYc2hNd8vLe6a"],
        description="Path of the link in this API",
    )

    @classmethod
    def of_new(cls, new: NewLink) -> "LinkCreated":
        """Return it as its owner is told, once."""
        fields = LinkRead.from_link(new.link).model_dump()
        return cls(**fields, token=new.token, path=f"/v1/links/{new.token}")


class LinkLook(BaseModel):
    """A link as everyone who has it sees it. With a password, the file isn't described."""

    model_config = ConfigDict(use_attribute_docstrings=True)

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
        link, file = followed.link, followed.file
        asks = link.password_hash is not None
        return cls(
            name=None if asks else file.name,
            size_bytes=None if asks else file.size_bytes,
            mime=None if asks else file.mime,
            asks_password=asks,
            downloads_left=link.downloads_left,
            expires_at=link.expires_at,
        )


class LinkOpen(BaseModel):
    """The password of a link."""

    password: Annotated[str, verbatim("password", MAX_CHARACTERS)] | None = Field(
        None, description="Password, if the link requires one"
    )
