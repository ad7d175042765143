"""What people say of a transfer: the bodies of requests, and the data of commands on sockets."""

from typing import Annotated

from pydantic import BaseModel, Field, Strict

from sharezync_shared.ids import DeviceId, UserId
from sharezync_shared.names.policies import KEY, MEDIA_TYPE, NOTE, PATH
from sharezync_transfer.api.common import FileIndex, OrderedRangesByFile
from sharezync_transfer.settings import (
    MAX_CHUNK_BYTES,
    MAX_FILES,
    MAX_RECIPIENTS,
    MIN_CHUNK_BYTES,
)
from sharezync_transfer.usecases.offering import OfferedFile

Key = Annotated[str, KEY]


class RecipientChoice(BaseModel):
    """Somebody to whom it is offered."""

    user_id: UserId
    device_id: DeviceId | None = Field(
        None, description="Only this device; null: whichever accepts"
    )


class FileOffer(BaseModel):
    """A file as its sender describes it."""

    name: Annotated[str, PATH] = Field(
        description="Of a folder, the path below it: `photos/2026/a.jpg`",
        examples=["film.mkv"],
    )
    size: int = Field(ge=0, le=2**62, strict=True, description="In bytes", examples=[67108864])
    mime: Annotated[str, MEDIA_TYPE] | None = Field(None, examples=["video/x-matroska"])
    sha256: str | None = Field(
        None, pattern=r"^[0-9a-fA-F]{64}$", description="Of the whole file, if it is known"
    )

    def offered(self) -> OfferedFile:
        digest = bytes.fromhex(self.sha256) if self.sha256 else None
        return OfferedFile(self.name, self.size, self.mime, digest)


class TransferOffer(BaseModel):
    """An offer of files to people."""

    recipients: list[RecipientChoice] = Field(min_length=1, max_length=MAX_RECIPIENTS)
    files: list[FileOffer] = Field(min_length=1, max_length=MAX_FILES)
    chunk_size: int = Field(
        MAX_CHUNK_BYTES,
        ge=MIN_CHUNK_BYTES,
        le=MAX_CHUNK_BYTES,
        strict=True,
        description="In bytes",
    )
    note: Annotated[str, NOTE] = ""
    expires_in_s: float | None = Field(
        None,
        ge=1,
        le=366 * 86400,
        strict=True,
        description="How long the offer stands; null: as is usual here",
    )
    client_transfer_id: Key | None = Field(
        None, description="The same again finds the first offer, for ever"
    )


class Acceptance(BaseModel):
    """What of an offer is taken."""

    files: list[Annotated[FileIndex, Strict()]] | None = Field(
        None, max_length=MAX_FILES, description="Indexes of files; null: all of them"
    )


class Resumption(BaseModel):
    """From where it goes on."""

    have: OrderedRangesByFile | None = Field(
        None, description="What the recipient holds here; null: what is on record"
    )


class NoDetails(BaseModel):
    """Nothing needs to be said; whatever is said is ignored."""
