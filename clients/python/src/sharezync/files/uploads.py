"""Resumable uploads. Source: tus resumable upload protocol 1.0.0 (core and creation)."""

import asyncio
import base64
import hashlib
import io
import json
import mimetypes
import os
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx

from sharezync.atomic import write_private
from sharezync.documents import StoredFile
from sharezync.http import address_of
from sharezync.pauses import jittered
from sharezync.problems import Corrupt, FileChanged, Problem, Unreachable
from sharezync.shapes import understood
from sharezync.transfer.listing import Listing, Outgoing, list_files

if TYPE_CHECKING:
    from sharezync.session import Session

PIECE_BYTES: Final = 512 * 1024
_TRIES: Final = 8
"""Without a byte more being stored."""
_TUS: Final = {"Tus-Resumable": "1.0.0"}
_GONE: Final = frozenset({httpx.codes.NOT_FOUND, httpx.codes.GONE})
_WAIT_STATES: Final = frozenset({"created", "receiving", "verifying"})

OnBytes = Callable[[int, int], None]
"""Told how many bytes are there, and of how many."""


def _ignore(_: int, __: int) -> None:
    """Tell nobody."""


class Uploads:
    """Puts files into one's own storage, for instance to attach them to messages."""

    def __init__(self, session: "Session") -> None:
        self._session = session

    async def upload(
        self, path: Path | str, *, record_in: Path | None = None, on_progress: OnBytes = _ignore
    ) -> StoredFile:
        """Upload a file; it is checked by its SHA-256 where the server tells that.

        With `record_in`, a folder, an upload that was interrupted goes on when it is called again
        with the same file. Raises Problem (`quota-exceeded` …), FileChanged, Corrupt, Unreachable.
        """
        file = (await asyncio.to_thread(_look, Path(path))).files[0]
        record = None if record_in is None else record_in / f"{self._key(file)}.json"
        url = self._remembered(record)
        offset = None if url is None else await self._offset(url, file.size_bytes)
        if url is None or offset is None:
            url, offset = await self._create(file), 0
            if record is not None:
                write_private(record, json.dumps({"url": url}).encode())
        digest = hashlib.sha256()
        await asyncio.to_thread(_hash_until, file, offset, digest)
        try:
            await self._send_rest(url, file, offset, digest, on_progress)
        except Problem as problem:
            if problem.status in _GONE and record is not None:
                record.unlink(missing_ok=True)
            raise
        stored = await self._finished(url)
        if record is not None:
            record.unlink(missing_ok=True)
        if stored.sha256 is not None and stored.sha256 != digest.hexdigest():
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
        answer = await self._session.request(
            "POST", "/v1/uploads", headers=headers, repeatable=True
        )
        with understood(address_of(answer)):
            return httpx.URL(answer.headers["Location"]).path

    async def _offset(self, url: str, size_bytes: int) -> int | None:
        """Return where to go on; None where the server has given the upload up."""
        try:
            answer = await self._session.request("HEAD", url, headers=_TUS)
        except Problem as problem:
            if problem.status in _GONE:
                return None
            raise
        with understood(address_of(answer)):
            offset = int(answer.headers["Upload-Offset"])
            if not 0 <= offset <= size_bytes:
                raise ValueError(offset)
            return offset

    async def _send_rest(
        self, url: str, file: Outgoing, offset: int, digest: "hashlib._Hash", on_progress: OnBytes
    ) -> None:
        """Send everything from `offset` on, however often it breaks off."""
        failures = 0
        reader = _Reader(file, digest, offset, on_progress)
        on_progress(offset, file.size_bytes)
        while offset < file.size_bytes:
            failure: Exception
            try:
                await self._patch(url, reader, offset)
                return
            except Unreachable as error:
                failure = error
            except Problem as problem:
                # 409: we are not where the server is. 423: another request still writes.
                passes = problem.retryable or problem.status in {
                    httpx.codes.CONFLICT, httpx.codes.LOCKED, httpx.codes.REQUEST_TIMEOUT
                }  # fmt: skip
                if not passes:
                    raise
                failure = problem
            reader.check()
            await asyncio.sleep(jittered(failures))
            now = await self._offset(url, file.size_bytes)
            if now is None:
                raise failure
            failures = 0 if now > offset else failures + 1
            if failures > _TRIES:
                raise failure
            offset = now

    async def _patch(self, url: str, reader: "_Reader", offset: int) -> None:
        headers = {
            **_TUS,
            "Upload-Offset": str(offset),
            "Content-Type": "application/offset+octet-stream",
            "Content-Length": str(reader.file.size_bytes - offset),
        }
        await self._session.renewal.authorize()  # a body in pieces can't be sent a second time
        await self._session.http.request(
            "PATCH",
            url,
            headers={
                **headers,
                "Authorization": f"Bearer {await self._session.renewal.authorize()}",
            },
            content=reader.pieces(offset),
            timeout=httpx.Timeout(120.0, connect=10.0),
        )

    async def _finished(self, url: str) -> StoredFile:
        """Return the file once the server has made it one of the upload."""
        for attempt in range(60):
            upload = await self._session.document(url)
            if upload["file_id"] is not None:
                return StoredFile.of(await self._session.document(f"/v1/files/{upload['file_id']}"))
            if upload["state"] not in _WAIT_STATES:
                break
            await asyncio.sleep(jittered(attempt))
        raise Corrupt("the server could not make a file of what was uploaded: upload it again")

    def _key(self, file: Outgoing) -> str:
        said = [self._session.base_url, str(file.path), file.size_bytes, file.modified_ns]
        return f"upload-{hashlib.sha256(json.dumps(said).encode()).hexdigest()[:32]}"

    @staticmethod
    def _remembered(record: Path | None) -> str | None:
        try:
            return None if record is None else str(json.loads(record.read_bytes())["url"])
        except (OSError, ValueError, KeyError, TypeError):
            return None


