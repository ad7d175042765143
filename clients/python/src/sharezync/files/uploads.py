"""Resumable uploads. Source: tus resumable upload protocol 1.0.0 (core and creation)."""

import asyncio
import base64
import hashlib
import mimetypes
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from sharezync.backoff import jittered
from sharezync.documents import StoredFile, Upload
from sharezync.http import Http, address_of
from sharezync.local import JsonFile, record_path
from sharezync.problems import Corrupt, FileChanged, Problem, Unreachable
from sharezync.shapes import understood
from sharezync.transfer.offer import Listing, Outgoing, list_files

PIECE_BYTES: Final = 512 * 1024
_TRIES: Final = 8
"""Without a byte more being stored."""
_TUS: Final = {"Tus-Resumable": "1.0.0"}
_GONE: Final = frozenset({httpx.codes.NOT_FOUND, httpx.codes.GONE})
_PASSES: Final = frozenset({httpx.codes.CONFLICT, httpx.codes.LOCKED, httpx.codes.REQUEST_TIMEOUT})
"""409: we are not where the server is. 423: another request still writes."""
_WAIT_STATES: Final = frozenset({"created", "receiving", "verifying"})

OnBytes = Callable[[int, int], None]
"""Called with how many bytes are there, and of how many."""


def ignore_progress(_: int, __: int) -> None:
    """Do nothing."""


class Uploads:
    """Puts files into one's own storage, for instance to attach them to messages."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def upload(
        self,
        path: Path | str,
        *,
        record_in: Path | None = None,
        on_progress: OnBytes = ignore_progress,
    ) -> StoredFile:
        """Upload a file; it is checked by its SHA-256 where the server says that.

        With `record_in`, a folder, an upload that was interrupted goes on when it is called again
        with the same file. Raises Problem (`quota-exceeded` …), FileChanged, Corrupt, Unreachable.
        """
        file = (await asyncio.to_thread(_list, Path(path))).files[0]
        identity = (self._http.base_url, str(file.path), file.size_bytes, file.modified_ns)
        record = JsonFile(record_in and record_path(record_in, "upload", *identity))
        url = str(record.members.get("url", ""))
        offset = await self._offset(url, file.size_bytes) if url else None
        if offset is None:
            url, offset = await self._create(file), 0
            record.update(url=url)
        body = _Body(file, on_progress)
        await asyncio.to_thread(body.hash_until, offset)
        try:
            await self._send_rest(url, body, offset)
        except Problem as problem:
            if problem.status in _GONE:
                record.delete()
            raise
        stored = await self._finished(url)
        record.delete()
        if stored.sha256 not in {None, body.digest.hexdigest()}:
            raise Corrupt(f"{file.path} arrived damaged: delete {stored.id} and upload it again")
        return stored

    async def _create(self, file: Outgoing) -> str:
        mime = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        metadata = {"filename": file.name, "filetype": mime}
        encoded = ",".join(
            f"{name} {base64.b64encode(value.encode()).decode()}"
            for name, value in metadata.items()
        )
        headers = {**_TUS, "Upload-Length": str(file.size_bytes), "Upload-Metadata": encoded}
        # Tried again where the answer was lost: what nobody knows of expires.
        answer = await self._http.request("POST", "/v1/uploads", headers=headers, repeatable=True)
        with understood(address_of(answer)):
            return httpx.URL(answer.headers["Location"]).path

    async def _offset(self, url: str, size_bytes: int) -> int | None:
        """Return where to go on; None where the server has given the upload up."""
        try:
            answer = await self._http.request("HEAD", url, headers=_TUS)
        except Problem as problem:
            if problem.status in _GONE:
                return None
            raise
        with understood(address_of(answer)):
            offset = int(answer.headers["Upload-Offset"])
            if not 0 <= offset <= size_bytes:
                raise ValueError(offset)
            return offset

    async def _send_rest(self, url: str, body: "_Body", offset: int) -> None:
        """Send everything from `offset` on, however often it breaks off."""
        failures = 0
        size_bytes = body.file.size_bytes
        body.on_progress(offset, size_bytes)
        while offset < size_bytes:
            body.offset = offset
            try:
                await self._patch(url, body)
                return
            except (Unreachable, Problem) as error:
                # The request says only that it broke off.
                failure = body.failure or error
                if not failure.retryable and getattr(failure, "status", None) not in _PASSES:
                    raise failure from None
            await asyncio.sleep(jittered(failures))
            now = await self._offset(url, size_bytes)
            if now is None:
                raise failure
            failures = 0 if now > offset else failures + 1
            if failures > _TRIES:
                raise failure
            offset = now

    async def _patch(self, url: str, body: "_Body") -> None:
        headers = {
            **_TUS,
            "Upload-Offset": str(body.offset),
            "Content-Type": "application/offset+octet-stream",
            "Content-Length": str(body.file.size_bytes - body.offset),
        }
        timeout = httpx.Timeout(120.0, connect=10.0)
        await self._http.request("PATCH", url, headers=headers, content=body, timeout=timeout)

    async def _finished(self, url: str) -> StoredFile:
        """Return the file once the server has made it one of the upload."""
        for attempt in range(60):
            upload = await self._http.get(Upload, url)
            if upload.file_id is not None:
                return await self._http.get(StoredFile, f"/v1/files/{upload.file_id}")
            if upload.state not in _WAIT_STATES:
                break
            await asyncio.sleep(jittered(attempt))
        raise Corrupt("the server could not make a file of what was uploaded: upload it again")


@dataclass
class _Body:
    """What is sent of a file, from `offset` on. Read in threads; each byte is hashed once, however
    often it is sent.
    """

    file: Outgoing
    on_progress: OnBytes
    offset: int = 0
    failure: FileChanged | None = None
    """What made reading fail."""
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    _hashed_bytes: int = 0

    def hash_until(self, offset: int) -> None:
        """Hash what was sent before. Raises FileChanged."""
        while self._hashed_bytes < offset:
            length = min(PIECE_BYTES, offset - self._hashed_bytes)
            self.digest.update(self.file.read(self._hashed_bytes, length))
            self._hashed_bytes += length

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces(self.offset)

    async def _pieces(self, offset: int) -> AsyncGenerator[bytes]:
        while offset < self.file.size_bytes:
            try:
                piece = await asyncio.to_thread(self._read, offset)
            except FileChanged as error:
                self.failure = error
                raise
            yield piece
            offset += len(piece)
            self.on_progress(offset, self.file.size_bytes)

    def _read(self, offset: int) -> bytes:
        piece = self.file.read(offset, min(PIECE_BYTES, self.file.size_bytes - offset))
        end = offset + len(piece)
        if end > self._hashed_bytes:
            self.digest.update(piece[self._hashed_bytes - offset :])
            self._hashed_bytes = end
        return piece


def _list(path: Path) -> Listing:
    if path.is_dir():
        raise FileChanged(f"{path} is a folder: upload files, or send the folder to somebody")
    return list_files([path])
