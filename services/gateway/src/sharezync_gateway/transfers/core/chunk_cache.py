"""Chunks that were stored a moment ago, kept for those here who are about to get them."""

from collections import OrderedDict
from typing import Final
from uuid import UUID

CAPACITY_BYTES: Final = 32 * 1024 * 1024
"""On the whole node: enough for a receiver to be a window behind its sender, for several pairs."""

Key = tuple[UUID, int]
"""An upload and the index of a chunk."""


class ChunkCache:
    """The latest frames by upload and index, the least recently used given up first.

    A frame is kept for as many as are about to take it, and no longer: those who come later, or
    who stall, find the chunk at storage.
    """

    def __init__(self, capacity_bytes: int = CAPACITY_BYTES) -> None:
        self._capacity_bytes = capacity_bytes
        self._frames: OrderedDict[Key, tuple[bytes, int]] = OrderedDict()
        self.size_bytes = 0

    def put(self, key: Key, frame: bytes, takers: int = 1) -> None:
        """Keep a chunk's binary frame for so many; for nobody it isn't kept."""
        self.discard(key)
        if takers < 1:
            return
        self._frames[key] = (frame, takers)
        self.size_bytes += len(frame)
        while self.size_bytes > self._capacity_bytes:
            _, (dropped, _) = self._frames.popitem(last=False)
            self.size_bytes -= len(dropped)

    def pop(self, key: Key) -> bytes | None:
        """Return a frame that is still here; the last who was to take it has it alone."""
        found = self._frames.get(key)
        if found is None:
            return None
        frame, takers = found
        if takers <= 1:
            self.discard(key)
        else:
            self._frames[key] = (frame, takers - 1)
            self._frames.move_to_end(key)
        return frame

    def discard(self, key: Key) -> None:
        """Give a chunk up; nobody needs it any more."""
        found = self._frames.pop(key, None)
        if found is not None:
            self.size_bytes -= len(found[0])
