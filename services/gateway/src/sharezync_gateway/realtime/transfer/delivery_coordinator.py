"""Who is pushed what: deliveries begin, rest and end as transfers change."""

import asyncio
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import structlog

from sharezync_gateway.realtime.commands import RETRYABLE
from sharezync_gateway.realtime.transfer.calls import DELIVERING, OVER, TransferCalls
from sharezync_gateway.realtime.transfer.chunk_cache import ChunkCache
from sharezync_gateway.realtime.transfer.chunk_store import ChunkStore
from sharezync_gateway.realtime.transfer.chunks import Place
from sharezync_gateway.realtime.transfer.delivery import Delivery
from sharezync_gateway.realtime.transfer.frames import (
    ChunkError,
    bounded_window,
    encode_frame,
)
from sharezync_gateway.realtime.transfer.metrics import TransferMetrics
from sharezync_gateway.realtime.transfer.sessions import TransferSession
from sharezync_gateway.realtime.transfer.task_supervisor import TaskSupervisor
from sharezync_shared.contracts.transfer import ParticipationRead
from sharezync_shared.problems import Problem, RateLimited, Unavailable

log = structlog.get_logger()

LOOK_SECONDS: Final = 30.0
"""How often what rests is looked at, should the notice of its going on be lost."""
_NEWS_SECONDS: Final = 0.05
"""After a delivery has begun, before it is asked what changed while it was about to: nearly always
that which began it, and the first chunks are more urgent."""
_EXPECTED_CHUNKS: Final = 32
"""Remembered of those that are stored meanwhile: as many as a window may hold. The others are found
in storage's record."""
_PAUSES_SECONDS: Final = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Between questions to transfer while it is away."""


@dataclass(slots=True)
class _Expected:
    """What has happened to a transfer while somebody's answer is on its way."""

    changed: bool = False
    stored: set[Place] = field(default_factory=set)


