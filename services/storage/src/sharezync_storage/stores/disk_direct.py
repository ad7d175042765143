# ruff: noqa: ARG002 - what these would need is what the port has for others
"""No uploads straight from clients: nobody reaches a folder but through us."""

from collections.abc import Sequence

from sharezync_storage.stores.port import DirectPart, NoSuchBlob


class OnlyThroughUs:
    """That part of `BlobStore`, for a store that clients can't reach."""

    async def link(
        self, key: str, *, expires_in_seconds: int, content_type: str, disposition: str
    ) -> None:
        """Have them download from us."""

    async def begin_direct(
        self, key: str, *, size_bytes: int, part_bytes: int, content_type: str
    ) -> None:
        """Have them upload to us."""

    async def direct_parts(
        self,
        key: str,
        direct_id: str,
        *,
        size_bytes: int,
        part_bytes: int,
        content_type: str,
        expires_in_seconds: int,
    ) -> list[DirectPart]:
        raise NoSuchBlob(key)

    async def complete_direct(
        self, key: str, direct_id: str, etags: Sequence[str], *, size_bytes: int
    ) -> None:
        raise NoSuchBlob(key)

    async def abort_direct(self, key: str, direct_id: str) -> None:
        """Leave nothing, which is what there is."""
