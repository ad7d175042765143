"""Digests of bytes on their way: the checksum of one body, and the SHA-256 of a whole upload."""

import asyncio
import base64
import binascii
import hashlib
import zlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

from sharezync_storage.errors import ChecksumUnsupported
from sharezync_storage.settings import MIB

_BLOCK_BYTES: Final = MIB
"""What is worth a trip to a thread."""
_REMEMBERED: Final = 1000


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class _Crc32:
    """CRC-32 as zlib has it; four bytes, the most significant first."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


_MAKERS: Final[Mapping[str, Callable[[], _Hash]]] = {
    "sha1": lambda: hashlib.sha1(usedforsecurity=False),
    "sha256": hashlib.sha256,
    "md5": lambda: hashlib.md5(usedforsecurity=False),
    "crc32": _Crc32,
}
ALGORITHMS: Final = tuple(_MAKERS)
"""As tus names them: sha1 is what every server must know."""


@dataclass(frozen=True, slots=True)
class Checksum:
    """What a body must have (tus 1.0.0, Checksum)."""

    algorithm: str
    digest: bytes

    @classmethod
    def from_header(cls, header: str) -> "Checksum":
        """Return what `Upload-Checksum` says: an algorithm, and the digest in base 64.

        Raises ChecksumUnsupported where it can't be read or its algorithm isn't known.
        """
        algorithm, _, encoded = header.strip().partition(" ")
        make = _MAKERS.get(algorithm)
        try:
            digest = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            digest = b""
        if make is None or len(digest) != len(make().digest()):
            raise ChecksumUnsupported(algorithms=list(ALGORITHMS))
        return cls(algorithm, digest)

    def start(self) -> _Hash:
        return _MAKERS[self.algorithm]()


class Digests:
    """Feeds hashes in a thread, one block while the next one is gathered. For one task."""

    def __init__(self, *hashes: _Hash) -> None:
        self._hashes = hashes
        self._block: list[bytes] = []
        self._block_bytes = 0
        self.seen_bytes = 0
        self._working: asyncio.Future[None] | None = None

    async def feed(self, piece: bytes) -> None:
        self.seen_bytes += len(piece)
        if not self._hashes:
            return
        self._block.append(piece)
        self._block_bytes += len(piece)
        if self._block_bytes >= _BLOCK_BYTES:
            await self._work()

    async def settle(self) -> None:
        """Return once the hashes have seen everything."""
        if self._block:
            await self._work()
        if self._working is not None:
            await asyncio.shield(self._working)

    async def _work(self) -> None:
        if self._working is not None:
            await asyncio.shield(self._working)
        block, self._block, self._block_bytes = self._block, [], 0
        self._working = asyncio.ensure_future(asyncio.to_thread(_update, self._hashes, block))


def _update(hashes: tuple[_Hash, ...], block: list[bytes]) -> None:
    for piece in block:
        for one in hashes:
            one.update(piece)


class WholeDigests:
    """Remembers how far the SHA-256 of uploads has come, from one request to the next.

    Of those that one process writes from their first byte on; anybody else reads once at the end.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[UUID, tuple[int, int, hashlib._Hash]] = OrderedDict()
        """The epoch, how many bytes, and the hash of these."""

    def begin(self, upload_id: UUID, *, epoch: int, offset: int) -> "hashlib._Hash | None":
        """Return a hash of all bytes before `offset`; None where it isn't known.

        It is known only where the writer before this one was of this process too: between two
        epochs in a row nobody else can have written.
        """
        if offset == 0:
            return hashlib.sha256()
        kept = self._kept.pop(upload_id, None)
        return kept[2] if kept is not None and kept[:2] == (epoch - 1, offset) else None

    def keep(self, upload_id: UUID, *, epoch: int, size_bytes: int, whole: "hashlib._Hash") -> None:
        """Remember a hash of the first `size_bytes`, all of which are on record."""
        self._kept[upload_id] = (epoch, size_bytes, whole)
        self._kept.move_to_end(upload_id)
        if len(self._kept) > _REMEMBERED:
            self._kept.popitem(last=False)

    def drop(self, upload_id: UUID) -> None:
        self._kept.pop(upload_id, None)
