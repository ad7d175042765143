"""What storage publishes: files."""

from typing import ClassVar
from uuid import UUID

from sharezync_shared.events.contracts import Event


class FileStored(Event, frozen=True, kw_only=True):
    """A file was completed and verified."""

    type: ClassVar[str] = "storage.file.stored.v1"
    about: ClassVar[str] = "file_id"

    file_id: UUID
    owner_id: UUID
    size_bytes: int
    media_type: str
    sha256: str | None = None
    """Hexadecimal, of the whole file, where it is known."""


class FileDeleted(Event, frozen=True, kw_only=True):
    """A file was deleted; its content can no longer be read."""

    type: ClassVar[str] = "storage.file.deleted.v1"
    about: ClassVar[str] = "file_id"

    file_id: UUID
    owner_id: UUID
