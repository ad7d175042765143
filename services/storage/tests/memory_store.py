"""A store in memory: how little an adapter has to be (docs/how-to/add-a-store.md)."""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager

from sharezync_storage.keys import checked
from sharezync_storage.stores.object_uploads import ObjectUploads
from sharezync_storage.stores.pieces import sha256_of
from sharezync_storage.stores.port import PIECE_BYTES, NoSuchBlob, StoredBlob


class MemoryStore(ObjectUploads):
    """Objects in a dictionary, for as long as the process lives."""

    def __init__(self) -> None:
        super().__init__("storage-memory")
        self._objects: dict[str, bytes] = {}

    async def start(self) -> None:
        """Nothing to connect to."""

    async def aclose(self) -> None:
        self.threads.close()

    async def ready(self) -> bool:
        return True

    async def put(self, key: str, pieces: AsyncIterable[bytes]) -> StoredBlob:
        body = b"".join([piece async for piece in pieces])
        await self.write(key, body)
        return StoredBlob(len(body), sha256_of([body]))

    async def write(self, key: str, body: bytes) -> None:
        self._objects[checked(key)] = body

    @asynccontextmanager
    async def open(
        self, key: str, *, offset: int = 0, length: int | None = None
    ) -> AsyncGenerator[AsyncIterator[bytes]]:
        body = self._found(key)
        end = len(body) if length is None else offset + length

        async def pieces() -> AsyncGenerator[bytes]:
            for start in range(offset, end, PIECE_BYTES):
                yield body[start : min(start + PIECE_BYTES, end)]

        yield pieces()

    async def size(self, key: str) -> int:
        return len(self._found(key))

    async def keys(self, prefix: str) -> list[str]:
        return [key for key in self._objects if key.startswith(prefix)]

    async def delete(self, key: str) -> None:
        self._objects.pop(checked(key), None)

    async def tidy(self, key: str) -> None:
        checked(key)  # a write that is interrupted leaves nothing

    def _found(self, key: str) -> bytes:
        body = self._objects.get(checked(key))
        if body is None:
            raise NoSuchBlob(key)
        return body
