"""An outage is logged once when it begins and once when it is over, however many meet it."""

import asyncio
import math
from typing import Any, Final

import structlog

log = structlog.get_logger()

QUIET_SECONDS: Final = 60.0


class OutageLog:
    """Writes a warning when something begins to fail, and how long that went on when it is over.

    Each failed request is a call of `failed`; a line for each would bury the log, and cost most
    when there is least to spare. The first writes `event`. It is over when `over` is called, or
    when `quiet_seconds` have passed without a failure (never, where that is infinite): then
    `outage_over` says in `seconds` how long it lasted, and in `failures` how often it was met.
    """

    def __init__(self, event: str, *, quiet_seconds: float = QUIET_SECONDS, **fields: Any) -> None:  # noqa: ANN401 - fields of a record are anything
        """`fields` stand in every line."""
        self._event = event
        self._fields = fields
        self._quiet_seconds = quiet_seconds
        self._timer: asyncio.TimerHandle | None = None
        self._began: float | None = None
        self._latest = 0.0
        self._failures = 0

    def failed(self, error: BaseException | str, **fields: Any) -> None:  # noqa: ANN401 - as above
        """Note one failure. `fields` stand in the line where this is the first. Never raises."""
        loop = asyncio.get_running_loop()
        self._latest = loop.time()
        self._failures += 1
        if self._began is None:
            self._began = self._latest
            said = error if isinstance(error, str) else repr(error)
            log.warning(self._event, **self._fields, error=said, **fields)
            if self._quiet_seconds < math.inf:
                self._timer = loop.call_later(self._quiet_seconds, self._look_back)

    def over(self) -> None:
        """Note that what failed works again. Without an outage this does nothing."""
        if self._began is not None:
            self._end(asyncio.get_running_loop().time())

    def _look_back(self) -> None:
        loop = asyncio.get_running_loop()
        if (due := self._latest + self._quiet_seconds) > loop.time():
            self._timer = loop.call_at(due, self._look_back)
        else:
            self._end(self._latest)

    def _end(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        seconds, self._began = round(at - (self._began or at), 1), None
        failures, self._failures = self._failures, 0
        log.info(
            "outage_over", outage=self._event, **self._fields, seconds=seconds, failures=failures
        )
