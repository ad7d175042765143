"""Blocking calls, away from the event loop, and threads at which callers take turns."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Final, TypeVar

from sharezync_shared.problems import Unavailable

T = TypeVar("T")

# Most of them wait for a disk or hash without the interpreter's lock: more than cores is right.
_THREADS: Final = 8

SHARE_OF_QUEUE: Final = 4
"""One caller holds at most a quarter of the queue."""
_URGENT_TURNS: Final = 3
"""Urgent work has three turns of four, while both kinds wait."""
_RETRY_SECONDS: Final = 2

Result = TypeVar("Result")
_Turns = dict[str, deque["asyncio.Future[None]"]]
"""Who waits, by caller, in the order in which callers are served."""


class IoThreads:
    """A bounded number of threads, of their own: a slow disk must not hold up DNS lookups."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix=name)

    def submit(self, call: Callable[..., T], *args: object) -> "asyncio.Future[T]":
        """Start `call` and return its future, which must not be cancelled: see `run`."""
        return asyncio.get_running_loop().run_in_executor(self._pool, call, *args)

    async def run(
        self, call: Callable[..., T], *args: object, undo: Callable[[T], object] | None = None
    ) -> T:
        """Return what `call` returns.

        Never leaves a call running behind its caller's back: one who is cancelled waits for the
        end of the call first (so that it may then close what the call was using) and `undo` is
        given the result that nobody takes any more.
        """
        future = self.submit(call, *args)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await settled(future)
            if undo is not None and future.exception() is None:
                undo(future.result())
            raise

    def close(self) -> None:
        """Wait for what is running, and end the threads."""
        self._pool.shutdown()


async def settled(future: "asyncio.Future[T]") -> None:
    """Wait until `future` is done, through any number of cancellations; its failure is dropped.

    For calls in threads, which can't be stopped and end soon, and for tasks of that kind.
    """
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            continue
    if not future.cancelled():
        future.exception()


class FairThreads:
    """Runs calls on `threads`, while at most `queue` more wait. Belongs to one event loop."""

    def __init__(self, name: str, *, threads: int, queue: int, refusal: str) -> None:
        """`refusal` is the detail of the 503 for a call that is not run."""
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._threads, self._queue = threads, queue
        self._share = max(1, queue // SHARE_OF_QUEUE)
        self._refusal = refusal
        self._running = 0
        self._urgent: _Turns = {}
        self._other: _Turns = {}
        self._turn = 0

    async def run(self, work: Callable[[], Result], *, caller: str, urgent: bool = False) -> Result:
        """Return what `work` returns. A caller that is cancelled leaves its work on the thread.

        Raises Unavailable, the work undone, where too many of this caller's wait, where the queue
        is full, or where a caller with fewer waiting took the place.
        """
        if self._running < self._threads:
            self._running += 1
        else:
            await self._wait(caller, self._urgent if urgent else self._other)
        job = asyncio.wrap_future(self._pool.submit(work))
        # Not when the caller is done: the thread is still taken then.
        job.add_done_callback(lambda _: self._pass_on())
        return await asyncio.shield(job)

    def close(self) -> None:
        """End the threads; what they still do is lost."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _wait(self, caller: str, turns: _Turns) -> None:
        self._make_room(caller, turns)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        turns.setdefault(caller, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                _drop(turns, caller, turn)
            elif turn.exception() is None:
                self._pass_on()
            raise

    def _make_room(self, caller: str, turns: _Turns) -> None:
        """See that one more of the caller's may wait, at another's expense if need be.

        Other work gives way to urgent work, the caller's own included; among the same kind, who has
        most waiting gives way to who would still have fewer. Raises Unavailable.
        """
        gives_way = self._other if turns is self._urgent else {}
        own = len(turns.get(caller, ())) + len(gives_way.get(caller, ()))
        waiting = sum(map(len, chain(self._urgent.values(), self._other.values())))
        if own >= self._share:
            victim = caller if caller in gives_way else None
        elif waiting < self._queue:
            return
        elif gives_way:
            victim = max(gives_way, key=lambda each: len(gives_way[each]))
        else:
            gives_way = turns
            victim = max(turns, key=lambda each: len(turns[each]), default=None)
            if victim is not None and len(turns[victim]) <= len(turns.get(caller, ())) + 1:
                victim = None
        if victim is None:
            raise self._refused()
        last = gives_way[victim][-1]
        _drop(gives_way, victim, last)
        last.set_exception(self._refused())

    def _pass_on(self) -> None:
        """Give a thread that is free to the next caller."""
        self._turn += 1
        lanes = [self._urgent, self._other]
        if self._turn % (_URGENT_TURNS + 1) == 0:
            lanes.reverse()
        turns = next(filter(None, lanes), None)
        if turns is None:
            self._running -= 1
            return
        caller, waiting = next(iter(turns.items()))
        turn = waiting[0]
        _drop(turns, caller, turn)
        if caller in turns:
            turns[caller] = turns.pop(caller)  # behind all others
        turn.set_result(None)

    def _refused(self) -> Unavailable:
        return Unavailable(self._refusal, retry_after_seconds=_RETRY_SECONDS)


def _drop(turns: _Turns, caller: str, turn: "asyncio.Future[None]") -> None:
    waiting = turns[caller]
    waiting.remove(turn)
    if not waiting:
        del turns[caller]
