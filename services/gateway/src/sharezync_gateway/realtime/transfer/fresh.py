"""Chunks that were stored a moment ago, kept for those here who are about to get them."""

from collections import OrderedDict
from typing import Final
from uuid import UUID

CAPACITY_BYTES: Final = 32 * 1024 * 1024
"""On the whole node: enough for a receiver to be a window behind its sender, for several pairs."""

Key = tuple[UUID, int]
"""An upload and the index of a chunk."""


class FreshChunks:
    """The latest frames by upload and index, the least recently used given up first."""

    def __init__(self, capacity_bytes: int = CAPACITY_BYTES) -> None:
        self._capacity_bytes = capacity_bytes
        self._frames: OrderedDict[Key, bytes] = OrderedDict()
        self.size_bytes = 0

    def put(self, key: Key, frame: bytes) -> None:
        """Keep a chunk's binary frame for a while."""
        self.discard(key)
        self._frames[key] = frame
        self.size_bytes += len(frame)
        while self.size_bytes > self._capacity_bytes:
            _, dropped = self._frames.popitem(last=False)
            self.size_bytes -= len(dropped)

    def get(self, key: Key) -> bytes | None:
        """Return a frame that is still here."""
        frame = self._frames.get(key)
        if frame is not None:
            self._frames.move_to_end(key)
        return frame

    def discard(self, key: Key) -> None:
        """Give a chunk up; nobody needs it any more."""
        frame = self._frames.pop(key, None)
        if frame is not None:
            self.size_bytes -= len(frame)
