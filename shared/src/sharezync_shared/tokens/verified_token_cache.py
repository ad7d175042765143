"""Tokens that were verified a moment ago."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Entry(Generic[T]):
    value: T
    until: float


class VerifiedTokenCache(Generic[T]):
    """What the last `capacity` verified tokens say, the least recently used given up first.

    Keys are SHA-256 digests, so that a look into memory finds no tokens. Times are seconds since
    the epoch.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[bytes, _Entry[T]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, digest: bytes, now: float) -> T | None:
        """Return what was put under `digest`, or None where that was never, is over or given up."""
        entry = self._entries.get(digest)
        if entry is None:
            return None
        if now >= entry.until:
            del self._entries[digest]
            return None
        self._entries.move_to_end(digest)
        return entry.value

    def put(self, digest: bytes, value: T, until: float) -> None:
        """Keep `value` until the time `until`, at most."""
        self._entries[digest] = _Entry(value, until)
        self._entries.move_to_end(digest)
        if len(self._entries) > self._capacity:
            self._entries.popitem(last=False)
