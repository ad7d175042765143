"""Every state and every act, of every source, through the use cases themselves.

What the table allows happens; what it doesn't changes nothing.
"""

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Final, get_args
from uuid import UUID

import pytest

from services.storage.tests.lines import Line, Sender
from services.storage.tests.support import Person, World, cut
from sharezync_shared.contracts.storage import FileComing
from sharezync_shared.problems import Problem
from sharezync_storage.errors import StoreUnavailable
from sharezync_storage.models import Upload, UploadId
from sharezync_storage.settings import MIB
from sharezync_storage.states import Act, Source, UploadState, after
from sharezync_storage.usecases import chunk_uploads, direct_uploads, uploads

DATA: Final = os.urandom(9 * MIB)
CHUNK: Final = 8 * MIB
CHUNKS: Final = cut(DATA, CHUNK)


class Walk(ABC):
    """One upload from one source, brought to a state, and given an act."""

    held = False

    def __init__(self, world: World, owner: Person, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = world
        self.owner = owner
        self.patch = monkeypatch
        self.id = UploadId(UUID(int=0))

    @contextmanager
    def unfinishable(self) -> Iterator[None]:
        """Have nothing be assembled while the block runs."""

        async def away(*_: object) -> None:
            raise StoreUnavailable

        with self.patch.context() as broken:
            for name in ("assemble_chunks", "assemble", "read_chunk"):
                broken.setattr(self.world.parts.store, name, away)
            yield

    async def finish(self) -> None:
        with suppress(Problem):
            await self.world.parts.assembler.finish(self.id)

    async def expire(self) -> None:
        async with self.world.app.state.work.begin() as unit:
            upload = await unit.get(Upload, self.id, lock=True)
            upload.expires_at = datetime.now(UTC) - timedelta(seconds=1)
        await uploads.give_up_expired(self.world.app.state.work)

    async def state(self) -> str:
        async with self.world.app.state.work.read() as unit:
            upload = await unit.get(Upload, self.id)
        return str(upload.state)

    async def arrive(self, state: str, act: str) -> None:
        """Bring a new upload to `state`, such that `act` can be tried on it."""
        await self.begin(
            damaged=state == "failed" or act == "fail", held=state == "held" or act == "hold"
        )
        if state != "created":
            await self.write()
        if state == "held":
            await self.rest()
        if state == "verifying":
            with self.unfinishable():
                await self.rest()
                await self.finish()
        if state in ("finished", "failed"):
            await self.rest()
            await self.finish()
        if state == "aborted":
            await self.abort()
        assert await self.state() == state

    async def act(self, act: str) -> None:
        """Do it; refusals are told by what it changed."""
        with suppress(Problem):
            if act == "write":
                await self.write()
            elif act == "hold":
                await self.rest()
            elif act == "verify":
                with self.unfinishable():
                    await self.rest()
                    await self.finish()
            elif act in ("finish", "fail"):
                await self.finish()
            else:
                await getattr(self, act)()

    @abstractmethod
    async def begin(self, *, damaged: bool, held: bool) -> None:
        """Begin an upload: one that will not verify, or one that is to be held, where asked."""

    @abstractmethod
    async def write(self) -> None:
        """Bring some bytes, which leave others to come."""

    @abstractmethod
    async def rest(self) -> None:
        """Bring all that is missing."""

    @abstractmethod
    async def abort(self) -> None:
        """Give it up."""


class ByTus(Walk):
    async def begin(self, *, damaged: bool, held: bool) -> None:
        assert not damaged
        self.sender = await Sender.begin(self.world, self.owner, 20, partial=held)
        self.id = self.sender.id

    async def write(self) -> None:
        await self.sender.append(await self.sender.offset(), b"x")

    async def rest(self) -> None:
        offset = await self.sender.offset()
        await self.sender.append(offset, bytes(20 - offset))

    async def abort(self) -> None:
        await self.sender.terminate()


class ByChunks(Walk):
    async def begin(self, *, damaged: bool, held: bool) -> None:
        assert not held
        self.written = 0
        sha256 = bytes(32) if damaged else hashlib.sha256(DATA).digest()
        (upload,) = await chunk_uploads.begin(
            self.world.parts,
            owner_id=self.owner.id,
            coming=[FileComing(name="a", size_bytes=len(DATA), sha256=sha256.hex())],
            chunk_size_bytes=CHUNK,
        )
        self.id = UploadId(upload.id)

    async def write(self) -> None:
        data = bytearray(CHUNKS[self.written])
        if self.written:
            data[0] ^= 1  # over what is there, once it is there
        await self.put(self.written, bytes(data))
        self.written = 1 - self.written

    async def rest(self) -> None:
        for index, chunk in enumerate(CHUNKS):
            await self.put(index, chunk)

    async def put(self, index: int, data: bytes) -> None:
        digest = hashlib.sha256(data).digest()
        await self.world.parts.chunks.put(self.id, index, [data], digest)

    async def abort(self) -> None:
        await chunk_uploads.abort(self.world.app.state.work, upload_ids=[self.id])


class BySignedUrls(ByChunks):
    """Where clients can't reach the store."""

    async def begin(self, *, damaged: bool, held: bool) -> None:
        assert not held
        self.written = 0
        ticket = await direct_uploads.begin(
            self.world.parts, owner_id=self.owner.id, name="a", mime=None, size_bytes=len(DATA)
        )
        self.id = UploadId(ticket.upload.id)
        async with self.world.app.state.work.begin() as unit:
            upload = await unit.get(Upload, self.id, lock=True)
            upload.sha256 = bytes(32) if damaged else None

    async def abort(self) -> None:
        if await self.state() == "finished":
            answer = await self.owner.http.delete(f"/v1/files/{self.id}")
            assert answer.status_code == 204
        else:
            work = self.world.app.state.work
            await direct_uploads.abort(work, owner_id=self.owner.id, upload_id=self.id)


WALKS: Final[dict[Source, type[Walk]]] = {
    "tus": ByTus,
    "chunks": ByChunks,
    "direct": BySignedUrls,
}
NEVER: Final = {
    # No digest of the whole is ever said by tus.
    ("tus", "failed"),
    ("tus", "fail"),
    # Only tus knows parts of something larger.
    ("chunks", "held"),
    ("chunks", "hold"),
    ("direct", "held"),
    ("direct", "hold"),
}


@pytest.mark.parametrize(
    ("source", "state"),
    [
        (source, state)
        for source in WALKS
        for state in get_args(UploadState)
        if (source, state) not in NEVER
    ],
)
async def test_every_act_does_what_the_table_says(
    world: World, alice: Person, monkeypatch: pytest.MonkeyPatch, source: Source, state: str
) -> None:
    monkeypatch.setattr(world.parts.assembler, "_patience_seconds", 60)
    for act in get_args(Act):
        if (source, act) in NEVER or (act == "hold" and state in ("verifying", "finished")):
            continue
        if act == "fail" and state == "finished":
            continue  # what has another digest never gets there
        walk = WALKS[source](world, alice, monkeypatch)
        await walk.arrive(state, act)
        await walk.act(act)
        expected = after(state, act) or state
        assert await walk.state() == expected, f"{act} at {state}, by {source}"
        if await walk.state() not in ("aborted", "failed"):
            await walk.abort()
    used, reserved = await alice.usage()
    assert (used, reserved) == (0, 0)


async def test_a_form_is_receiving_until_its_end_and_leaves_no_row(
    world: World, alice: Person
) -> None:
    async def rows() -> list[str]:
        async with world.app.state.work.read() as unit:
            connection = await unit.raw()
            found = await connection.fetch(
                "SELECT state FROM storage.uploads WHERE owner_id = $1", alice.id
            )
        return [row["state"] for row in found]

    seen: list[str] = []
    put = world.parts.store.put

    async def watched(key: str, pieces: Line) -> object:
        seen.extend(await rows())
        return await put(key, pieces)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.parts.store, "put", watched)
        await alice.upload(b"abc")
    assert (seen, await rows()) == (["receiving"], [])
    answer = await alice.http.post(
        "/v1/files", files={"file": b"abc"}, headers={"Idempotency-Key": "k"}
    )
    assert await rows() == ["finished"]
    await alice.http.delete(answer.headers["location"])
    assert await rows() == ["aborted"]
