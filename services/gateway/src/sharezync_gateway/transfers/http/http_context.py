"""What all requests about chunks on this node share: participations, and room for bytes."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

from sharezync_gateway.errors import NotInThisState, TransferOver
from sharezync_gateway.transfers.context import CALLER_BYTES, TransferContext
from sharezync_gateway.transfers.core.calls import DELIVERING, OVER, Caller
from sharezync_gateway.transfers.core.memory import ByteSemaphore
from sharezync_gateway.transfers.core.notices import TransferListener
from sharezync_gateway.transfers.core.reports import Reporter
from sharezync_shared.background import SingleFlight
from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_shared.contracts.transfer import FileShape, ParticipationRead
from sharezync_shared.problems import Forbidden, NotFound, Problem, Unavailable

ARRIVING_BYTES: Final = 64 * 1024 * 1024
"""Of chunks whose requests are being read, on the whole node. Not of the node's own room for
chunks: there nobody waits for a client, and nobody's slow client may make sockets wait."""
LEAVING_BYTES: Final = 64 * 1024 * 1024
"""Of chunks that are being sent to readers, on the whole node."""
KEPT_SECONDS: Final = 10.0
"""How long an answer is gone by where no notice of a change comes: notices may be lost."""
_LONG_AGO: Final = float("-inf")
_REMEMBERED: Final = 10_000
"""Participations; each is a few KB, those in transfers of very many files more."""
_Key = tuple[UUID, Caller]


class HttpParticipation(TransferListener):
    """What one caller is to one transfer, as transfer said last."""

    participation: ParticipationRead
    reporter: Reporter
    """Of all requests of this caller, so that there are not more reports than of a socket."""

    def __init__(self) -> None:
        self.is_known = False
        """Whether transfer has said anything yet."""
        self.unstored_bytes = ByteSemaphore(CALLER_BYTES)
        """For chunks of this caller that are on their way: as many as of a socket."""
        self.asking: SingleFlight[None] = SingleFlight()
        self.asked_at = _LONG_AGO
        self.changed = False
        """Whether the transfer has changed since it was asked for."""

    @property
    def is_fresh(self) -> bool:
        """Whether it was asked for a moment ago."""
        return asyncio.get_running_loop().time() < self.asked_at + KEPT_SECONDS

    def transfer_changed(self) -> None:
        self.asked_at = _LONG_AGO
        self.changed = True

    def readable(self, file: int) -> FileShape:
        """Return how a file is cut that a recipient may read now. Raises Problem."""
        if self.participation.role != "recipient":
            raise Forbidden("Only recipients can download files of a transfer")
        state = self.participation.state
        if state == "offered":
            raise NotInThisState("Accept the transfer first", state=state)
        if state in OVER and state != "completed":
            raise TransferOver(f"The transfer is {state}", state=state)
        if state not in DELIVERING and state != "completed":
            raise NotInThisState(f"The transfer is {state}", state=state)
        shape = self.participation.shapes.get(file)
        if shape is None:
            raise NotFound("The file doesn't exist or wasn't accepted")
        return shape


class HttpContext:
    """One of each on a node. Keeps the participations that callers have used lately."""

    def __init__(self, transfers: TransferContext) -> None:
        self.transfers = transfers
        self.arriving_bytes = ByteSemaphore(ARRIVING_BYTES)
        self.leaving_bytes = ByteSemaphore(LEAVING_BYTES)
        self._kept: OrderedDict[_Key, HttpParticipation] = OrderedDict()

    @staticmethod
    @asynccontextmanager
    async def room_in(
        semaphores: Sequence[ByteSemaphore], size_bytes: int, patience_seconds: float
    ) -> AsyncGenerator[None]:
        """Wait until a chunk may come or go, and keep its room. Raises Unavailable."""
        try:
            async with asyncio.timeout(patience_seconds):
                await ByteSemaphore.enter_all(semaphores, size_bytes)
        except TimeoutError as error:
            raise Unavailable("Too many concurrent chunks") from error
        try:
            yield
        finally:
            for semaphore in semaphores:
                semaphore.leave(size_bytes)

    def known(self, transfer_id: UUID, caller: Caller) -> HttpParticipation | None:
        """Return what was asked for a moment ago; None: transfer must be asked."""
        found = self._kept.get((transfer_id, caller))
        return found if found is not None and found.is_fresh else None

    async def participation(self, transfer_id: UUID, caller: Caller) -> HttpParticipation:
        """Return what a caller is to a transfer.

        Raises NotFound to strangers, Unauthenticated for a capability token that opens nothing,
        and Unavailable.
        """
        key = (transfer_id, caller)
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = HttpParticipation()
            self.transfers.listeners.add(transfer_id, found)
            if len(self._kept) > _REMEMBERED:
                self._drop(next(iter(self._kept)))
        if not found.is_fresh:
            await found.asking.join(lambda: self._ask(key, found))
        return found

    async def _ask(self, key: _Key, asked: HttpParticipation) -> None:
        transfer_id, caller = key
        asked.changed = False
        try:
            participation = await self.transfers.calls.attach(transfer_id, caller)
        except Problem as problem:
            keeps = asked.is_known and isinstance(problem, ServiceUnavailable)
            if not keeps and self._kept.get(key) is asked:
                self._drop(key)
            raise
        if not asked.is_known:
            asked.is_known = True
            if caller.token is not None:
                device_id = participation.device_id
                device = None if device_id is None else str(device_id)
                caller = Caller(str(participation.user_id), device)
            asked.reporter = self.transfers.reporter(transfer_id, caller)
        asked.participation = participation
        if not asked.changed:
            asked.asked_at = asyncio.get_running_loop().time()
        if self._kept.get(key) is asked:
            self._kept.move_to_end(key)

    def _drop(self, key: _Key) -> None:
        self.transfers.listeners.remove(key[0], self._kept.pop(key))