class DeliveryCoordinator:
    """Keeps the deliveries of this node as the record of transfer says."""

    def __init__(
        self,
        *,
        store: ChunkStore,
        calls: TransferCalls,
        crew: TaskSupervisor,
        fresh: ChunkCache,
        metrics: TransferMetrics,
        stall_seconds: float,
    ) -> None:
        self._store = store
        self._calls = calls
        self._crew = crew
        self._fresh = fresh
        self._metrics = metrics
        self._stall_seconds = stall_seconds
        self._asking: dict[tuple[TransferSession, UUID], bool] = {}
        """What is being asked for; True: something changed again meanwhile."""
        self._expecting: dict[UUID, dict[TransferSession, _Expected]] = {}
        """Where somebody's answer is to begin something, by transfer."""
        self._resting: set[tuple[TransferSession, UUID]] = set()
        """What is wanted and not pushed, because it is paused."""

    def expect(self, ends: TransferSession, transfer_id: UUID) -> None:
        """Note from now on what happens to a transfer, until `begin` or `expect_no_more`."""
        self._expecting.setdefault(transfer_id, {})[ends] = _Expected()
        ends.listen(transfer_id)

    def expect_no_more(self, ends: TransferSession, transfer_id: UUID) -> None:
        """Nothing came of it, or it has begun. Safe to repeat."""
        self._expected(ends, transfer_id)
        ends.listen_no_more(transfer_id)

    def announce(self, transfer_id: UUID, file: int, index: int) -> int:
        """A chunk is stored; return how many may want it in a moment."""
        expecting = self._expecting.get(transfer_id)
        if expecting is None:
            return 0
        for expected in expecting.values():
            if len(expected.stored) < _EXPECTED_CHUNKS:
                expected.stored.add((file, index))
        return len(expecting)

    def begin(
        self,
        ends: TransferSession,
        transfer_id: UUID,
        window_bytes: int | None,
        end: ParticipationRead | None,
    ) -> None:
        """From now on this connection gets what is stored of a transfer, beginning anew.

        `end` is how it stood when transfer answered, at some time since `expect`; None: ask.
        """
        expected = self._expected(ends, transfer_id)
        ends.stop_delivery(transfer_id)
        ends.follow(transfer_id, window_bytes)
        if end is None:
            self.look_again(ends, transfer_id)
            return
        try:
            ends.know(transfer_id, end)
        except RateLimited as problem:
            self._give_up(ends, transfer_id, problem)
            return
        self._go_by(ends, transfer_id, end)
        delivery = ends.deliveries.get(transfer_id)
        if delivery is not None:
            for place in expected.stored:
                delivery.announce(*place)
        if expected.changed or (ends, transfer_id) in self._asking:
            self.look_again(ends, transfer_id, after_seconds=_NEWS_SECONDS)

    def _expected(self, ends: TransferSession, transfer_id: UUID) -> "_Expected":
        expecting = self._expecting.get(transfer_id, {})
        expected = expecting.pop(ends, None)
        if not expecting:
            self._expecting.pop(transfer_id, None)
        return expected or _Expected()

    def look_again(
        self, ends: TransferSession, transfer_id: UUID, *, after_seconds: float = 0
    ) -> None:
        """Something has changed: find out how the transfer stands, and push or rest accordingly."""
        key = (ends, transfer_id)
        expected = self._expecting.get(transfer_id, {}).get(ends)
        if expected is not None:
            expected.changed = True
        if transfer_id not in ends.following:
            return
        if key in self._asking:
            self._asking[key] = True
            return
        self._asking[key] = False
        ends.start(self._look(ends, transfer_id, after_seconds), "follow-transfer")

    async def look_at_resting(self, every_seconds: float = LOOK_SECONDS) -> None:
        """Look again at what rests, now and then, for ever."""
        while True:
            await asyncio.sleep(every_seconds)
            for ends, transfer_id in list(self._resting):
                if ends.closed or transfer_id not in ends.following:
                    self._resting.discard((ends, transfer_id))
                else:
                    self.look_again(ends, transfer_id)

    async def _look(self, ends: TransferSession, transfer_id: UUID, after_seconds: float) -> None:
        key = (ends, transfer_id)
        try:
            await asyncio.sleep(after_seconds)
            again = True
            while again:
                self._asking[key] = False
                attachment = await self._ask(ends, transfer_id)
                if attachment is None:
                    return
                again = self._asking[key]
                if not again:  # or what we have heard may be older than what we go by
                    self._go_by(ends, transfer_id, attachment)
        finally:
            del self._asking[key]

    async def _ask(self, ends: TransferSession, transfer_id: UUID) -> ParticipationRead | None:
        """Return how it stands; None where it is none of this user's, or can't be found out."""
        problem: Problem = Unavailable("Transfers are temporarily unavailable")
        for pause_seconds in _PAUSES_SECONDS:
            try:
                return await ends.attach(transfer_id)
            except Unavailable:
                await asyncio.sleep(pause_seconds)
            except Problem as refused:
                problem = refused
                break
        self._give_up(ends, transfer_id, problem)
        return None

    def _give_up(self, ends: TransferSession, transfer_id: UUID, problem: Problem) -> None:
        """Push nothing until the client asks again; it is told where that may help."""
        told = problem.status in RETRYABLE
        tell_log = log.warning if told else log.debug
        tell_log("transfer_not_followed", transfer_id=str(transfer_id), code=problem.slug)
        self._resting.discard((ends, transfer_id))
        ends.drop_transfer(transfer_id)
        if told and not ends.closed:
            message = f"{problem.detail or problem.title}: transfer_resume later"
            error = ChunkError(transfer_id, problem.slug, message, retryable=True)
            ends.connection.send_text(encode_frame(error))

    def _go_by(
        self, ends: TransferSession, transfer_id: UUID, attachment: ParticipationRead
    ) -> None:
        self._resting.discard((ends, transfer_id))
        if attachment.role == "sender" or attachment.state in OVER:
            ends.unfollow(transfer_id)
        elif attachment.state not in DELIVERING:
            ends.stop_delivery(transfer_id)
            if transfer_id in ends.following:
                self._resting.add((ends, transfer_id))
        elif transfer_id in ends.following and transfer_id not in ends.deliveries:
            self._deliver(ends, transfer_id, attachment)

    def _deliver(
        self, ends: TransferSession, transfer_id: UUID, attachment: ParticipationRead
    ) -> None:
        def finished(delivery: Delivery) -> None:
            if ends.deliveries.get(transfer_id) is delivery:
                del ends.deliveries[transfer_id]
                ends.following.pop(transfer_id, None)

        delivery = ends.deliveries[transfer_id] = Delivery(
            ends.connection,
            transfer_id,
            attachment,
            window_bytes=bounded_window(ends.following[transfer_id], attachment.window_bytes),
            store=self._store,
            calls=self._calls,
            crew=self._crew,
            fresh=self._fresh,
            metrics=self._metrics,
            on_finished=finished,
            on_doubt=lambda: self.look_again(ends, transfer_id),
            stall_seconds=self._stall_seconds,
        )
        delivery.start()
