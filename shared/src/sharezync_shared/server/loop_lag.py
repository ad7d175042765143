"""How late the event loop is: nothing else happens in the process meanwhile."""

import time
from typing import Final

from prometheus_client import CollectorRegistry

from sharezync_shared.metrics import BatchHistogram, shared_metric

_TICK_SECONDS: Final = 0.1
"""uvicorn's pause between two ticks."""


class LoopLag:
    """By how much ticks of uvicorn come later than they should."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._observations = shared_metric(
            registry,
            BatchHistogram,
            "sharezync_event_loop_lag_seconds",
            "By how much a pause of 0.1 seconds lasted longer: for so long the process did not get "
            "to anything else",
            (),
        ).labels()
        self._last: float | None = None

    def tick(self) -> None:
        """Note that a tick has come."""
        now = time.perf_counter()
        if self._last is not None:
            self._observations.observe(max(0.0, now - self._last - _TICK_SECONDS))
        self._last = now
