"""Whose turn it is to be parsed: one connection in each pass of the event loop.

What one connection may cost in a turn is bounded. With a turn for each in every pass, everybody
else would wait for as many turns as there are connections that have something to parse, and an
answer takes a dozen passes. Addresses take turns too: who comes with hundreds of connections waits
for themselves.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from sharezync_shared.addresses import bucket_of

_LONGEST_PAUSE_SECONDS: Final = 0.05
"""On a machine that is busy with other things a turn may seem to take any time."""

_MOST_IN_VAIN: Final = 4
"""How many peers that have left are looked at in one pass, at some 50 µs each."""


class Turn:
    """A place in the queue, which can be given up."""

    __slots__ = ("take",)

    def __init__(self, take: Callable[[], bool | None]) -> None:
        self.take: Callable[[], bool | None] | None = take

    def cancel(self) -> None:
        """Do nothing when its time comes."""
        self.take = None


class Turns:
    """A queue of connections of a server that have been read and not parsed.

    With `pauses`, each is followed by one that is as long as the turn and what the application did
    of it at once: for what is more than one turn allows. A process that never sleeps waits longest
    for a processor.
    """

    def __init__(self, *, pauses: bool = False) -> None:
        self._pauses = pauses
        self._waiting: dict[str, deque[Turn]] = {}
        """By address; the first one's is next, and who had a turn goes behind."""
        self._is_taken = False
        """Whether somebody has this pass's turn."""

    def take_now(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Take the turn of this pass; False where somebody else has it or waits for one."""
        if self._is_taken:
            return False
        self._is_taken = True
        loop.call_soon(self._next, loop)
        return True

    def soon(
        self, loop: asyncio.AbstractEventLoop, take: Callable[[], bool | None], address: str
    ) -> Turn:
        """Call `take` in a later callback, when those have had their turn who come before.

        It returns False where there is nothing more to do, because the peer has left or is refused:
        the pass is another one's then.
        """
        turn = Turn(take)
        self._waiting.setdefault(bucket_of(address), deque()).append(turn)
        self.take_now(loop)
        return turn

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._waiting:
            self._is_taken = False
            return
        began = loop.time()
        try:
            for _ in range(_MOST_IN_VAIN):
                if not self._waiting or self._take_next():
                    break
        finally:
            if self._pauses:
                loop.call_soon(self._pause, loop, began)
            else:
                loop.call_soon(self._next, loop)

    def _take_next(self) -> bool:
        address = next(iter(self._waiting))
        turns = self._waiting.pop(address)
        take = turns.popleft().take
        if turns:
            self._waiting[address] = turns
        return take is not None and take() is not False

    def _pause(self, loop: asyncio.AbstractEventLoop, began: float) -> None:
        loop.call_later(min(loop.time() - began, _LONGEST_PAUSE_SECONDS), self._next, loop)
