"""The storage service as its tests meet it: people with files, a service with uploads."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import httpx
from fastapi import FastAPI
from sqlmodel import col, select
from starlette.types import Message

from sharezync_shared.events.bus import Envelope
from sharezync_shared.ids import UserId, uuid7
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_storage.models import Deletion
from sharezync_storage.usecases.collecting import remove_unheld
from sharezync_storage.usecases.context import StorageContext
from sharezync_testkit.service import client_for, client_of_service
from sharezync_testkit.waiting import wait_until

Json = dict[str, Any]


def sha256(data: bytes) -> str:
    """Return the digest as it goes over the wire."""
    return hashlib.sha256(data).hexdigest()


def root_of(chunks: Sequence[bytes]) -> str:
    """Return the root of a file that is made of these chunks."""
    return sha256(b"".join(hashlib.sha256(chunk).digest() for chunk in chunks))


def cut(data: bytes, size: int) -> list[bytes]:
    """Return `data` in chunks."""
    return [data[start : start + size] for start in range(0, len(data), size)]


def allow(world: "World", **limits: int) -> None:
    """Change the limits of the running service."""
    given = {"quota_bytes": 10**8, "max_file_bytes": 10**8} | limits
    settings = world.app.state.settings.model_copy(update=given)
    world.app.state.context = replace(world.parts, settings=settings)


def code_of(answer: httpx.Response) -> str:
    """Return the slug of a refusal, which must be a problem document."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    document = answer.json()
    assert document["status"] == answer.status_code
    assert document["type"] == f"urn:sharezync:problem:{document['code']}"
    code: str = document["code"]
    return code


DATA: Final = os.urandom(4500)
"""What the fixture `upload` is an upload of."""
CHUNKS: Final = cut(DATA, 1000)


@dataclass
class Person:
    """A user with a client that is logged in."""

    id: UserId
    http: httpx.AsyncClient

    async def upload(self, data: bytes, name: str = "note.txt", mime: str = "text/plain") -> Json:
        """Upload a file by form and return it."""
        answer = await self.try_upload(data, name, mime)
        assert answer.status_code == 201, answer.text
        file: Json = answer.json()
        return file

    async def try_upload(
        self, data: bytes, name: str = "note.txt", mime: str = "text/plain"
    ) -> httpx.Response:
        """Upload a file by form, and return whatever comes of it."""
        return await self.http.post("/v1/files", files={"file": (name, data, mime)})

    async def content(self, file: Json, **headers: str) -> httpx.Response:
        """Download a file."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.get(f"/v1/files/{file['id']}/content", headers=named)

    async def usage(self) -> tuple[int, int]:
        """Return how many bytes are used and reserved."""
        usage = (await self.http.get("/v1/usage")).json()
        return usage["used_bytes"], usage["reserved_bytes"]


@dataclass
class World:
    """The running service. `inside` is another service of ours."""

    app: FastAPI
    issuer: TokenIssuer
    folder: Path
    inside: httpx.AsyncClient
    avatars: dict[UUID, UUID] = field(default_factory=dict)
    """What auth says whose avatar is which file."""
    facts: list[Envelope] = field(default_factory=list)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    @classmethod
    async def enter(
        cls,
        app: FastAPI,
        issuer: TokenIssuer,
        folder: Path,
        avatars: dict[UUID, UUID] | None = None,
    ) -> "World":
        """Return the world around a running application."""
        inside = client_of_service(app, issuer, "transfer")
        world = cls(app, issuer, folder, inside, {} if avatars is None else avatars)
        await world._stack.enter_async_context(world.inside)
        return world

    async def leave(self) -> None:
        """Hang up all clients."""
        await self._stack.aclose()

    async def person(self) -> Person:
        """Return somebody new."""
        user_id = UserId(uuid7())
        http = client_for(self.app, user_id, self.issuer)
        return Person(user_id, await self._stack.enter_async_context(http))

    @property
    def parts(self) -> StorageContext:
        parts: StorageContext = self.app.state.context
        return parts

    def told(self, thing: Json) -> list[Envelope]:
        """Return what services were told of a file; the database has a past of other tests."""
        return [fact for fact in self.facts if fact.subject == thing["id"]]

    def blobs(self) -> list[Path]:
        """Return all files in the store's folder."""
        return sorted(p for p in self.folder.rglob("*") if p.is_file() and p.name != ".lock")

    async def sweep(self) -> None:
        """Delete all that is due now."""
        while await self.parts.sweeper.sweep():
            pass

    async def collect(self) -> None:
        """Remove what nobody holds any more, and delete all that is due now."""
        await remove_unheld(self.app.state.work)
        await self.sweep()

    async def left(self, count: int) -> None:
        """Sweep, and see that so many blobs are left; the sweeper of the service may help."""
        await self.sweep()
        await wait_until(lambda: len(self.blobs()) <= count)
        assert len(self.blobs()) == count

    async def deletions(self, thing: Json) -> list[Deletion]:
        """Return what is still to be deleted of a file or an upload, the next first."""
        async with self.app.state.work.read() as unit:
            mine = col(Deletion.store_key).endswith(UUID(thing["id"]).hex)
            rows = select(Deletion).where(mine).order_by(col(Deletion.due_at))
            return list(await unit.session.exec(rows))

    # --- uploads in chunks -------------------------------------------------------------------

    async def begin(self, owner: Person, size: int, chunk_size: int = 1000, **more: Any) -> Json:
        """Begin an upload and return what the service said."""
        answer = await self.try_begin(owner, size, chunk_size, **more)
        assert answer.status_code == 201, answer.text
        upload: Json = answer.json()
        return upload

    async def try_begin(
        self, owner: Person, size: int, chunk_size: int = 1000, **more: Any
    ) -> httpx.Response:
        """Begin an upload, and return whatever comes of it: the upload, or a problem."""
        file = {"name": "film.mp4", "size_bytes": size, **more}
        body = {
            "owner_id": file.pop("owner_id", str(owner.id)),
            "chunk_size_bytes": file.pop("chunk_size_bytes", chunk_size),
            "files": [file],
        }
        answer = await self.inside.post("/internal/uploads/begin", json=body)
        return answer if answer.is_error else httpx.Response(201, json=answer.json()["uploads"][0])

    async def put(
        self, upload: Json, index: int, data: bytes, digest: str | None = None
    ) -> httpx.Response:
        """Send a chunk."""
        headers = {"x-chunk-sha256": sha256(data) if digest is None else digest}
        url = f"/internal/uploads/{upload['id']}/chunks/{index}"
        return await self.inside.put(url, content=data, headers=headers)

    async def put_all(self, upload: Json, chunks: Sequence[bytes] = CHUNKS) -> None:
        """Send chunks, the first first."""
        for index, chunk in enumerate(chunks):
            answer = await self.put(upload, index, chunk)
            assert answer.status_code == 200, answer.text

    async def chunk(self, upload: Json, index: int) -> httpx.Response:
        """Read a chunk."""
        return await self.inside.get(f"/internal/uploads/{upload['id']}/chunks/{index}")

    async def status(self, upload: Json) -> Json:
        """Return how far an upload is."""
        answer = await self.inside.get(f"/internal/uploads/{upload['id']}")
        assert answer.status_code == 200, answer.text
        status: Json = answer.json()
        return status

    async def finish(self, upload: Json) -> httpx.Response:
        """Ask for the file; return it, or the problem that is told instead."""
        ids = {"ids": [upload["id"]]}
        answer = await self.inside.post("/internal/uploads/finish", json=ids)
        if answer.is_error:
            return answer
        [result] = answer.json()["results"]
        if result["finished"] is not None:
            return httpx.Response(200, json=result["finished"])
        problem = result["problem"]
        headers = {"content-type": "application/problem+json"}
        if "retry_after_seconds" in problem:
            headers["retry-after"] = str(problem["retry_after_seconds"])
        return httpx.Response(problem["status"], json=problem, headers=headers)

    async def abort(self, upload: Json) -> httpx.Response:
        """Give up an upload."""
        return await self.inside.post("/internal/uploads/abort", json={"ids": [upload["id"]]})

    async def link(self, file: Json, person: Person, **more: Any) -> httpx.Response:
        """Ask for a link."""
        body = {"user_id": str(person.id), **more}
        return await self.inside.post(f"/internal/files/{file['id']}/urls", json=body)


