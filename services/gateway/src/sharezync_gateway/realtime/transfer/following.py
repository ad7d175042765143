"""Who is pushed what: deliveries begin, rest and end as transfers change."""

import asyncio
from typing import Final
from uuid import UUID

import structlog

from sharezync_gateway.realtime.transfer.calls import DELIVERING, OVER, Attachment, TransferCalls
from sharezync_gateway.realtime.transfer.chunk_store import ChunkStore
from sharezync_gateway.realtime.transfer.crew import Crew
from sharezync_gateway.realtime.transfer.delivery import Delivery
from sharezync_gateway.realtime.transfer.ends import Ends
from sharezync_gateway.realtime.transfer.frames import (
    ChunkError,
    bounded_window,
    encode_frame,
)
from sharezync_gateway.realtime.transfer.fresh import FreshChunks
from sharezync_gateway.realtime.transfer.metrics import TransferMetrics
from sharezync_shared.problems import Problem, Unavailable

log = structlog.get_logger()

LOOK_SECONDS: Final = 30.0
"""How often what rests is looked at, should the notice of its going on be lost."""
_PAUSES_SECONDS: Final = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Between questions to transfer while it is away."""


class Following:
    """Keeps the deliveries of this node as the record of transfer says."""

    def __init__(
        self,
        *,
        store: ChunkStore,
        calls: TransferCalls,
        crew: Crew,
        fresh: FreshChunks,
        metrics: TransferMetrics,
        stall_seconds: float,
    ) -> None:
        self._store = store
        self._calls = calls
        self._crew = crew
        self._fresh = fresh
        self._metrics = metrics
        self._stall_seconds = stall_seconds
        self._asking: dict[tuple[Ends, UUID], bool] = {}
        """What is being asked for; True: something changed again meanwhile."""
        self._resting: set[tuple[Ends, UUID]] = set()
        """What is wanted and not pushed, because it is paused."""

    def begin(self, ends: Ends, transfer_id: UUID, window_bytes: int | None) -> None:
        """From now on this connection gets what is stored of a transfer, beginning anew."""
        ends.stop_delivery(transfer_id)
        ends.follow(transfer_id, window_bytes)
        self.look_again(ends, transfer_id)

    def look_again(self, ends: Ends, transfer_id: UUID) -> None:
        """Something has changed: find out how the transfer stands, and push or rest accordingly."""
        if transfer_id not in ends.following:
            return
        key = (ends, transfer_id)
        if key in self._asking:
            self._asking[key] = True
            return
        self._asking[key] = False
        ends.start(self._look(ends, transfer_id), "follow-transfer")

    async def look_at_resting(self, every_seconds: float = LOOK_SECONDS) -> None:
        """Look again at what rests, now and then, for ever."""
        while True:
            await asyncio.sleep(every_seconds)
            for ends, transfer_id in list(self._resting):
                if ends.closed or transfer_id not in ends.following:
                    self._resting.discard((ends, transfer_id))
                else:
                    self.look_again(ends, transfer_id)

    async def _look(self, ends: Ends, transfer_id: UUID) -> None:
        key = (ends, transfer_id)
        try:
            again = True
            while again:
                self._asking[key] = False
                attachment = await self._ask(ends, transfer_id)
                if attachment is None:
                    self._resting.discard(key)
                    ends.forget(transfer_id)
                    return
                self._go_by(ends, transfer_id, attachment)
                again = self._asking[key]
        finally:
            del self._asking[key]

    async def _ask(self, ends: Ends, transfer_id: UUID) -> Attachment | None:
        """Return how it stands; None where it is none of this user's, or can't be found out.

        The latter is told: nothing comes until the client asks again.
        """
        for pause_seconds in _PAUSES_SECONDS:
            try:
                return await ends.attach(transfer_id)
            except Unavailable:
                await asyncio.sleep(pause_seconds)
            except Problem as problem:
                log.debug("transfer_not_followed", code=problem.slug)
                return None
        log.warning("transfer_not_followed", transfer_id=str(transfer_id))
        error = ChunkError(
            transfer_id,
            Unavailable.slug,
            "Transfers can't be reached at this moment: transfer_resume later",
            retryable=True,
        )
        if not ends.closed:
            ends.connection.send_text(encode_frame(error))
        return None

    def _go_by(self, ends: Ends, transfer_id: UUID, attachment: Attachment) -> None:
        self._resting.discard((ends, transfer_id))
        if attachment.role == "sender" or attachment.state in OVER:
            ends.unfollow(transfer_id)
        elif attachment.state not in DELIVERING:
            ends.stop_delivery(transfer_id)
            if transfer_id in ends.following:
                self._resting.add((ends, transfer_id))
        elif transfer_id in ends.following and transfer_id not in ends.deliveries:
            self._deliver(ends, transfer_id, attachment)

    def _deliver(self, ends: Ends, transfer_id: UUID, attachment: Attachment) -> None:
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
