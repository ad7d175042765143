"""Downloads that go on where they broke off."""

import asyncio
import hashlib
import os
from pathlib import Path
from typing import Final, Self

import httpx

from sharezync.backoff import jittered
from sharezync.documents import FileLink, StoredFile
from sharezync.files.uploads import OnBytes, ignore_progress
from sharezync.folders import Staging
from sharezync.http import Http
from sharezync.local import record_path, state_folder
from sharezync.names import clean_name, defused
from sharezync.problems import AlreadyThere, Corrupt, Problem, Unreachable
from sharezync.transfer.received_files import place

_TRIES: Final = 8
_PIECE_BYTES: Final = 512 * 1024
_DOWNLOADS: Final = "downloads"
_PART: Final = "0.part"


class Downloads:
    """Gets files that one may read."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def files(self, *, most: int | None = None) -> list[StoredFile]:
        """Return one's own files, newest first."""
        return await self._http.items(StoredFile, "/v1/files", most=most)

    async def delete(self, file_id: str) -> None:
        """Delete a file of one's own. Raises Problem."""
        await self._http.request("DELETE", f"/v1/files/{file_id}")

    async def links(self, file_id: str) -> list[FileLink]:
        """Return the links to a file of one's own."""
        return await self._http.items(FileLink, f"/v1/files/{file_id}/links")

    async def share(
        self,
        file_id: str,
        *,
        expires_in_seconds: int,
        password: str | None = None,
        max_downloads: int | None = None,
    ) -> FileLink:
        """Make a link by which whoever has it downloads a file. Its `path` is told only now."""
        body = {
            "expires_in_seconds": expires_in_seconds,
            "password": password,
            "max_downloads": max_downloads,
        }
        return await self._http.send(FileLink, "POST", f"/v1/files/{file_id}/links", json=body)

    async def unshare(self, file_id: str, link_id: str) -> None:
        """End a link. Safe to repeat."""
        await self._http.request("DELETE", f"/v1/files/{file_id}/links/{link_id}")

    async def download(
        self,
        file_id: str,
        to: Path | str,
        *,
        replace: bool = False,
        record_in: Path | None = None,
        on_progress: OnBytes = ignore_progress,
    ) -> Path:
        """Download a file to a path, or into a folder under the file's own name; return where.

        Nothing that is there is replaced, but for a file at a named path with `replace`. In a
        folder the name is one that does nothing by being there (`names`). Until it is
        there and its SHA-256 is right it is in a folder of ours beside; called again after an
        interruption it goes on with that (the record of it is in `record_in`, a folder; by default
        among the state of this user). Raises Problem (`not-found` …), AlreadyThere, Corrupt,
        Unreachable, OSError.
        """
        file = await self._http.get(StoredFile, f"/v1/files/{file_id}")
        records = record_in or state_folder() / _DOWNLOADS
        part = await asyncio.to_thread(
            DownloadedFile.open, Path(to), file, records, self._http.base_url, replace=replace
        )
        try:
            await self._fetch(file, part, on_progress)
        except Corrupt:
            await asyncio.to_thread(part.discard)
            raise
        return await asyncio.to_thread(part.finish)

    async def _fetch(self, file: StoredFile, part: "DownloadedFile", on_progress: OnBytes) -> None:
        failures = 0
        while (have := part.size_bytes) < file.size_bytes:
            try:
                await self._fetch_from(file, part, have, on_progress)
                continue  # all of it is here
            except (Unreachable, Problem) as error:
                failures = 0 if part.size_bytes > have else failures + 1
                if not error.retryable or failures > _TRIES:
                    raise
            await asyncio.sleep(jittered(failures))
        on_progress(have, file.size_bytes)

    async def _fetch_from(
        self, file: StoredFile, part: "DownloadedFile", have: int, on_progress: OnBytes
    ) -> None:
        # A file never changes under its id: no If-Range is needed.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        opening = self._http.stream("GET", f"/v1/files/{file.id}/content", headers=headers)
        async with opening as answer:
            if have and answer.status_code != httpx.codes.PARTIAL_CONTENT:
                have = 0
            async for piece in answer.aiter_raw(_PIECE_BYTES):
                if have + len(piece) > file.size_bytes:
                    raise Corrupt(f"{file.name} is longer than the server said: it is not kept")
                await asyncio.to_thread(part.write_at, have, piece)
                have += len(piece)
                on_progress(have, file.size_bytes)
        if have < file.size_bytes:
            raise Unreachable(f"{self._http.base_url} ended its answer too soon")


class DownloadedFile:
    """A download on its way in, and the name it gets; called in threads.

    `numbers`: whether another name will do as well.
    """

    def __init__(
        self, staging: Staging, file: StoredFile, name: str, *, replaces: bool, numbers: bool
    ) -> None:
        self._staging = staging
        self._file = file
        self._name = name
        self._replaces = replaces
        self._numbers = numbers
        if staging.folder.size_of(_PART) is None:
            staging.folder.create(_PART)

    @classmethod
    def open(cls, to: Path, file: StoredFile, records: Path, about: str, *, replace: bool) -> Self:
        """Go on with what is here, or begin. Raises AlreadyThere and OSError."""
        into_folder = to.is_dir()
        if not into_folder and not replace and os.path.lexists(to):
            raise AlreadyThere(f"{to} is there already: nothing was downloaded")
        into = (to if into_folder else to.parent).resolve(strict=True)
        named = "" if into_folder else to.name
        record = record_path(records, about, str(into), named, file.id)
        staging = Staging.open(record, into, new_folder=None, about=about, file_id=file.id)
        name = named or defused(clean_name(file.name))
        replaces = replace and not into_folder
        return cls(staging, file, name, replaces=replaces, numbers=into_folder)

    @property
    def size_bytes(self) -> int:
        """How many bytes of it are here."""
        return self._staging.folder.size_of(_PART) or 0

    def write_at(self, offset: int, piece: bytes) -> None:
        """Write what comes next."""
        with self._staging.folder.open(_PART) as file:
            file.truncate(offset)  # what lies behind is of an answer that came from the beginning
            file.seek(offset)
            left = memoryview(piece)
            while left:
                left = left[file.write(left) or 0 :]

    def discard(self) -> None:
        """Remove what can never become the file."""
        self._staging.remove()

    def finish(self) -> Path:
        """Give the file its name. Raises Corrupt and AlreadyThere."""
        with self._staging.folder.open(_PART) as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
            os.fsync(opened.fileno())
        if self._file.sha256 not in {None, digest}:
            self._staging.remove()
            raise Corrupt(f"{self._file.name} arrived damaged: download it again")
        placed = self._place()
        self._staging.remove()
        return placed

    def _place(self) -> Path:
        home, source = self._staging.home, self._staging.folder
        if self._numbers:
            return home.path / place(home, source, _PART, [self._name])[0]
        if self._replaces:
            home.take_over(source, _PART, self._name)
        else:
            try:
                home.move_in(source, _PART, self._name)
            except FileExistsError as error:
                raise AlreadyThere(f"{home.path / self._name} has come there meanwhile") from error
        return home.path / self._name
