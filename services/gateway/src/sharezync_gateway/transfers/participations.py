"""What callers are to transfers: asked of transfer once, and gone by for a moment."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

import structlog

from sharezync_gateway.realtime.transfer.byte_semaphore import ByteSemaphore
from sharezync_gateway.realtime.transfer.calls import DELIVERING, OVER
from sharezync_gateway.realtime.transfer.context import TransferContext
from sharezync_gateway.realtime.transfer.reports import Reporter
from sharezync_gateway.realtime.transfer.sessions import CONNECTION_BYTES
from sharezync_gateway.transfers.callers import Caller
from sharezync_gateway.transfers.problems import NotInThisState, TransferOver
from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_shared.contracts.transfer import FileShape, ParticipationRead
from sharezync_shared.problems import Forbidden, NotFound, Problem, Unavailable
from sharezync_shared.tokens.single_flight import SingleFlight

log = structlog.get_logger()

KEPT_SECONDS: Final = 10.0
"""How long an answer is gone by where no notice of a change comes: notices may be lost."""
_LONG_AGO: Final = float("-inf")
_REMEMBERED: Final = 10_000
"""Transfers; each end of one is a few KB, those of very many files more."""


class HttpParticipation:
    """One caller's end of one transfer."""

    def __init__(self, attachment: ParticipationRead, reporter: Reporter) -> None:
        self.attachment = attachment
        self.reporter = reporter
        """Of all requests of this caller, so that there are not more reports than of a socket."""
        self.gate = ByteSemaphore(CONNECTION_BYTES)
        """For chunks of this caller that are on their way: as many as of a socket."""
        self.asked_at = _LONG_AGO


class HttpParticipations:
    """The ends that callers on this node have used lately."""

    def __init__(self, commons: TransferContext) -> None:
        self._commons = commons
        self._ends: OrderedDict[UUID, dict[Caller, HttpParticipation]] = OrderedDict()
        self._asking: dict[tuple[UUID, Caller], SingleFlight[HttpParticipation]] = {}
        self._changed: set[UUID] = set()
        """Transfers that changed while somebody was asking for an end of theirs."""

    def known(self, transfer_id: UUID, caller: Caller) -> HttpParticipation | None:
        """Return an end that was asked for a moment ago; None: transfer must be asked."""
        end = self._ends.get(transfer_id, {}).get(caller)
        now = asyncio.get_running_loop().time()
        return end if end is not None and now < end.asked_at + KEPT_SECONDS else None

    async def participation_of(self, transfer_id: UUID, caller: Caller) -> HttpParticipation:
        """Return what a caller is to a transfer.

        Raises NotFound to strangers, Unauthenticated for a capability token that opens nothing,
        and Unavailable.
        """
        end = self.known(transfer_id, caller)
        if end is not None:
            return end
        key = (transfer_id, caller)
        asking = self._asking.setdefault(key, SingleFlight())
        try:
            return await asking.join(lambda: self._ask(transfer_id, caller))
        except ServiceUnavailable as error:
            log.debug("transfer_not_attached", error=str(error))
            raise Unavailable("Transfers are temporarily unavailable") from error
        finally:
            if not asking.running and self._asking.get(key) is asking:
                del self._asking[key]

    def changed(self, transfer_id: UUID) -> None:
        """Ask again: something about a transfer is not as it was."""
        for end in self._ends.get(transfer_id, {}).values():
            end.asked_at = _LONG_AGO
        if any(each == transfer_id for each, _ in self._asking):
            self._changed.add(transfer_id)

    async def _ask(self, transfer_id: UUID, caller: Caller) -> HttpParticipation:
        calls = self._commons.calls
        self._changed.discard(transfer_id)
        try:
            if caller.token is not None:
                attachment = await calls.attach_with(transfer_id, caller.token)
            else:
                attachment = await calls.attach(transfer_id, caller.user_id, caller.device_id)
        except ServiceUnavailable:
            raise
        except Problem:
            self._ends.get(transfer_id, {}).pop(caller, None)
            raise
        ends = self._ends.setdefault(transfer_id, {})
        end = ends.get(caller)
        if end is None:
            end = ends[caller] = HttpParticipation(
                attachment, self._reporter(transfer_id, caller, attachment)
            )
            if len(self._ends) > _REMEMBERED:
                self._ends.popitem(last=False)
        self._ends.move_to_end(transfer_id)
        end.attachment = attachment
        if transfer_id not in self._changed:
            end.asked_at = asyncio.get_running_loop().time()
        return end

    def _reporter(
        self, transfer_id: UUID, caller: Caller, attachment: ParticipationRead
    ) -> Reporter:
        user_id, device_id = caller.user_id, caller.device_id
        if caller.token is not None:
            user_id = str(attachment.user_id)
            device_id = str(attachment.device_id) if attachment.device_id else None
        return Reporter(self._commons.calls, self._commons.crew, transfer_id, user_id, device_id)


@asynccontextmanager
async def room_in(
    gates: Sequence[ByteSemaphore], size_bytes: int, patience_seconds: float
) -> AsyncGenerator[None]:
    """Wait until a chunk may come or go, and keep its room in all gates. Raises Unavailable."""
    entered: list[ByteSemaphore] = []
    try:
        try:
            async with asyncio.timeout(patience_seconds):
                for gate in gates:
                    await gate.enter(size_bytes)
                    entered.append(gate)
        except TimeoutError as error:
            raise Unavailable("Too many concurrent chunks") from error
        yield
    finally:
        for gate in entered:
            gate.leave(size_bytes)


def readable(end: HttpParticipation, file: int) -> FileShape:
    """Return how a file is cut that a recipient may read now. Raises Problem."""
    attachment = end.attachment
    if attachment.role != "recipient":
        raise Forbidden("Only recipients can download files of a transfer")
    state = attachment.state
    if state == "offered":
        raise NotInThisState("Accept the transfer first", state=state)
    if state in OVER and state != "completed":
        raise TransferOver(f"The transfer is {state}", state=state)
    if state not in DELIVERING and state != "completed":
        raise NotInThisState(f"The transfer is {state}", state=state)
    shape = attachment.shapes.get(file)
    if shape is None:
        raise NotFound("The file doesn't exist or wasn't accepted")
    return shape
