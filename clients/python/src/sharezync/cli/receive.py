"""`receive`."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import click
import httpx

from sharezync.cli.common import Context, an_id, logged_in, over_option
from sharezync.cli.offers import Offered
from sharezync.cli.output import Bars, size_text
from sharezync.cli.text import one_line, verbatim
from sharezync.client import Session
from sharezync.documents import Transfer
from sharezync.problems import Problem, SharezyncError, SocketClosed, TransferEnded, Unreachable
from sharezync.realtime.frame_router import StreamEventFrame, StreamReset
from sharezync.realtime.socket import Socket
from sharezync.transfer.progress import Progress
from sharezync.transfer.transfers import OPENING_SECONDS, Over, check_http_left

_POLL_SECONDS: Final = 2.0
_OPEN = ("offered", "accepted", "receiving", "verifying", "paused")


@logged_in
@click.argument("transfer_id", metavar="ID", required=False, callback=an_id)
@click.option("--from", "sender", metavar="USER", help="Only receive transfers from USER.")
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    metavar="DIR",
    help="Folder in which a new folder is created for each transfer; default: current folder.",
)
@click.option("--no-new-folder", is_flag=True, help="Save directly into DIR.")
@click.option(
    "--all", "take_all", is_flag=True, help="Receive all waiting transfers without asking."
)
@click.option("-y", "--yes", is_flag=True, help="Answer all questions with yes.")
@click.option(
    "--accept-from",
    multiple=True,
    metavar="USER",
    help="Keep running and receive transfers from USER without asking. Can be repeated.",
)
@over_option
async def receive(
    context: Context,
    session: Session,
    *,
    transfer_id: str | None,
    sender: str | None,
    into: Path,
    no_new_folder: bool,
    take_all: bool,
    yes: bool,
    accept_from: tuple[str, ...],
    over: Over,
) -> None:
    """Receive the transfer ID, the waiting transfers, or else the next one that is offered.

    Asks on the terminal before accepting, except with ID, --yes, --all and --accept-from. Each
    transfer is saved in a new folder, named after its sender and time. Existing files and folders
    are never replaced or written to. Hidden files, executable files and names that the system reads
    are renamed. If interrupted, run the same command again to resume.
    """
    receiving = _Receiving(context, session, into, not no_new_folder, take_all, yes, over)
    if sender is not None:
        receiving.only = (await session.people.find(sender)).id
    receiving.trusted = {(await session.people.find(name)).id for name in accept_from}
    async with _socket_of(session, context.config.client_id, over) as receiving.socket:
        if transfer_id is not None:
            await receiving.receive(await session.transfers.get(transfer_id))
            return
        await receiving.take_waiting()
        if accept_from or not (receiving.seen or take_all):
            await receiving.take_new(stay=bool(accept_from))
    if not receiving.seen:
        context.out.say("Nothing is waiting for you.")
    if receiving.failures:
        raise receiving.failures[0]


@asynccontextmanager
async def _socket_of(session: Session, device: str, over: Over) -> AsyncGenerator[Socket | None]:
    async with AsyncExitStack() as stack:
        socket: Socket | None = None
        if over != "http":
            opening_seconds = OPENING_SECONDS if over == "auto" else None
            opening = session.socket(device, opening_seconds=opening_seconds)
            try:
                socket = await stack.enter_async_context(opening)
            except (SocketClosed, Unreachable) as error:
                check_http_left(over, error)
        yield socket


@dataclass
class _Receiving:
    """Takes transfers one after the other."""

    context: Context
    session: Session
    into: Path
    new_folder: bool
    take_all: bool
    yes: bool
    over: Over
    socket: Socket | None = None
    """None where there is none to be had, or none is wanted."""
    only: str | None = None
    trusted: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    """Transfers that were considered, whatever came of it."""
    shown: set[str] = field(default_factory=set)
    """Those that were shown."""
    failures: list[SharezyncError] = field(default_factory=list)

    async def take_waiting(self) -> None:
        """Take what waits, the oldest first; nothing is asked about what was begun here before."""
        await self._conclude()
        for state in _OPEN:
            found = await self.session.transfers.all(role="recipient", state=state)
            for transfer in reversed(found):
                await self._consider(transfer)

    async def _conclude(self) -> None:
        """Give their names to files of which everything is here, and clear up what ended since."""
        records = self._records
        for transfer_id in await self.session.transfers.begun_in(self.into, record_in=records):
            try:
                transfer = await self.session.transfers.get(transfer_id)
            except Problem as problem:
                if problem.status not in {httpx.codes.NOT_FOUND, httpx.codes.UNPROCESSABLE_ENTITY}:
                    raise
                continue  # somebody else's, or received from elsewhere
            if transfer.over and self._wants(transfer):
                await self._take(transfer)

    async def take_new(self, *, stay: bool) -> None:
        """Take what is offered from now on: the first, or all there is until interrupted."""
        self.context.out.hint("Waiting for an offer. Ctrl-C stops.")
        self.context.out.record("waiting")
        if self.socket is not None:
            try:
                await self._take_from_socket(self.socket, stay=stay)
            except (SocketClosed, Unreachable) as error:
                check_http_left(self.over, error)
                self.socket = None
            else:
                return
        while stay or not self.seen:
            await asyncio.sleep(_POLL_SECONDS)
            await self.take_waiting()

    async def _take_from_socket(self, socket: Socket, *, stay: bool) -> None:
        async for incoming in socket:
            before = len(self.seen)
            if isinstance(incoming, StreamEventFrame) and incoming.type == "incoming_transfer":
                await self._consider(Transfer.of(incoming.data))
            elif isinstance(incoming, StreamReset) and incoming.stream.startswith("transfers:"):
                await self.take_waiting()
            if len(self.seen) > before and not stay:
                return

    async def _consider(self, transfer: Transfer) -> None:
        if transfer.over or not self._wants(transfer):
            return
        offered = transfer.state == "offered"
        asks = offered and transfer.sender_id not in self.trusted and not self.take_all
        if asks and (self.trusted or not await self._agreed(transfer)):
            return
        await self._take(transfer)

    def _wants(self, transfer: Transfer) -> bool:
        """Whether it was not considered yet, and is from somebody whose transfers are wanted."""
        return transfer.id not in self.seen and self.only in {None, transfer.sender_id}

    async def _take(self, transfer: Transfer) -> None:
        self.seen.add(transfer.id)
        try:
            await self.receive(transfer)
        except TransferEnded as error:  # the others may be all right
            self.failures.append(error)
            self.context.out.hint(f"{error}")

    async def _agreed(self, transfer: Transfer) -> bool:
        sender = await self.session.people.name_of(transfer.sender_id)
        offered = Offered(transfer, sender)
        out = self.context.out
        out.record("offer", **offered.members())
        offered.show(out)
        self.shown.add(transfer.id)
        agreed = self.yes or offered.agreed(out)
        self.seen.add(transfer.id)
        if not agreed:
            await self.session.transfers.act(transfer.id, "reject")
            out.say("Rejected.")
        return agreed

    async def receive(self, transfer: Transfer) -> None:
        """Receive one transfer, and show it."""
        out = self.context.out
        name = await self.session.people.name_of(transfer.sender_id)
        out.record(
            "receiving", transfer_id=transfer.id, sender=name, size_bytes=transfer.size_bytes
        )
        if transfer.id not in self.shown:
            Offered(transfer, name).show_dangerous(out)
        label = f"from {name}"
        folder = self.into
        begun = False
        moved = 0
        with Bars(out) as bars:

            def show(progress: Progress) -> None:
                nonlocal begun, folder, moved
                moved = progress.moved_bytes
                folder = progress.folder or folder
                bars.received(progress, label)
                if progress.resumed and not begun:
                    here, size = progress.received_bytes, progress.size_bytes
                    out.hint(f"Going on: {size_text(here)} of {size_text(size)} are here already.")
                    out.record("resumed", transfer_id=transfer.id, received_bytes=here)
                begun = True

            files = await self.session.transfers.receive(
                transfer,
                self.into,
                device=self.socket or self.context.config.client_id,
                new_folder=self.new_folder,
                record_in=self._records,
                over=self.over if self.socket is not None else "http",
                on_progress=show,
            )
        out.record(
            "received",
            transfer_id=transfer.id,
            moved_bytes=moved,
            folder=str(folder),
            files=[str(path) for path in files],
            sent_as=[file.path for file in transfer.files],
        )
        for file, path in zip(transfer.files, files, strict=True):
            inside = path.relative_to(folder).as_posix()
            sent_as = "" if inside == file.path else f"  (sent as {one_line(file.path)})"
            out.say(f"Received {verbatim(str(path))}{sent_as}")

    @property
    def _records(self) -> Path:
        return self.context.config.state / "receives"
