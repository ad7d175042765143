"""The bus inside one process: the same promises without a broker.

Nothing is stored here. A fact counts as confirmed only when every consumer handled it or gave it
up, so until then its outbox row stays, and a crash loses none: the relay publishes it again. What
was given up is in the log.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import structlog
from prometheus_client import CollectorRegistry

from sharezync_shared.background import TaskSupervisor, end
from sharezync_shared.events.attempts import Attempts, Retry, RetryPolicy
from sharezync_shared.events.bus import BusUnavailable, Envelope, Handler, OnFrames, OnGap
from sharezync_shared.events.receiver import FrameReceiver
from sharezync_shared.streams.frames import Frame

log = structlog.get_logger()

_CLOSE_SECONDS: Final = 10.0


@dataclass(slots=True)
class _Open:
    """A fact that not every queue is done with."""

    envelope: Envelope
    queues: set[str]
    confirmed: asyncio.Future[bool]
    """True: all done. False: it rests on the ladder, and whoever published it need not wait."""


@dataclass(slots=True)
class _Queue:
    types: frozenset[str]
    waiting: asyncio.Queue[tuple[_Open, int]] = field(default_factory=asyncio.Queue)
    """Facts and the number of the attempt to come. Bounded by the capacity of the bus."""


class LocalBus:
    """A `Bus` for consumers and publishers of one event loop.

    Takes `capacity` facts at a time; those beyond are refused as unavailable, and the outbox keeps
    them. `publish` waits `confirm_seconds` at most.
    """

    def __init__(
        self,
        *,
        retries: RetryPolicy | None = None,
        registry: CollectorRegistry | None = None,
        capacity: int = 10_000,
        confirm_seconds: float = 5.0,
    ) -> None:
        self._attempts = Attempts(retries or RetryPolicy(), registry or CollectorRegistry())
        self._capacity = capacity
        self._confirm_seconds = confirm_seconds
        self._queues: dict[str, _Queue] = {}
        self._receivers: list[FrameReceiver] = []
        self._open: dict[UUID, _Open] = {}
        self._done_late: OrderedDict[UUID, None] = OrderedDict()
        """Facts that were done only after their publisher had been told otherwise: what they are
        published once more for is just the confirmation."""
        self._dispatchers: list[asyncio.Task[None]] = []
        self._running = TaskSupervisor()
        self._resting: set[asyncio.TimerHandle] = set()
        self._started = False
        self._closed = False

    @property
    def ready(self) -> bool:
        """Whether it was started and not closed."""
        return self._started and not self._closed

    @property
    def delivering(self) -> bool:
        """As `ready`: sending is calling."""
        return self.ready

    @property
    def may_lose_frames(self) -> bool:
        """They never leave the process."""
        return False

    async def start(self) -> None:
        """Open for publishing. What is published has to find its consumers: register them first."""
        if not self._started:
            self._started = True
            for receiver in self._receivers:
                receiver.gap()

    async def aclose(self) -> None:
        """As `Bus.aclose`; handlers get 10 s."""
        self._closed = True
        await end(self._dispatchers)
        for receiver in self._receivers:
            receiver.stop()
        for timer in self._resting:
            timer.cancel()
        self._resting.clear()
        await self._running.wind_down(_CLOSE_SECONDS)
        for fact in self._open.values():
            self._settle(fact, confirmed=False)
        self._open.clear()

    async def publish(self, envelopes: Sequence[Envelope]) -> None:
        """As `Bus.publish`: returns when every consumer has handled every envelope."""
        self._check_open()
        confirmed: set[UUID] = set()
        pending: list[_Open] = []
        for envelope in envelopes:
            if envelope.id in self._done_late:
                del self._done_late[envelope.id]
                confirmed.add(envelope.id)
            elif envelope.id not in self._open and len(self._open) < self._capacity:
                pending.append(self._accept(envelope))
        waiting = [fact.confirmed for fact in pending if not fact.confirmed.done()]
        if waiting:
            await asyncio.wait(waiting, timeout=self._confirm_seconds)
        for fact in pending:
            self._settle(fact, confirmed=False)  # what was not done in time is late from now on
            if fact.confirmed.result():
                confirmed.add(fact.envelope.id)
        if missing := {envelope.id for envelope in envelopes} - confirmed:
            raise BusUnavailable(
                f"{len(missing)} facts are on their way or did not fit",
                confirmed=frozenset(confirmed),
            )

    async def consume(
        self, queue: str, types: Sequence[str], handler: Handler, *, prefetch: int = 50
    ) -> None:
        """As `Bus.consume`."""
        wanted = frozenset(types)
        state = self._queues.setdefault(queue, _Queue(wanted))
        if state.types != wanted:
            raise ValueError(f"{queue} is consumed for other types on this bus")
        self._dispatchers.append(
            asyncio.create_task(
                self._dispatch(queue, state, handler, prefetch), name=f"consume {queue}"
            )
        )

    async def send_frames(self, frames: Sequence[Frame]) -> None:
        """As `Bus.send_frames`; receivers have been called when it returns."""
        self._check_open()
        for receiver in self._receivers:
            receiver.deliver(list(frames))

    async def receive_frames(self, on_frames: OnFrames, on_gap: OnGap) -> None:
        """As `Bus.receive_frames`; the one gap is the beginning."""
        receiver = FrameReceiver(on_frames, on_gap)
        self._receivers.append(receiver)
        if self.ready:
            receiver.gap()

    # ------------------------------------------------------------------------------ inner workings

    def _check_open(self) -> None:
        if not self.ready:
            raise BusUnavailable("the bus is not open")

    def _accept(self, envelope: Envelope) -> _Open:
        queues = {name for name, queue in self._queues.items() if envelope.type in queue.types}
        fact = _Open(envelope, queues, asyncio.get_running_loop().create_future())
        if not queues:
            log.debug("event_unrouted", type=envelope.type, event_id=str(envelope.id))
            self._settle(fact, confirmed=True)
            return fact
        self._open[envelope.id] = fact
        for name in queues:
            self._queues[name].waiting.put_nowait((fact, 1))
        return fact

    async def _dispatch(self, name: str, queue: _Queue, handler: Handler, prefetch: int) -> None:
        slots = asyncio.Semaphore(prefetch)

        while True:
            await slots.acquire()
            fact, attempt = await queue.waiting.get()
            task = self._running.start(self._attempt(name, queue, handler, fact, attempt), name)
            task.add_done_callback(lambda _: slots.release())

    async def _attempt(
        self, name: str, queue: _Queue, handler: Handler, fact: _Open, attempt: int
    ) -> None:
        outcome = await self._attempts.make(name, queue.types, handler, fact.envelope, attempt)
        if isinstance(outcome, Retry):
            self._settle(fact, confirmed=False)
            self._rest(queue, fact, outcome.delay_seconds, outcome.attempt)
        else:
            self._conclude(name, fact)

    def _rest(self, queue: _Queue, fact: _Open, delay_seconds: float, attempt: int) -> None:
        def wake() -> None:
            self._resting.discard(timer)
            queue.waiting.put_nowait((fact, attempt))

        if not self._closed:
            timer = asyncio.get_running_loop().call_later(delay_seconds, wake)
            self._resting.add(timer)

    def _conclude(self, name: str, fact: _Open) -> None:
        fact.queues.discard(name)
        if fact.queues or self._open.get(fact.envelope.id) is not fact:
            return
        del self._open[fact.envelope.id]
        if fact.confirmed.done():
            self._done_late[fact.envelope.id] = None
            while len(self._done_late) > self._capacity:
                self._done_late.popitem(last=False)
        else:
            self._settle(fact, confirmed=True)

    @staticmethod
    def _settle(fact: _Open, *, confirmed: bool) -> None:
        if not fact.confirmed.done():
            fact.confirmed.set_result(confirmed)