@dataclass
class Exchange:
    """One request spoken in raw ASGI: for clients that leave, and for bodies too large to hold.

    `pieces` is the body; with `breaks_off` the client is gone after it. With `leaves_after_bytes`
    the client is gone once it got so many bytes of the answer.
    """

    method: str
    path: str
    headers: dict[str, str]
    pieces: AsyncIterator[bytes] | None = None
    breaks_off: bool = False
    leaves_after_bytes: int | None = None
    on_piece: Callable[[], None] = lambda: None

    status: int = 0
    got_bytes: int = 0
    largest_piece: int = 0
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    _gone: asyncio.Event = field(default_factory=asyncio.Event)
    _asked_all: bool = False

    async def run(self, app: FastAPI) -> "Exchange":
        """Have the exchange."""
        path, _, query = self.path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(k.lower().encode(), v.encode()) for k, v in self.headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("test", 80),
        }
        await app(scope, self._receive, self._send)
        return self

    async def _receive(self) -> Message:
        piece = None if self.pieces is None else await anext(self.pieces, None)
        if piece is not None:
            return {"type": "http.request", "body": piece, "more_body": True}
        self.pieces = None
        if not self.breaks_off and not self._asked_all:
            self._asked_all = True
            return {"type": "http.request", "body": b"", "more_body": False}
        if not self.breaks_off:
            await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            return
        body = message.get("body", b"")
        self.got_bytes += len(body)
        self.largest_piece = max(self.largest_piece, len(body))
        self.digest.update(body)
        self.on_piece()
        if self.leaves_after_bytes is not None and self.got_bytes >= self.leaves_after_bytes:
            self._gone.set()
        await asyncio.sleep(0)


def form_head(name: str = "big.bin", boundary: str = "b0undary") -> tuple[dict[str, str], bytes]:
    """Return the headers of a form, and its bytes up to the file's."""
    headers = {"content-type": f"multipart/form-data; boundary={boundary}"}
    disposition = f'form-data; name="file"; filename="{name}"'
    return headers, f"--{boundary}\r\nContent-Disposition: {disposition}\r\n\r\n".encode()


FORM_TAIL = b"\r\n--b0undary--\r\n"