class _Reader:
    """Reads a file in pieces in a thread, and hashes each byte once, however often it is sent."""

    def __init__(
        self, file: Outgoing, digest: "hashlib._Hash", hashed_bytes: int, on_progress: OnBytes
    ) -> None:
        self.file = file
        self._digest = digest
        self._hashed_bytes = hashed_bytes
        self._on_progress = on_progress
        self._failure: FileChanged | None = None

    def check(self) -> None:
        """Raise what made reading fail; the request only tells that it broke off."""
        if self._failure is not None:
            raise self._failure

    async def pieces(self, offset: int) -> AsyncGenerator[bytes]:
        while offset < self.file.size_bytes:
            try:
                piece = await asyncio.to_thread(self._read, offset)
            except FileChanged as error:
                self._failure = error
                raise
            yield piece
            offset += len(piece)
            self._on_progress(offset, self.file.size_bytes)

    def _read(self, offset: int) -> bytes:
        with _opened(self.file) as file:
            file.seek(offset)
            piece = file.read(min(PIECE_BYTES, self.file.size_bytes - offset))
        if not piece:
            raise FileChanged(f"{self.file.path} has become shorter: upload it again")
        end = offset + len(piece)
        if end > self._hashed_bytes:
            self._digest.update(piece[self._hashed_bytes - offset :])
            self._hashed_bytes = end
        return piece


def _look(path: Path) -> Listing:
    if path.is_dir():
        raise FileChanged(f"{path} is a folder: upload files, or send the folder to somebody")
    return list_files([path])


def _hash_until(file: Outgoing, offset: int, digest: "hashlib._Hash") -> None:
    with _opened(file) as opened:
        while offset:
            piece = opened.read(min(PIECE_BYTES, offset))
            if not piece:
                raise FileChanged(f"{file.path} has become shorter: upload it again")
            digest.update(piece)
            offset -= len(piece)


def _opened(file: Outgoing) -> io.FileIO:
    opened = io.FileIO(file.path)
    status = os.fstat(opened.fileno())
    if (status.st_size, status.st_mtime_ns) != (file.size_bytes, file.modified_ns):
        opened.close()
        raise FileChanged(f"{file.path} has changed meanwhile: upload it again")
    return opened
