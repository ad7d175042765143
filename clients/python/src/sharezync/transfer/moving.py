"""Sending and receiving by whichever way there is: a socket at first, doors over HTTP after it."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import httpx

from sharezync.documents import OVER, Transfer
from sharezync.pauses import jittered
from sharezync.problems import (
    NotLoggedIn,
    Problem,
    SocketClosed,
    TransferEnded,
    Unreachable,
)
from sharezync.realtime.socket import Socket
from sharezync.transfer.offering import Offer
from sharezync.transfer.progress import OnProgress, Progress
from sharezync.transfer.received_files import Destination
from sharezync.transfer.receiving import Receiver
from sharezync.transfer.receiving_over_http import HttpReceiver
from sharezync.transfer.sending import Sender
from sharezync.transfer.sending_over_http import HttpSender
from sharezync.transfer.ways import OPENING_SECONDS, Over, leaves_http

if TYPE_CHECKING:
    from sharezync.session import Session

Wait = Literal["nobody", "receiving", "all"]
"""Until when a sender stays: till everything is stored; till those are through who are receiving
by then; or till nobody is left who might."""

_UNDER_WAY: Final = frozenset({"accepted", "receiving", "verifying"})
_SOON: Final = 1
"""As `jittered` counts: some three times a second."""
_SELDOM: Final = 4
_ENDED_A_SOCKET: Final = (SocketClosed, Unreachable, NotLoggedIn)


async def send_by(
    session: "Session", offer: Offer, device: Socket | str, over: Over, on_progress: OnProgress
) -> Progress:
    """Have everything of an offer stored; what can't go on is forgotten. Raises as `send`."""
    sender: Sender | None = None
    if over != "http":
        try:
            async with _socket_of(session, device, over) as socket:
                transfer = await offer.on(socket)
                sender = Sender(
                    await session.transfers.doors(transfer.id, _token_in(transfer)),
                    socket,
                    transfer,
                    offer.files,
                    on_progress,
                    resumed=offer.record.resumed,
                )
                on_progress(sender.progress)
                with socket.line(transfer.id) as line, _forgetting(offer):
                    if _still_open(transfer):
                        await sender.send(line)
                return sender.progress
        except _ENDED_A_SOCKET as error:
            if over == "socket" or not leaves_http(error):
                raise
    if sender is None:
        return await _send_over_http(session, offer, on_progress)
    on_http = HttpSender(session, sender.doors, sender.progress, offer.files, on_progress)
    with _forgetting(offer):
        await on_http.send()
    return on_http.progress


async def _send_over_http(session: "Session", offer: Offer, on_progress: OnProgress) -> Progress:
    transfer = await offer.over_http(session)
    progress = Progress(transfer, transfer.size_bytes, resumed=offer.record.resumed)
    progress.learn(transfer)
    on_progress(progress)
    with _forgetting(offer):
        if _still_open(transfer):
            doors = await session.transfers.doors(transfer.id, _token_in(transfer))
            await HttpSender(session, doors, progress, offer.files, on_progress).send()
    return progress


async def receive_by(
    session: "Session",
    transfer: Transfer,
    to: Destination,
    device: Socket | str,
    over: Over,
    on_progress: OnProgress,
    *,
    files: Collection[int] | None,
) -> list[Path]:
    """Have a transfer where it is to go. Raises as `receive`."""
    receiver: Receiver | None = None
    if over != "http":
        try:
            async with _socket_of(session, device, over) as socket:
                with socket.line(transfer.id) as line:
                    # As it is now that nothing escapes us.
                    transfer = await session.transfers.get(transfer.id)
                    receiver = Receiver(session, socket, transfer, to, on_progress, files=files)
                    return await receiver.receive(line)
        except _ENDED_A_SOCKET as error:
            if over == "socket" or not leaves_http(error):
                raise
    if receiver is None or receiver.token is None:
        transfer = await session.transfers.get(transfer.id)
        return await HttpReceiver(session, transfer, to, on_progress, files=files).receive()
    # The doors that are open stay open: nothing more is asked of the login.
    on_http = HttpReceiver(session, receiver.progress.transfer, to, on_progress, files=files)
    on_http.progress.moved_bytes = receiver.progress.moved_bytes
    return await on_http.receive(await session.transfers.doors(transfer.id, receiver.token))


async def see_through(
    session: "Session", progress: Progress, wait: Wait, on_progress: OnProgress
) -> None:
    """Stay until those are through who are waited for, or the login has ended.

    As long as nothing happens it is asked ever less often, down to every five seconds or so.
    """
    quiet = 0
    while wait != "nobody":
        states = {state for state, _ in progress.recipients.values()}
        left = states - OVER if wait == "all" else states & _UNDER_WAY
        if not left:
            return
        await asyncio.sleep(jittered(_SOON + min(quiet, _SELDOM)))
        before = dict(progress.recipients)
        try:
            progress.learn(await session.transfers.get(progress.transfer.id))
        except NotLoggedIn:
            return
        quiet = 0 if progress.recipients != before else quiet + 1
        if not quiet:
            on_progress(progress)


@asynccontextmanager
async def _socket_of(
    session: "Session", device: Socket | str, over: Over
) -> AsyncGenerator[Socket]:
    if isinstance(device, Socket):
        await device.ready()
        yield device
    else:
        opening_seconds = OPENING_SECONDS if over == "auto" else None
        async with session.socket(device, events=False, opening_seconds=opening_seconds) as socket:
            yield socket


@contextmanager
def _forgetting(offer: Offer) -> Iterator[None]:
    """Forget the record of what can't go on, however often it is tried."""
    try:
        yield
    except TransferEnded:
        offer.record.delete()
        raise
    except Problem as problem:
        if not problem.retryable and problem.status != httpx.codes.UNAUTHORIZED:
            offer.record.delete()
        raise


def _still_open(transfer: Transfer) -> bool:
    """Whether there is something to send. Raises TransferEnded for what never becomes whole."""
    if transfer.over and transfer.state != "completed":
        raise TransferEnded(transfer.state)
    return not transfer.over


def _token_in(transfer: Transfer) -> str | None:
    """Return the capability token that came with an answer."""
    return transfer.raw.get("token")
