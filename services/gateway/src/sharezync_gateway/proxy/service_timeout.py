"""A deadline that moves with every sign of progress, cheap enough for each request."""

import asyncio
from types import TracebackType
from typing import Final, Self

from sharezync_gateway.proxy.body import RequestBody

_WATCH_AFTER_SECONDS: Final = 0.05  # most answers are there before, and nobody needed to watch


class ServiceTimeout:
    """Ends the `with` block when `seconds` pass while we wait for the service.

    `pause` while the client is what we wait for, `resume` when it is the service's turn again; each
    also counts as progress. One timer looks now and then how long ago that was, instead of one
    being set and cancelled for each piece.

    With `watched`, the block ends too when that request's client leaves after its body was read
    whole; before, whoever reads the body sees it. `end` ends the block for any other reason. Then
    the block is left silently, with `expired` or `ended` set; exceptions of its own pass unchanged.
    The block must run in one task, that which enters it.
    """

    __slots__ = (
        "_cancelling", "_loop", "_over", "_paused", "_seconds", "_since", "_task", "_timer",
        "_watch_task", "_watched", "ended", "expired",
    )  # fmt: skip

    def __init__(self, seconds: float, *, watched: RequestBody | None = None) -> None:
        self._seconds = seconds
        self._watched = watched
        self._watch_task: asyncio.Task[None] | None = None
        self._paused = False
        self._over = False
        self.expired = False
        self.ended = False

    def pause(self) -> None:
        """Begin the client's turn: it may take the time that the client's own limits give it."""
        self._paused = True

    def resume(self) -> None:
        """Begin the service's turn, from now on."""
        self._paused = False
        self._since = self._loop.time()

    def end(self) -> None:
        """End the block as soon as possible. Safe to repeat, and after the block."""
        if not self._over:
            self._over = self.ended = True
            self._task.cancel()

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("there is no task to be ended")
        self._task = task
        self._cancelling = task.cancelling()
        self._loop = task.get_loop()
        self._since = self._loop.time()
        first = self._seconds
        if self._watched is not None:
            first = min(first, _WATCH_AFTER_SECONDS)
        self._timer = self._loop.call_later(first, self._look)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        self._over = True
        self._timer.cancel()
        if self._watch_task is not None:
            self._watch_task.cancel()
        if not (self.expired or self.ended):
            return False
        # As asyncio.timeout does: somebody else may have cancelled the task too.
        others = self._task.uncancel() > self._cancelling
        return kind is asyncio.CancelledError and not others

    def _look(self) -> None:
        if self._over:
            return
        if self._watched is not None and self._watched.complete and self._watch_task is None:
            self._watch_task = self._loop.create_task(self._watch(self._watched))
        left = self._seconds if self._paused else self._since + self._seconds - self._loop.time()
        if left > 0:
            if self._watched is not None and self._watch_task is None:
                left = min(left, 1.0)  # the body is still coming: look again soon after its end
            self._timer = self._loop.call_later(left, self._look)
        else:
            self._over = self.expired = True
            self._task.cancel()

    async def _watch(self, body: RequestBody) -> None:
        while not body.gone:
            await body.receive()
        self.end()
