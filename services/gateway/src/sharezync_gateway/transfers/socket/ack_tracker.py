"""What to acknowledge to a sender, and when. Pure."""

from collections import Counter
from typing import Final

ACK_BYTES: Final = 1024 * 1024
ACK_SECONDS: Final = 0.1
"""An acknowledgement goes out after so much, or so long (realtime.md, Acknowledgement)."""


class AckTracker:
    """Stored chunks of one transfer since the last acknowledgement.

    Storage says how many chunks it has without a gap, and may count some whose own answers are
    still on their way to us. Those still take up the sender's window here, so they are not
    acknowledged yet: who goes by acknowledgements never exceeds the window.
    """

    def __init__(self) -> None:
        self._next: dict[int, int] = {}
        self._said: dict[int, int] = {}
        self._new: dict[int, set[int]] = {}
        self._new_bytes = 0
        self._awaited: dict[int, Counter[int]] = {}

    def expect(self, file: int, index: int) -> None:
        """Note that a chunk is on its way to storage; the caller owes `settle`."""
        self._awaited.setdefault(file, Counter())[index] += 1

    def settle(self, file: int, index: int) -> None:
        """Note that a chunk is not on its way any more, whatever became of it."""
        awaited = self._awaited[file]
        awaited[index] -= 1
        if not awaited[index]:
            del awaited[index]

    def note(self, file: int, index: int, length_bytes: int, next_index: int) -> None:
        """Note that a chunk is stored, and which of its file is the first that is missing."""
        self._next[file] = max(next_index, self._next.get(file, 0))
        self._new.setdefault(file, set()).add(index)
        self._new_bytes += length_bytes

    @property
    def waiting(self) -> bool:
        """Whether something was not acknowledged yet."""
        return bool(self._new)

    @property
    def due(self) -> bool:
        """Whether so much was stored that it must be acknowledged now."""
        return self._new_bytes >= ACK_BYTES

    def pop_acks(self) -> list[tuple[int, int, list[int]]]:
        """Return file, `next` and the chunks beyond it, for each file with news; begin anew."""
        taken = []
        for file, new in sorted(self._new.items()):
            # Never less than was said before, also where an old chunk comes again.
            next_index = max(self._stored_next(file), self._said.get(file, 0))
            self._said[file] = next_index
            taken.append((file, next_index, sorted(index for index in new if index >= next_index)))
        self._new = {}
        self._new_bytes = 0
        return taken

    def _stored_next(self, file: int) -> int:
        awaited: Counter[int] = self._awaited.get(file, Counter())
        return min([self._next[file], *awaited])
