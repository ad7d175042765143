"""An outage is logged once, however many meet it."""

import asyncio
from typing import Any, Final

import structlog

log = structlog.get_logger()

EVERY_SECONDS: Final = 60.0


class OutageLog:
    """Writes a warning when something begins to fail, then one a minute with how often it did.

    Each failed request is a call of `failed`; a line for each would bury the log, and cost most
    when there is least to spare. The first writes `event`. When a minute has passed in which more
    failed, one more line says how many; a minute in which none did ends the outage.
    """

    def __init__(self, event: str, *, every_seconds: float = EVERY_SECONDS, **fields: Any) -> None:  # noqa: ANN401 - fields of a record are anything
        """`fields` stand in every line."""
        self._event = event
        self._fields = fields
        self._every_seconds = every_seconds
        self._timer: asyncio.TimerHandle | None = None
        self._more = 0

    def failed(self, error: BaseException | str, **fields: Any) -> None:  # noqa: ANN401 - as above
        """Note one failure. `fields` stand in the line where this is the first. Never raises."""
        if self._timer is not None:
            self._more += 1
            return
        said = error if isinstance(error, str) else repr(error)
        log.warning(self._event, **self._fields, error=said, **fields)
        self._wait()

    def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._every_seconds, self._look_back)

    def _look_back(self) -> None:
        self._timer = None
        more, self._more = self._more, 0
        if more:
            log.warning(self._event, **self._fields, more=more, seconds=self._every_seconds)
            self._wait()
