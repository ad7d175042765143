"""A client of tus 1.0.0 that says exactly what it is told to, right or wrong."""

import asyncio
import base64
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import urlsplit

import httpx

from sharezync_testkit.waiting import DEADLINE_SECONDS

UPLOADS: Final = "/v1/uploads"
VERSION: Final = "1.0.0"
OFFSET_STREAM: Final = "application/offset+octet-stream"

Body = bytes | AsyncIterator[bytes]


def metadata(**pairs: str) -> str:
    """Return pairs as `Upload-Metadata` has them."""
    return ",".join(f"{key} {base64.b64encode(pairs[key].encode()).decode()}" for key in pairs)


def code_of(answer: httpx.Response) -> str:
    """Return the slug of a refusal, which must be a problem document that agrees with itself."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    document = answer.json()
    assert document["status"] == answer.status_code
    assert document["type"] == f"urn:sharezync:problem:{document['code']}"
    return str(document["code"])


@dataclass
class Tus:
    """Somebody who uploads. Header fields are given as names: `upload_offset=5`; None omits one."""

    http: httpx.AsyncClient

    @classmethod
    def at(cls, base_url: str, token: str) -> Self:
        """Return a client with this access token."""
        headers = {"Authorization": f"Bearer {token}"}
        return cls(httpx.AsyncClient(base_url=base_url, headers=headers, timeout=30))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()

    async def ask(
        self, method: str, url: str = UPLOADS, content: Body = b"", **fields: Any
    ) -> httpx.Response:
        """Send one request; `Tus-Resumable` goes with it, unless another is given, or None."""
        headers = _fields({"tus_resumable": VERSION, **fields})
        return await self.http.request(method, url, content=content, headers=headers)

    async def create(
        self, length: int | None = None, content: Body = b"", **fields: Any
    ) -> httpx.Response:
        """Ask for a new upload, and return whatever comes of it."""
        if length is not None:
            fields = {"upload_length": length, **fields}
        if content:
            fields = {"content_type": OFFSET_STREAM, **fields}
        return await self.ask("POST", content=content, **fields)

    async def new(self, length: int | None = None, content: Body = b"", **fields: Any) -> str:
        """Return the URL of a new upload."""
        answer = await self.create(length, content, **fields)
        assert answer.status_code == 201, (answer.status_code, answer.text)
        return str(answer.headers["location"])

    async def part(self, content: bytes, **fields: Any) -> str:
        """Return the URL of a partial upload that is complete."""
        return await self.new(len(content), content, upload_concat="partial", **fields)

    async def patch(
        self, url: str, offset: int | None, content: Body, **fields: Any
    ) -> httpx.Response:
        """Send bytes."""
        said = {"upload_offset": offset, "content_type": OFFSET_STREAM, **fields}
        return await self.ask("PATCH", url, content, **said)

    async def head(self, url: str) -> httpx.Response:
        """Ask how far an upload is."""
        return await self.ask("HEAD", url)

    async def offset(self, url: str) -> int:
        """Return where an upload stands."""
        answer = await self.head(url)
        assert answer.status_code == 200, answer.status_code
        return int(answer.headers["upload-offset"])

    async def content(self, url: str) -> bytes:
        """Return the file that an upload has become."""
        answer = await self.http.get(f"/v1/files/{url.rpartition('/')[2]}/content")
        assert answer.status_code == 200, (answer.status_code, answer.text)
        return answer.content

    async def became(self, url: str, content: bytes) -> None:
        """Check what an upload has become; for large ones, which nobody wants to see compared."""
        got = await self.content(url)
        if got != content:
            raise AssertionError(
                f"{len(got)} bytes came back, not the {len(content)} that were sent"
            )

    async def files(self) -> list[dict[str, Any]]:
        """Return one's files, newest first."""
        return list((await self.http.get("/v1/files")).json()["items"])

    async def usage(self) -> tuple[int, int]:
        """Return how many bytes are used and reserved."""
        usage = (await self.http.get("/v1/usage")).json()
        return usage["used_bytes"], usage["reserved_bytes"]

    @asynccontextmanager
    async def wire(self, method: str, url: str, **fields: Any) -> AsyncGenerator["Wire"]:
        """A connection on which the head of a request was sent, and nothing else yet.

        At the end of the block the connection is cut.
        """
        server = urlsplit(str(self.http.base_url))
        reader, writer = await asyncio.open_connection(server.hostname, server.port)
        headers = {
            "host": server.netloc,
            "authorization": self.http.headers["authorization"],
            **_fields({"tus_resumable": VERSION, **fields}),
        }
        lines = [f"{method} {url} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
        writer.write("\r\n".join([*lines, "\r\n"]).encode())
        try:
            await writer.drain()
            yield Wire(reader, writer)
        finally:
            writer.transport.abort()

    @asynccontextmanager
    async def patching(
        self, url: str, offset: int, length: int, **fields: Any
    ) -> AsyncGenerator["Wire"]:
        """A PATCH of which no byte of the body was sent yet, and which is cut at the end."""
        said = {"content_type": OFFSET_STREAM, "content_length": length, "upload_offset": offset}
        async with self.wire("PATCH", url, **said, **fields) as wire:
            yield wire

    async def stands_at(self, url: str, offset: int) -> None:
        """Return once an upload stands there. What is sent takes a moment to arrive."""
        seen = -1
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                while seen != offset:
                    seen = await self.offset(url)
        except TimeoutError:
            raise AssertionError(f"it stands at {seen}, and not at {offset}") from None


@dataclass
class Wire:
    """A request under way on a connection of its own."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        """Send some of the body."""
        self.writer.write(data)
        await self.writer.drain()

    async def status(self) -> int:
        """Return the status of the next answer, an interim one (1xx) too."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            head = await self.reader.readuntil(b"\r\n\r\n")
        found = re.match(rb"HTTP/1\.1 (\d{3})", head)
        assert found is not None, head
        return int(found[1])

    def hang_up(self) -> None:
        """Close politely: what was written still arrives, and then the end."""
        self.writer.close()


def _fields(fields: dict[str, object]) -> dict[str, str]:
    return {
        name.replace("_", "-"): str(value) for name, value in fields.items() if value is not None
    }
