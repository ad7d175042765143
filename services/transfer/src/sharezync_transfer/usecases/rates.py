"""How fast transfers are at the moment, from what was seen of them lately. In memory, bounded."""

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final
from uuid import UUID

WINDOW_SECONDS: Final = 5.0
"""Long enough to be calm, short enough to notice a change of network."""
_SAMPLES: Final = 64
_TRANSFERS: Final = 2000


class TransferRates:
    """The speed of each key that was sampled lately, in bytes per second."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._samples: OrderedDict[tuple[UUID, str], deque[tuple[float, int]]] = OrderedDict()

    def sample(self, transfer_id: UUID, of: str, total_bytes: int) -> float:
        """Note that `of` this transfer has got to `total_bytes`; return its speed.

        0 until there are two samples, and whenever a total went down: then it begins anew.
        """
        now = self._monotonic()
        key = (transfer_id, of)
        samples = self._samples.setdefault(key, deque(maxlen=_SAMPLES))
        self._samples.move_to_end(key)
        if len(self._samples) > _TRANSFERS:
            self._samples.popitem(last=False)
        if samples and total_bytes < samples[-1][1]:
            samples.clear()
        samples.append((now, total_bytes))
        while len(samples) > 2 and samples[0][0] < now - WINDOW_SECONDS:
            samples.popleft()
        elapsed = now - samples[0][0]
        return (total_bytes - samples[0][1]) / elapsed if elapsed > 0 else 0.0
