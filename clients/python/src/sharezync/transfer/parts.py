"""A file that is being received: `0.part`, and which of its chunks are kept, with their digests.

Called in threads. A chunk is recorded only once its bytes are on the disk, so that the record is
true also after the power went. What was kept since stands in a journal that nobody waits for the
disk with: after a kill it names what may be held, and the bytes themselves say whether it is.
"""

import hashlib
import os
import struct
import threading
from collections.abc import Collection, Iterable
from typing import Final

from sharezync.folders import Folder
from sharezync.problems import Corrupt
from sharezync.transfer.chunks import DIGEST_BYTES, chunk_count, chunk_length, root_of
from sharezync.transfer.ranges import Ranges

_NOT_KEPT: Final = bytes(DIGEST_BYTES)
_ENTRY: Final = struct.Struct(f">I{DIGEST_BYTES}s")
"""Of the journal: a chunk's number and digest."""


class Part:
    """One file on its way in, in a folder of our own: its bytes in `N.part`, and in `N.chunks` 32
    bytes for each chunk: its digest, or zeros. `name` is for messages.
    """

    def __init__(
        self, folder: Folder, number: int, name: str, size_bytes: int, chunk_size_bytes: int
    ) -> None:
        self.name = name
        self._folder = folder
        self.file = f"{number}.part"
        self._record = f"{number}.chunks"
        self._journal = f"{number}.journal"
        self.size_bytes = size_bytes
        self._chunk_size = chunk_size_bytes
        self.count = chunk_count(size_bytes, chunk_size_bytes)
        self._digests = bytearray(self.count * DIGEST_BYTES)
        self._unrecorded: set[int] = set()
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self.held = Ranges()
        """Grows by `note` only, on the event loop."""

    def open(self) -> None:
        """Go on with what was kept before, or begin: afterwards both files are there."""
        if self.is_there:
            self.remember()
        else:
            self._folder.create(self.file)
            self._folder.replace(self._record, b"")
            self._folder.remove(self._journal)

    @property
    def is_there(self) -> bool:
        """Whether it was begun, and has not got its name yet."""
        return self._folder.size_of(self.file) is not None

    def discard_record(self) -> None:
        """Take nothing to be held: the record is of something that is lost."""
        self.held = Ranges()
        self._digests = bytearray(len(self._digests))
        self._unrecorded.clear()
        self._folder.remove(self._journal)

    def lose(self, indexes: Collection[int]) -> None:
        """Take these chunks not to be held, here and in the record: they are not what was sent."""
        lost = set(indexes)
        with self._flushing, self._lock:
            self.held = Ranges((index, index) for index in self.held if index not in lost)
            self._unrecorded -= lost
            with self._folder.open(self._record) as file:
                for index in sorted(lost):
                    self._set_digest(index, _NOT_KEPT)
                    file.seek(index * DIGEST_BYTES)
                    file.write(_NOT_KEPT)
            self._rewrite_journal()

    def keep(self, index: int, payload: memoryview, digest: bytes | None) -> None:
        """Check a chunk and write it where it belongs. Raises Corrupt and OSError.

        `digest` is what it should be; None where nobody said: then only the root can tell.
        """
        if index >= self.count or len(payload) != self.length(index):
            raise Corrupt(f"chunk {index} of {self.name} has the wrong size")
        found = hashlib.sha256(payload).digest()
        if digest not in {None, found}:
            raise Corrupt(f"chunk {index} of {self.name} arrived damaged")
        with self._folder.open(self.file) as file:
            file.seek(index * self._chunk_size)
            while payload:
                payload = payload[file.write(payload) or 0 :]
        with self._lock:
            self._set_digest(index, found)
            self._unrecorded.add(index)
            self._folder.append(self._journal, _ENTRY.pack(index, found))

    def note(self, index: int) -> None:
        """Count a chunk as held."""
        self.held.add(index)

    def flush(self) -> None:
        """See to it that what is kept, and the record of it, outlive a crash of the machine."""
        with self._flushing:
            with self._lock:
                fresh = {index: self.digest(index) for index in self._unrecorded}
                self._unrecorded.clear()
            if not fresh:
                return
            with self._folder.open(self.file) as file:
                os.fsync(file.fileno())
            with self._folder.open(self._record) as file:
                for index, digest in sorted(fresh.items()):
                    file.seek(index * DIGEST_BYTES)
                    file.write(digest)
                os.fsync(file.fileno())
            with self._lock:  # what was kept meanwhile stays in the journal
                self._rewrite_journal()

    @property
    def remaining(self) -> int:
        """How many chunks are not held."""
        return self.count - self.held.count

    @property
    def complete(self) -> bool:
        """Whether every chunk is held."""
        return not self.remaining

    @property
    def held_bytes(self) -> int:
        """How many bytes of the file are held."""
        last = self.count - 1
        missing = self._chunk_size - self.length(last) if self.count and last in self.held else 0
        return self.held.count * self._chunk_size - missing

    def first_gap(self) -> tuple[int, int]:
        """Return the first and the last of the first chunks that are not held, in a row."""
        first = self.held.first_gap
        return first, next(iter(self.held.from_index(first, 1)), self.count) - 1

    def held_but_last(self) -> Ranges:
        """Return what is held, without the file's last chunk."""
        last = self.count - 1
        pairs = ((first, min(end, last - 1)) for first, end in self.held.pairs())
        return Ranges((first, end) for first, end in pairs if first <= end)

    @property
    def root(self) -> str:
        """What the file's root is, by the chunks that were kept; of use once it is complete."""
        return root_of(self._digests)

    def digest(self, index: int) -> bytes:
        """Return the SHA-256 of a chunk as it was kept; zeros for one that was not."""
        return bytes(self._digests[index * DIGEST_BYTES : (index + 1) * DIGEST_BYTES])

    def length(self, index: int) -> int:
        """Return how many bytes a chunk has."""
        return chunk_length(self.size_bytes, self._chunk_size, index)

    def remember(self) -> None:
        """Take what the record says to be held."""
        try:
            recorded = self._folder.read(self._record)[: len(self._digests)]
        except FileNotFoundError:
            recorded = b""
            self._folder.replace(self._record, b"")
        self._digests[: len(recorded)] = recorded
        for index in range(len(recorded) // DIGEST_BYTES):
            if self.digest(index) != _NOT_KEPT:
                self.held.add(index)
        self._believe(self._read_journal())

    def _believe(self, entries: Iterable[tuple[int, bytes]]) -> None:
        """Take those of these chunks to be held whose bytes are what they should be."""
        try:
            with self._folder.open(self.file, os.O_RDONLY) as file:
                for index, digest in entries:
                    if index >= self.count or index in self.held:
                        continue
                    file.seek(index * self._chunk_size)
                    if hashlib.sha256(file.read(self.length(index))).digest() == digest:
                        self._set_digest(index, digest)
                        self._unrecorded.add(index)
                        self.held.add(index)
        except FileNotFoundError:
            pass  # it has its name already, and then all of it was recorded before

    def _read_journal(self) -> list[tuple[int, bytes]]:
        try:
            written = self._folder.read(self._journal)
        except FileNotFoundError:
            return []
        whole = len(written) // _ENTRY.size * _ENTRY.size  # the last one may have been cut off
        return list(_ENTRY.iter_unpack(written[:whole]))

    def _rewrite_journal(self) -> None:
        rest = [_ENTRY.pack(index, self.digest(index)) for index in self._unrecorded]
        self._folder.replace(self._journal, b"".join(rest))

    def _set_digest(self, index: int, digest: bytes) -> None:
        self._digests[index * DIGEST_BYTES : (index + 1) * DIGEST_BYTES] = digest
