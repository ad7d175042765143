"""What comes from its start to its end, on disk: one file, written at offsets.

A block is written while the next one is gathered, and what was written is synced while more is.
Whole blocks go past the page cache where that can be (`direct_io.py`): nobody reads a large upload
before it is complete, and what is small stays in the cache.
The file may be longer than the record says, by what a writer left that crashed: that is written
over, or cut off when the file is sealed.
"""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sharezync_shared.problems import Problem
from sharezync_shared.threads import IoThreads, settled
from sharezync_storage.problems import ContentDamaged, StoreUnavailable
from sharezync_storage.settings import MIB
from sharezync_storage.stores.blocks import Piece
from sharezync_storage.stores.disk_files import sync_folder, told
from sharezync_storage.stores.disk_writing import BLOCK_BYTES, WrittenFile
from sharezync_storage.stores.port import Extent, Kept
from sharezync_storage.stores.read_ahead import ReadAhead

AHEAD_BYTES: Final = 4 * MIB
_SYNC_BYTES: Final = 8 * MIB
"""Synced together, while the next so many are written."""


class FileWriter:
    """One writer of one file, from where the record says that the file stands."""

    def __init__(self, path: Path, threads: IoThreads, start: Extent, epoch: int) -> None:
        self.epoch = epoch
        self._path = path
        self._threads = threads
        self._written = self._told = start.size_bytes
        self._on_record = True
        self._recording: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()
        self._fenced = False

    async def fence(self) -> None:
        """Have this writer write nothing more; wait for the write that is under way."""
        self._fenced = True
        async with self._writing:
            pass

    async def write(self, intake: ReadAhead, kept: Kept) -> Extent:
        """Write what comes, and have it recorded."""
        with told(self._path.name):
            file = await self._threads.run(
                _opened, self._path, self._written, undo=WrittenFile.close
            )
        try:
            while not intake.over:
                # Up to where a block ends, wherever the last writer has ended.
                wanted = BLOCK_BYTES - self._written % BLOCK_BYTES
                block = await intake.read(wanted, hurry=self._told < self._written)
                await self._write_block(file, block, kept)
                if sum(map(len, block)) < wanted:
                    await self._record_all(file, kept)
                else:
                    await self._record_behind(file, kept)
            await self._record_all(file, kept)
            if not self._on_record:
                await kept(Extent(self._told))
        finally:
            if self._recording is not None:
                await settled(self._recording)
            file.close()
        return Extent(self._told)

    async def _write_block(self, file: WrittenFile, block: Sequence[Piece], kept: Kept) -> None:
        await self._settle_recording(wait=False)
        try:
            async with self._writing:
                if self._fenced:
                    raise StoreUnavailable("Another process is writing")
                with told():
                    self._written = await self._threads.run(file.write, block, self._written)
        except Problem:
            # What was written before it counts, though the disk is full now.
            await self._record_all(file, kept)
            raise

    # --- the record -------------------------------------------------------------------------

    async def _record_all(self, file: WrittenFile, kept: Kept) -> None:
        await self._settle_recording(wait=True)
        if self._told < self._written:
            self._recording = asyncio.create_task(self._record(file, kept), name="record-extent")
            await self._settle_recording(wait=True)

    async def _record_behind(self, file: WrittenFile, kept: Kept) -> None:
        """Sync and record what was written while more of it is, one such round at a time."""
        unrecorded = self._written - self._told
        await self._settle_recording(wait=unrecorded >= 2 * _SYNC_BYTES)
        if self._recording is None and unrecorded >= _SYNC_BYTES:
            self._recording = asyncio.create_task(self._record(file, kept), name="record-extent")

    async def _settle_recording(self, *, wait: bool) -> None:
        """Raise what recording has failed with, which is final: a sync that failed is not made
        good by the next one, and a record that was refused belongs to somebody else.
        """
        if self._recording is not None and (wait or self._recording.done()):
            await self._recording
            self._recording = None

    async def _record(self, file: WrittenFile, kept: Kept) -> None:
        size_bytes = self._written
        with told():
            await self._threads.run(file.sync)
        self._on_record = await kept(Extent(size_bytes))
        self._told = size_bytes


def _opened(path: Path, size_bytes: int) -> WrittenFile:
    """Open a file that must have so many bytes; without any, it may not be there yet."""
    # Otherwise without O_CREAT: a write that comes after the end must not begin it anew.
    file = WrittenFile(path, 0 if size_bytes else os.O_CREAT)
    try:
        if not size_bytes:
            sync_folder(path.parent)
        if os.fstat(file.fd).st_size < size_bytes:
            raise ContentDamaged
    except BaseException:
        file.close()
        raise
    return file
