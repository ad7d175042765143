"""Commands about transfers: carried to transfer one by one, and what follows from them here."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import structlog

from sharezync_gateway.realtime.commands import send_outcome
from sharezync_gateway.realtime.protocol import FrameHead, read_body
from sharezync_gateway.transfers.socket.frames import (
    BEGINS_DELIVERY,
    ENDS_DELIVERY,
    TransferCommandFrame,
    read_command,
)
from sharezync_gateway.transfers.socket.sessions import SocketTransfer, TransferSession
from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_shared.contracts.commands import Refusal
from sharezync_shared.contracts.transfer import TransferResult
from sharezync_shared.problems import Invalid, NotFound, RateLimited, Unavailable

log = structlog.get_logger()

_IN_FLIGHT: Final = 50
"""Of one socket: bounds what a slow transfer service makes us keep."""
_SETTLE_SECONDS: Final = 30.0
_UNREADABLE: Final = "What it says can't be read: numbers beyond 64 bits, or too deep a nesting"
_ENDS_FOLLOWING: Final = frozenset({"transfer_reject", "transfer_cancel"})


def submit_command(session: TransferSession, head: FrameHead, text: str) -> None:
    """Have a command carried out and answered, those about one transfer in the order sent.

    It goes on when its socket is gone: it was done, even where nobody gets the answer. Raises
    BadFrame and RateLimited.
    """
    data = read_command(text, head.id)
    is_offer = head.type == "file_transfer_start"
    named = None if is_offer else read_body(text, TransferCommandFrame, head.id)
    if session.connection.commands_in_flight >= _IN_FLIGHT:
        raise RateLimited("Too many commands are waiting", retry_after_seconds=0.5)
    session.connection.commands_in_flight += 1
    session.context.tasks.start(_run(session, head, data, named), "transfer-command")


async def _run(
    session: TransferSession,
    head: FrameHead,
    data: Mapping[str, Any],
    named: TransferCommandFrame | None,
) -> None:
    try:
        if named is None:
            await _offer(session, head, data)
        else:
            with session.using(named.transfer_id) as transfer:
                try:
                    async with transfer.lock:
                        await _act(session, transfer, head, data, named)
                finally:
                    transfer.expect_no_more()
    finally:
        session.connection.commands_in_flight -= 1


async def _offer(session: TransferSession, head: FrameHead, data: Mapping[str, Any]) -> None:
    async with session.offering:
        async with session.connection.costly():
            outcome = await _ask(session, head.type, data)
        participation = outcome.end
        if participation is not None and not session.connection.closed:
            with (
                session.using(participation.transfer.id) as transfer,
                suppress(RateLimited),  # then its first chunk is refused so
            ):
                transfer.offered(participation)
        send_outcome(session.connection, head.id, outcome)


async def _act(
    session: TransferSession,
    transfer: SocketTransfer,
    head: FrameHead,
    data: Mapping[str, Any],
    named: TransferCommandFrame,
) -> None:
    kind = head.type
    if kind in ENDS_DELIVERY:
        transfer.stop_delivery()
    if kind in BEGINS_DELIVERY:
        transfer.expect()
    if kind == "transfer_complete" and transfer.receiver is not None:
        # What was sent before counts, acknowledged or not.
        try:
            async with asyncio.timeout(_SETTLE_SECONDS):
                await transfer.receiver.settled()
        except TimeoutError:
            log.warning("chunks_not_settled", transfer_id=str(transfer.transfer_id))
    outcome = await _ask(session, kind, data)
    send_outcome(session.connection, head.id, outcome)
    if session.connection.closed:
        return
    if outcome.problem is not None:
        transfer.refresh()  # perhaps it goes on after all
    elif kind in BEGINS_DELIVERY:
        transfer.begin(named, outcome.end)
    elif kind in _ENDS_FOLLOWING:
        transfer.unfollow()


async def _ask(session: TransferSession, kind: str, data: Mapping[str, Any]) -> TransferResult:
    try:
        return await session.context.calls.command(session.caller, kind, data)
    except Invalid as refused:
        return TransferResult(problem=Refusal(refused.slug, _UNREADABLE, refused.status))
    except (ServiceUnavailable, NotFound) as error:
        log.debug("transfer_command_failed", kind=kind, error=repr(error))
        problem = Unavailable("Transfers are temporarily unavailable")
        return TransferResult(problem=Refusal(problem.slug, problem.detail, problem.status, 1))
