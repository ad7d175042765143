"""A client of uploads by signed URLs, which can't tell which store is behind."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field

import httpx

from services.storage.tests.support import Json


@dataclass
class DirectClient:
    """Sends one file. `api` is logged in; `anybody` has no token and follows any URL."""

    api: httpx.AsyncClient
    anybody: httpx.AsyncClient
    data: bytes
    etags: dict[int, str] = field(default_factory=dict)
    """What was sent so far: all that a client has to keep to go on another day."""
    sha256: str | None = None
    """To be said of the whole, true or not."""

    async def begin(self, name: str = "film.mp4", mime: str = "video/mp4", **more: str) -> Json:
        """Begin and return the upload. `more` are headers."""
        answer = await self.try_begin(name, mime, **more)
        assert answer.status_code == 201, answer.text
        upload: Json = answer.json()
        assert answer.headers["location"] == f"/v1/files/presigned/{upload['id']}"
        return upload

    async def try_begin(
        self, name: str = "film.mp4", mime: str = "video/mp4", **more: str
    ) -> httpx.Response:
        """Begin, and return whatever comes of it."""
        body = {"name": name, "size_bytes": len(self.data), "mime": mime}
        if self.sha256 is not None:
            body["sha256"] = self.sha256
        headers = {key.replace("_", "-"): value for key, value in more.items()}
        return await self.api.post("/v1/files/presigned", json=body, headers=headers)

    async def fresh(self, upload: Json) -> Json:
        """Return the upload with fresh URLs."""
        answer = await self.api.get(f"/v1/files/presigned/{upload['id']}")
        assert answer.status_code == 200, answer.text
        fresh: Json = answer.json()
        return fresh

    async def send(self, upload: Json, *, but: Collection[int] = ()) -> None:
        """Send all parts that weren't sent, several at a time; those in `but` get lost."""
        wanted = [p for p in upload["parts"] if p["number"] not in {*self.etags, *but}]
        answers = await asyncio.gather(*(self.put(upload, part) for part in wanted))
        for part, answer in zip(wanted, answers, strict=True):
            assert answer.status_code == 200, answer.text
            self.etags[part["number"]] = answer.headers["etag"]

    async def put(self, upload: Json, part: Json, content: bytes | None = None) -> httpx.Response:
        """Send one part, or something else in its place."""
        if content is None:
            content = self.content(upload, part)
        headers = {**part["headers"], "Content-Length": str(len(content))}
        return await self.anybody.put(part["url"], content=content, headers=headers)

    def content(self, upload: Json, part: Json) -> bytes:
        """Return the bytes of a part."""
        start = sum(p["size_bytes"] for p in upload["parts"] if p["number"] < part["number"])
        return self.data[start : start + part["size_bytes"]]

    async def complete(self, upload: Json) -> Json:
        """Name all parts and return the file."""
        answer = await self.try_complete(upload)
        assert answer.status_code == 201, answer.text
        file: Json = answer.json()
        assert answer.headers["location"] == f"/v1/files/{file['id']}"
        return file

    async def try_complete(self, upload: Json) -> httpx.Response:
        """Name all parts that were sent, and return whatever comes of it."""
        parts = [{"number": number, "etag": etag} for number, etag in self.etags.items()]
        return await self.api.post(
            f"/v1/files/presigned/{upload['id']}/complete", json={"parts": parts}
        )

    async def abort(self, upload: Json) -> httpx.Response:
        """Give the upload up."""
        return await self.api.delete(f"/v1/files/presigned/{upload['id']}")

    async def upload(self, **more: str) -> Json:
        """Send the whole file and return it."""
        upload = await self.begin(**more)
        await self.send(upload)
        return await self.complete(upload)
