"""How many bodies one process takes at a time: each holds memory while it comes."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from sharezync_shared.problems import Unavailable

_RETRY_SECONDS: Final = 2.0


class WriterSlots:
    """A fixed number of places. Nobody waits for one: a client can, and holds nothing meanwhile."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._taken = 0

    @property
    def taken(self) -> int:
        """How many are taken at this moment."""
        return self._taken

    @contextmanager
    def one(self) -> Generator[None]:
        """Hold a place while the block runs. Raises Unavailable where all of them are taken."""
        if self._taken >= self._count:
            raise Unavailable(
                f"{self._count} bodies are coming at this moment, and no more are taken",
                retry_after_seconds=_RETRY_SECONDS,
            )
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1
