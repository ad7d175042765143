"""How far a transfer is, as either side sees it."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sharezync.documents import Transfer

_SECONDS: Final = 5.0


class Rate:
    """Bytes a second over the last five seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, total_bytes: int, *, now: float | None = None) -> float:
        """Note how many bytes there are in all; return the rate."""
        now = time.monotonic() if now is None else now
        self._seen.append((now, total_bytes))
        while len(self._seen) > 2 and self._seen[0][0] < now - _SECONDS:
            self._seen.popleft()
        began, first = self._seen[0]
        return max(0.0, (total_bytes - first) / (now - began)) if now > began else 0.0


@dataclass(slots=True)
class Progress:
    """How far it is. The very same object is changed and passed again."""

    transfer: Transfer
    size_bytes: int
    """Of what is moved: to a recipient, of the files they accepted."""
    stored_bytes: int = 0
    """Kept by the server, for good."""
    received_bytes: int = 0
    """Verified and kept here, where this side receives."""
    recipients: dict[str, tuple[str, int]] = field(default_factory=dict)
    """To a sender: state and received bytes of each recipient, by user id."""
    rate: float = 0.0
    """Bytes a second, at this side."""
    moved_bytes: int = 0
    """What this process sent or received itself: the rest was there before."""
    resumed: bool = False
    """Whether it goes on with something that was begun before."""
    folder: Path | None = None
    """Where the files go, at the side that receives; None at one that sends."""

    def learn(self, transfer: Transfer) -> None:
        """Go by what the server says now."""
        self.transfer = transfer
        stored = sum(file.stored_bytes for file in transfer.files)
        self.stored_bytes = max(self.stored_bytes, stored)
        for each in transfer.recipients:
            self.recipients[each.user_id] = (each.state, each.received_bytes)


OnProgress = Callable[[Progress], None]
"""Called after each change; quick, and it raises nothing."""
