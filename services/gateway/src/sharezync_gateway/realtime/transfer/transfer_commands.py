"""Commands about transfers: carried to transfer one by one, and what follows from them here."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID

import structlog

from sharezync_gateway.realtime.commands import tell_outcome
from sharezync_gateway.realtime.connection import Connection
from sharezync_gateway.realtime.protocol import FrameHead
from sharezync_gateway.realtime.transfer.calls import TransferCalls
from sharezync_gateway.realtime.transfer.delivery_coordinator import DeliveryCoordinator
from sharezync_gateway.realtime.transfer.frames import (
    BEGINS_DELIVERY,
    ENDS_DELIVERY,
    read_command,
    read_named,
)
from sharezync_gateway.realtime.transfer.sessions import TransferSession
from sharezync_gateway.realtime.transfer.task_supervisor import TaskSupervisor
from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_shared.contracts.commands import Refusal
from sharezync_shared.contracts.transfer import ParticipationRead, TransferResult
from sharezync_shared.problems import Invalid, NotFound, RateLimited, Unavailable

log = structlog.get_logger()

_IN_FLIGHT: Final = 50
"""Of one socket: bounds what a slow transfer service makes us keep."""
_SETTLE_SECONDS: Final = 30.0
_UNREADABLE: Final = "What it says can't be read: numbers beyond 64 bits, or too deep a nesting"
_ENDS_FOLLOWING: Final = frozenset({"transfer_reject", "transfer_cancel"})


class TransferCommands:
    """Carries commands out, those about one transfer in the order they were sent.

    They go on when their socket is gone: an answer that nobody hears is still a thing done.
    """

    def __init__(
        self,
        calls: TransferCalls,
        crew: TaskSupervisor,
        following: DeliveryCoordinator,
        on_started: Callable[[TransferSession, ParticipationRead], None],
    ) -> None:
        """`on_started` is called for each offer that was made, before its sender knows of it."""
        self._calls = calls
        self._crew = crew
        self._following = following
        self._on_started = on_started

    def submit(self, ends: TransferSession, head: FrameHead, text: str) -> None:
        """Have a command carried out and answered. Raises BadFrame and RateLimited."""
        data = read_command(text, head.id)
        transfer_id: UUID | None = None
        window_bytes: int | None = None
        if head.type != "file_transfer_start":
            named = read_named(text, head.id)
            transfer_id, window_bytes = named.transfer_id, named.window
        connection = ends.connection
        if connection.commands_in_flight >= _IN_FLIGHT:
            raise RateLimited("Too many commands are waiting", retry_after_seconds=0.5)
        connection.commands_in_flight += 1
        carrying_out = self._carry_out(ends, head, data, transfer_id, window_bytes)
        self._crew.start(carrying_out, "transfer-command")

    async def _carry_out(
        self,
        ends: TransferSession,
        head: FrameHead,
        data: Mapping[str, Any],
        transfer_id: UUID | None,
        window_bytes: int | None,
    ) -> None:
        connection = ends.connection
        try:
            async with ends.lock(transfer_id):
                if transfer_id is None:
                    async with connection.costly():
                        outcome = await self._ask(connection, head.type, data)
                    if outcome.end is not None and not connection.closed:
                        self._on_started(ends, outcome.end)
                    tell_outcome(connection, head.id, outcome)
                else:
                    await self._before(ends, head.type, transfer_id)
                    outcome = await self._ask(connection, head.type, data)
                    tell_outcome(connection, head.id, outcome)
                    if not connection.closed:
                        self._after(ends, head.type, transfer_id, window_bytes, outcome)
        finally:
            if transfer_id is not None:
                self._following.expect_no_more(ends, transfer_id)
            connection.commands_in_flight -= 1

    async def _before(self, ends: TransferSession, kind: str, transfer_id: UUID) -> None:
        if kind in ENDS_DELIVERY:
            ends.stop_delivery(transfer_id)
        if kind in BEGINS_DELIVERY:
            self._following.expect(ends, transfer_id)
        intake = ends.intakes.get(transfer_id)
        if kind == "transfer_complete" and intake is not None:
            # What was sent before counts, acknowledged or not.
            try:
                async with asyncio.timeout(_SETTLE_SECONDS):
                    await intake.settled()
            except TimeoutError:
                log.warning("chunks_not_settled", transfer_id=str(transfer_id))

    async def _ask(
        self, connection: Connection, kind: str, data: Mapping[str, Any]
    ) -> TransferResult:
        try:
            return await self._calls.command(connection.user_id, connection.device, kind, data)
        except Invalid as refused:
            return TransferResult(problem=Refusal(refused.slug, _UNREADABLE, refused.status))
        except (ServiceUnavailable, NotFound) as error:
            log.debug("transfer_command_failed", kind=kind, error=repr(error))
            problem = Unavailable("Transfers are temporarily unavailable")
            return TransferResult(problem=Refusal(problem.slug, problem.detail, problem.status, 1))

    def _after(
        self,
        ends: TransferSession,
        kind: str,
        transfer_id: UUID,
        window_bytes: int | None,
        outcome: TransferResult,
    ) -> None:
        if outcome.problem is not None:
            self._following.look_again(ends, transfer_id)  # perhaps it goes on after all
        elif kind in BEGINS_DELIVERY:
            self._following.begin(ends, transfer_id, window_bytes, outcome.end)
        elif kind in _ENDS_FOLLOWING:
            ends.unfollow(transfer_id)
