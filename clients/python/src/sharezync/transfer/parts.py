"""A file that is being received: `0.part`, and a log of the chunks that are kept, with digests.

Called in threads. Of what was logged before the disk was last waited for, the log alone is sure,
also after the power went. Of the rest the bytes themselves say whether they are there.
"""

import hashlib
import os
import struct
import threading
from collections.abc import Collection, Iterator
from typing import Final

from sharezync.folders import Folder
from sharezync.problems import Corrupt
from sharezync.transfer.chunks import DIGEST_BYTES, Ranges, chunk_count, chunk_length, root_of

_LOST: Final = bytes(DIGEST_BYTES)
_FLUSHED: Final = 2**32 - 1
"""In place of a chunk's number: so many entries before this one are sure."""
_ENTRY: Final = struct.Struct(f">I{DIGEST_BYTES}s")
"""Of the log: a chunk's number and digest; zeros for one that is not kept any more."""


class Part:
    """One file on its way in, in a folder of our own: its bytes in `N.part`, its log in `N.chunks`.

    `name` is for messages.
    """

    def __init__(
        self, folder: Folder, number: int, name: str, size_bytes: int, chunk_size_bytes: int
    ) -> None:
        self.name = name
        self._folder = folder
        self.file = f"{number}.part"
        self._log = f"{number}.chunks"
        self.size_bytes = size_bytes
        self._chunk_size = chunk_size_bytes
        self.count = chunk_count(size_bytes, chunk_size_bytes)
        self._digests = bytearray(self.count * DIGEST_BYTES)
        self._entries = 0
        """How many are in the log."""
        self._sure = 0
        """How many of them were flushed, or say that others were."""
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self.kept = Ranges()
        """Grows by `note` only, on the event loop."""

    def open(self) -> None:
        """Go on with what was kept before, or begin: afterwards both files are there."""
        if self.is_there:
            self.remember()
        else:
            self._folder.remove(self._log)
            self._folder.create(self._log)
            self._folder.create(self.file)

    @property
    def is_there(self) -> bool:
        """Whether it was begun, and has not got its name yet."""
        return self._folder.size_of(self.file) is not None

    def remember(self) -> None:
        """Count as kept what the log says, and where it isn't sure, the bytes."""
        entries = list(self._read_log())
        flushed = [digest for number, digest in entries if number == _FLUSHED]
        sure = int.from_bytes(max(flushed, default=b""))
        found: dict[int, bytes] = {}
        for place, (number, digest) in enumerate(entries):
            if number < self.count:
                found.pop(number, None)
                if digest != _LOST and (place < sure or self._is_there(number, digest)):
                    found[number] = digest
        self.kept = Ranges((number, number) for number in sorted(found))
        for number, digest in found.items():
            self._set_digest(number, digest)
        self._entries = len(entries)

    def discard_record(self) -> None:
        """Count nothing as kept: the log is of something that is lost."""
        self.kept = Ranges()
        self._digests = bytearray(len(self._digests))
        self._entries = self._sure = 0

    def lose(self, indexes: Collection[int]) -> None:
        """Count chunks as not kept, here and in the log: they are not what was sent."""
        lost = set(indexes)
        with self._flushing, self._lock:
            self.kept = Ranges((index, index) for index in self.kept if index not in lost)
            for index in sorted(lost):
                self._append(index, _LOST)

    def keep(self, index: int, payload: memoryview, digest: bytes | None) -> None:
        """Check a chunk and write it where it belongs. Raises Corrupt and OSError.

        `digest` is what it should be; None where nobody said: then only the root shows it.
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
            self._append(index, found)

    def note(self, index: int) -> None:
        self.kept.add(index)

    def flush(self) -> None:
        """See to it that what is kept, and the log of it, outlive a crash of the machine."""
        with self._flushing:
            with self._lock:
                entries = self._entries
            if entries == self._sure:
                return
            with self._folder.open(self.file) as file:
                os.fsync(file.fileno())
            with self._lock:
                self._append(_FLUSHED, entries.to_bytes(DIGEST_BYTES))
                # What was kept meanwhile isn't sure yet.
                self._sure = self._entries if self._entries == entries + 1 else entries
            with self._folder.open(self._log) as file:
                os.fsync(file.fileno())

    @property
    def remaining(self) -> int:
        return self.count - self.kept.count

    @property
    def complete(self) -> bool:
        return not self.remaining

    @property
    def kept_bytes(self) -> int:
        last = self.count - 1
        missing = self._chunk_size - self.length(last) if self.count and last in self.kept else 0
        return self.kept.count * self._chunk_size - missing

    def first_gap(self) -> tuple[int, int]:
        """Return the first and the last of the first chunks that are not kept, in a row."""
        first = self.kept.first_gap
        return first, next(iter(self.kept.from_index(first, 1)), self.count) - 1

    def kept_but_last(self) -> Ranges:
        """Return what is kept, without the file's last chunk."""
        last = self.count - 1
        pairs = ((first, min(end, last - 1)) for first, end in self.kept.pairs())
        return Ranges((first, end) for first, end in pairs if first <= end)

    @property
    def root(self) -> str:
        """What the file's root is, by the chunks that were kept; of use once it is complete."""
        return root_of(self._digests)

    def digest(self, index: int) -> bytes:
        """Return the SHA-256 of a chunk as it was kept; zeros for one that was not."""
        return bytes(self._digests[index * DIGEST_BYTES : (index + 1) * DIGEST_BYTES])

    def length(self, index: int) -> int:
        return chunk_length(self.size_bytes, self._chunk_size, index)

    def _is_there(self, index: int, digest: bytes) -> bool:
        """Whether the bytes of a chunk are what was logged."""
        try:
            with self._folder.open(self.file, os.O_RDONLY) as file:
                file.seek(index * self._chunk_size)
                return hashlib.sha256(file.read(self.length(index))).digest() == digest
        except FileNotFoundError:
            return False  # it has its name already, and then all of it was flushed before

    def _read_log(self) -> Iterator[tuple[int, bytes]]:
        try:
            with self._folder.open(self._log) as file:
                written = bytes(file.read())
                whole = len(written) // _ENTRY.size * _ENTRY.size
                file.truncate(whole)  # the last one may have been cut off
        except FileNotFoundError:
            self._folder.create(self._log)
            written, whole = b"", 0
        return _ENTRY.iter_unpack(written[:whole])

    def _append(self, index: int, digest: bytes) -> None:
        if index != _FLUSHED:
            self._set_digest(index, digest)
        self._folder.append(self._log, _ENTRY.pack(index, digest))
        self._entries += 1

    def _set_digest(self, index: int, digest: bytes) -> None:
        self._digests[index * DIGEST_BYTES : (index + 1) * DIGEST_BYTES] = digest
