"""Bodies that tests send piece by piece, and uploads that they are sent to."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from services.storage.tests.support import Person, World
from sharezync_storage.errors import BodyBroken
from sharezync_storage.models import Upload, UploadId
from sharezync_storage.usecases import tus_uploads
from sharezync_storage.usecases.checksums import Checksum
from sharezync_storage.usecases.context import StorageContext
from sharezync_storage.usecases.tus_uploads import TusCreation
from sharezync_testkit.waiting import wait_until


class Line:
    """A body as it comes over a line: sent bit by bit, ended, or broken off."""

    def __init__(self, *pieces: bytes) -> None:
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._taken = 0
        self._sent = 0
        self._broken = False
        self.asked = asyncio.Event()
        """Set when somebody begins to read."""
        for piece in pieces:
            self.send(piece)

    def send(self, piece: bytes) -> None:
        """Have one more piece come."""
        self._sent += 1
        self._waiting.put_nowait(piece)

    def end(self) -> None:
        """Have the body end as it should."""
        self._waiting.put_nowait(None)

    def hang_up(self) -> None:
        """Have the client be gone in the middle."""
        self._broken = True
        self._waiting.put_nowait(None)

    async def arrived(self) -> None:
        """Wait until all that was sent has been taken from the line."""
        await wait_until(lambda: self._taken == self._sent)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.asked.set()
        while (piece := await self._waiting.get()) is not None:
            self._taken += 1
            yield piece
        if self._broken:
            raise BodyBroken


def whole(*pieces: bytes) -> Line:
    """Return a body that comes at once and whole."""
    line = Line(*pieces)
    line.end()
    return line


def broken(*pieces: bytes) -> Line:
    """Return a body that breaks off after these pieces."""
    line = Line(*pieces)
    line.hang_up()
    return line


@dataclass
class Sender:
    """Somebody with one upload, at one replica."""

    parts: StorageContext
    owner: Person
    id: UploadId

    @classmethod
    async def begin(
        cls, world: World, owner: Person, length: int | None, *, partial: bool = False
    ) -> "Sender":
        """Begin an upload."""
        creation = TusCreation(
            "film.mp4",
            "video/mp4",
            length,
            metadata="filename ZmlsbS5tcDQ=",
            concat="partial" if partial else None,
        )
        upload, _ = await tus_uploads.create(world.parts, owner_id=owner.id, creation=creation)
        return cls(world.parts, owner, UploadId(upload.id))

    def at(self, world: World) -> "Sender":
        """Return the same, at another replica."""
        return Sender(world.parts, self.owner, self.id)

    async def append(
        self,
        offset: int,
        body: Line | bytes,
        *,
        length: int | None = None,
        checksum: Checksum | None = None,
    ) -> Upload:
        """Send a body."""
        return await tus_uploads.append(
            self.parts,
            owner_id=self.owner.id,
            upload_id=self.id,
            offset=offset,
            pieces=whole(body) if isinstance(body, bytes) else body,
            length=length,
            checksum=checksum,
        )

    def start(self, offset: int, body: Line) -> "asyncio.Task[Upload]":
        """Begin to send a body, whose end is up to the test."""
        return asyncio.create_task(self.append(offset, body))

    async def look(self) -> Upload:
        """Ask how far it is."""
        return await tus_uploads.status(self.parts, owner_id=self.owner.id, upload_id=self.id)

    async def offset(self) -> int:
        """Ask where to go on."""
        return (await self.look()).stored_bytes

    async def terminate(self) -> None:
        """Give it up."""
        await tus_uploads.terminate(self.parts, owner_id=self.owner.id, upload_id=self.id)

    async def stalled(self) -> None:
        """Wait until whoever writes to it here has stalled."""
        writers = self.parts.writers._writers
        await wait_until(lambda: self.id in writers and writers[self.id].stalled)

    async def content(self) -> bytes:
        """Return what the file holds that it has become."""
        answer = await self.owner.http.get(f"/v1/files/{self.id}/content")
        assert answer.status_code == 200, answer.text
        return answer.content
