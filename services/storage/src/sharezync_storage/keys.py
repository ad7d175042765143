"""Keys of blobs: made by us, from ids alone. The name of a file is never part of one."""

import re
from typing import Final
from uuid import UUID

_KEY: Final = re.compile(
    r"(files/[0-9a-f]{2}/[0-9a-f]{32}|uploads/[0-9a-f]{2}/[0-9a-f]{32}(/[0-9a-f-]+)?)"
)
"""Of a blob, of an upload, or of one object of an upload."""


def file_key(file_id: UUID) -> str:
    return _key("files", file_id)


def upload_key(upload_id: UUID, *, beside: UUID | None = None) -> str:
    """Return the key under which the chunks of an upload are kept until it is finished.

    In the same folder as those of the upload `beside`, where one is given.
    """
    return _key("uploads", upload_id, beside)


def checked(key: str) -> str:
    """Return `key` if it is one of ours; ValueError keeps anything else away from a path."""
    if not _KEY.fullmatch(key):
        raise ValueError(f"{key!r} is no key")
    return key


def _key(kind: str, blob_id: UUID, beside: UUID | None = None) -> str:
    # Spread by the last digits: those of a UUIDv7 are random, the first are the time.
    return f"{kind}/{(beside or blob_id).hex[-2:]}/{blob_id.hex}"
