"""Downloads that go on where they broke off."""

import asyncio
import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx

from sharezync.atomic import write_private
from sharezync.documents import StoredFile
from sharezync.files.uploads import OnBytes
from sharezync.pauses import jittered
from sharezync.problems import Corrupt, Problem, Unreachable
from sharezync.transfer.names import clean_name, numbered, part_name

if TYPE_CHECKING:
    from sharezync.session import Session

_TRIES: Final = 8
_PIECE_BYTES: Final = 512 * 1024


def _ignore(_: int, __: int) -> None:
    """Tell nobody."""


class Downloads:
    """Gets files that one may read."""

    def __init__(self, session: "Session") -> None:
        self._session = session

    async def files(self) -> list[StoredFile]:
        """Return one's own files, newest first."""
        return [StoredFile.of(each) async for each in self._session.items("/v1/files")]

    async def download(
        self, file_id: str, to: Path | str, *, on_progress: OnBytes = _ignore
    ) -> Path:
        """Download a file to a path, or into a folder under the file's own name; return where.

        A named path is replaced; in a folder nothing is. It is called `….part` until it is there
        and its SHA-256 is right; called again after an interruption it goes on with that. Raises
        Problem (`not-found` …), Corrupt, Unreachable, OSError.
        """
        file = StoredFile.of(await self._session.document(f"/v1/files/{file_id}"))
        landing = await asyncio.to_thread(_Landing, Path(to), file)
        await self._fetch(file, landing.part, on_progress)
        return await asyncio.to_thread(landing.finish)

    async def _fetch(self, file: StoredFile, part: Path, on_progress: OnBytes) -> None:
        failures = 0
        while (have := _size_of(part)) < file.size_bytes:
            failure: Exception
            try:
                await self._fetch_from(file, part, have, on_progress)
                continue
            except Unreachable as error:
                failure = error
            except Problem as problem:
                if not problem.retryable:
                    raise
                failure = problem
            failures = 0 if _size_of(part) > have else failures + 1
            if failures > _TRIES:
                raise failure
            await asyncio.sleep(jittered(failures))
        on_progress(have, file.size_bytes)

    async def _fetch_from(
        self, file: StoredFile, part: Path, have: int, on_progress: OnBytes
    ) -> None:
        # A file never changes under its id: no If-Range is needed.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        opening = self._session.stream("GET", f"/v1/files/{file.id}/content", headers=headers)
        async with opening as answer:
            if have and answer.status_code != httpx.codes.PARTIAL_CONTENT:
                have = 0
            async for piece in answer.aiter_raw(_PIECE_BYTES):
                await asyncio.to_thread(_write_at, part, have, piece)
                have += len(piece)
                on_progress(have, file.size_bytes)


class _Landing:
    """Where a download comes to lie; called in threads."""

    def __init__(self, to: Path, file: StoredFile) -> None:
        self._file = file
        self._replaces = not to.is_dir()
        self._target = to if self._replaces else to / clean_name(file.name)
        self.part = self._target.with_name(part_name(self._target.name))
        self._about = self._target.with_name(f".{self.part.name}.json")
        if self._remembered() != file.id:
            self.part.unlink(missing_ok=True)
            write_private(self._about, json.dumps({"file_id": file.id}).encode())
        self.part.touch()

    def finish(self) -> Path:
        """Give the file its name. Raises Corrupt."""
        with self.part.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
            os.fsync(opened.fileno())
        if self._file.sha256 not in {None, digest}:
            self.part.unlink()
            raise Corrupt(f"{self._file.name} arrived damaged: download it again")
        placed = self._place()
        self._about.unlink(missing_ok=True)
        return placed

    def _place(self) -> Path:
        if self._replaces:
            return self.part.replace(self._target)
        for name in numbered(self._target.name):
            free = self._target.with_name(name)
            if not os.path.lexists(free):
                return self.part.rename(free)
        raise AssertionError  # numbers have no end

    def _remembered(self) -> str | None:
        with suppress(OSError, ValueError, KeyError, TypeError):
            return str(json.loads(self._about.read_bytes())["file_id"])
        return None


def _size_of(path: Path) -> int:
    return path.stat().st_size


def _write_at(path: Path, offset: int, piece: bytes) -> None:
    with path.open("r+b", buffering=0) as file:
        file.truncate(offset)  # what lies behind is of an answer that came from the beginning
        file.seek(offset)
        left = memoryview(piece)
        while left:
            left = left[file.write(left) or 0 :]
