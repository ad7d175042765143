"""Bodies of requests, and data of commands on sockets."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, Strict

from sharezync_shared.contracts.transfer import FileIndex, OrderedRangesByFile
from sharezync_shared.ids import DeviceId, UserId
from sharezync_shared.names.policies import KEY, MEDIA_TYPE, NOTE, PATH
from sharezync_shared.sizes import MAX_CHUNK_BYTES
from sharezync_transfer.settings import (
    MAX_FILES,
    MAX_RECIPIENTS,
    MIN_CHUNK_BYTES,
)
from sharezync_transfer.usecases.offering import OfferedFile

Key = Annotated[str, KEY]


class RecipientChoice(BaseModel):
    """A recipient of an offer."""

    user_id: UserId
    device_id: DeviceId | None = Field(
        None, description="Only this device; null: any device of the user"
    )


class FileOffer(BaseModel):
    """A file to offer."""

    name: Annotated[str, PATH] = Field(
        description="Name of the file, or its path in a folder: `photos/2026/a.jpg`",
        examples=["film.mkv"],
    )
    size: int = Field(ge=0, le=2**62, strict=True, description="Size in bytes", examples=[67108864])
    mime: Annotated[str, MEDIA_TYPE] | None = Field(
        None, examples=["video/x-matroska"], description="Media type"
    )
    sha256: str | None = Field(
        None, pattern=r"^[0-9a-fA-F]{64}$", description="SHA-256 of the file, hexadecimal, if known"
    )

    def offered(self) -> OfferedFile:
        digest = bytes.fromhex(self.sha256) if self.sha256 else None
        return OfferedFile(self.name, self.size, self.mime, digest)


class TransferOffer(BaseModel):
    """An offer of files to users."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "recipients": [{"user_id": "01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10"}],
                    "files": [{"name": "film.mkv", "size": 67108864, "mime": "video/x-matroska"}],
                    "note": "From last summer",
                },
                {
                    "recipients": [
                        {
                            "user_id": "01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10",
                            "device_id": "01936f0c-5a01-7b1e-9c4f-6f1d2b8e4a77",
                        }
                    ],
                    "files": [
                        {"name": "photos/2026/a.jpg", "size": 48213},
                        {"name": "photos/2026/b.jpg", "size": 51877},
                    ],
                    "expires_in_s": 3600,
                    "client_transfer_id": "laptop-7f3a-12",
                },
            ]
        }
    )

    recipients: list[RecipientChoice] = Field(min_length=1, max_length=MAX_RECIPIENTS)
    files: list[FileOffer] = Field(min_length=1, max_length=MAX_FILES)
    chunk_size: int = Field(
        MAX_CHUNK_BYTES,
        ge=MIN_CHUNK_BYTES,
        le=MAX_CHUNK_BYTES,
        strict=True,
        description="Size of each chunk but the last, in bytes",
    )
    note: Annotated[str, NOTE] = Field("", description="Message to the recipients")
    expires_in_s: float | None = Field(
        None,
        ge=1,
        le=366 * 86400,
        strict=True,
        description="Seconds until the offer expires; null: the default of the server",
    )
    client_transfer_id: Key | None = Field(
        None, description="Idempotency key: offering again with it returns the first transfer"
    )


class Acceptance(BaseModel):
    """The files of an offer to accept."""

    files: list[Annotated[FileIndex, Strict()]] | None = Field(
        None, max_length=MAX_FILES, description="Indexes of files; null: all"
    )


class ResumeRequest(BaseModel):
    """The position to resume a transfer from."""

    have: OrderedRangesByFile | None = Field(
        None, description="Chunks that the recipient has; null: those it has confirmed"
    )


class NoDetails(BaseModel):
    """Commands without parameters; any are ignored."""
