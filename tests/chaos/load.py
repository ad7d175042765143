"""What clients do meanwhile, each of them until it is acknowledged, and when it was."""

import asyncio
import hashlib
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.blackbox.people import Json, Person
from tests.blackbox.test_transfer_by_http import CHUNK, Sent
from tests.fleet.history import Reader, Writer
from tests.fleet.talking import Scene

FILE_BYTES = 100_000
TO_COME_AGAIN = {401, 408, 409, 425, 429, 502, 503, 504}
"""How a request may be answered that asks for another try, or that another try finds done."""
_PATIENCE_SECONDS = 10.0


@dataclass
class TimedWriter(Writer):
    """A writer that notes when it was told."""

    told_at: dict[str, float] = field(default_factory=dict)

    def told(self, key: str, seq: int) -> None:
        """Note an acknowledgement, and when it came first."""
        super().told(key, seq)
        self.told_at.setdefault(key, time.monotonic())


@dataclass
class TimedReader(Reader):
    """A reader that notes when it had each message."""

    had_at: dict[str, float] = field(default_factory=dict)

    def take(self, event: Json) -> None:
        """Take an event, and note when a message came first."""
        super().take(event)
        for key in self.keys[len(self.had_at) :]:
            self.had_at.setdefault(key, time.monotonic())

    def refetch(self, reset: Json, messages: Sequence[Json]) -> None:
        """Take over what came by REST, and note that it is had."""
        super().refetch(reset, messages)
        for key in self.keys[len(self.had_at) :]:
            self.had_at.setdefault(key, time.monotonic())


@dataclass
class Files:
    """Files that were acknowledged, those of transfers that were confirmed, and broken promises."""

    kept: dict[str, str] = field(default_factory=dict)
    """The SHA-256 of what somebody was told is stored, by the file's id."""
    kept_at: list[float] = field(default_factory=list)
    transferred_at: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


@dataclass
class Caller:
    """Somebody with a way to each of the gateways."""

    scene: Scene
    ways: list[Person]

    @classmethod
    def of(cls, scene: Scene, person: Person) -> "Caller":
        return cls(scene, [person.at(url) for url in scene.gateways])

    async def aclose(self) -> None:
        """Hang up."""
        for way in self.ways:
            await way.aclose()


async def until_done(
    caller: Caller,
    method: str,
    path: str,
    **request: Any,
) -> httpx.Response:
    """Ask any of the gateways until the answer is a success; any other refusal is an error."""
    while True:
        way = caller.scene.chance.choice(caller.ways)
        with suppress(httpx.HTTPError, TimeoutError):
            async with asyncio.timeout(_PATIENCE_SECONDS):
                answer = await way.http.request(method, path, **request)
                if answer.is_success:
                    return answer
                assert answer.status_code in TO_COME_AGAIN, (answer.status_code, answer.text)
        await asyncio.sleep(0.2)


async def upload_files(caller: Caller, files: Files) -> None:
    """Store one file after the other."""
    while not caller.scene.over.is_set():
        content = os.urandom(FILE_BYTES)
        parts = {"file": ("picture.png", content, "image/png")}
        answer = await until_done(caller, "POST", "/v1/files", files=parts)
        files.kept[answer.json()["id"]] = hashlib.sha256(content).hexdigest()
        files.kept_at.append(time.monotonic())
        await asyncio.sleep(0.1)


async def read_back(caller: Caller, files: Files) -> None:
    """Read every file that was acknowledged."""
    for file_id, digest in files.kept.items():
        answer = await until_done(caller, "GET", f"/v1/files/{file_id}/content")
        if hashlib.sha256(answer.content).hexdigest() != digest:
            files.faults.append(f"file {file_id} came back as something else")


async def transfer_files(
    sender: Caller, recipient: Caller, recipient_id: str, files: Files
) -> None:
    """Offer, accept, send, read and confirm one file after the other, each step until done."""
    while not sender.scene.over.is_set():
        content = os.urandom(4 * CHUNK)
        offer = {
            "recipients": [{"user_id": recipient_id}],
            "files": [{"name": "film.mkv", "size": len(content), "mime": "video/x-matroska"}],
            "chunk_size": CHUNK,
        }
        offered = await until_done(sender, "POST", "/v1/transfers", json=offer)
        sent = Sent(offered.json()["id"], content, "", "")
        received = await _see_through(sender, recipient, sent)
        if received != content:
            files.faults.append(f"transfer {sent.id} arrived as something else")
        files.transferred_at.append(time.monotonic())


async def _see_through(sender: Caller, recipient: Caller, sent: Sent) -> bytes:
    """Take an offer to its end, and return what was received."""

    async def do(end: Caller, verb: str, body: Json | None = None) -> None:
        await until_done(end, "POST", f"{sent.path}/{verb}", json=body)

    async def is_completed() -> bool:
        answer = await until_done(recipient, "GET", sent.path)
        return bool(answer.json()["state"] == "completed")

    await do(recipient, "accept")
    for index in range(sent.count):
        chunk = sent.chunk(index)
        digest = {"X-Chunk-Sha256": hashlib.sha256(chunk).hexdigest()}
        path = f"{sent.path}/files/0/chunks/{index}"
        await until_done(sender, "PUT", path, content=chunk, headers=digest)
    await do(sender, "complete")
    content = await until_done(recipient, "GET", sent.content_path)
    await do(recipient, "receipts", {"file": 0, "ranges": [[0, sent.count - 1]]})
    while not await is_completed():  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.1)
    return content.content
