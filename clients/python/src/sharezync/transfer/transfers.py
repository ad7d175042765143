"""Transfers: listed, offered, sent, received.

Files move by whichever way there is: a socket at first, HTTP where there is none.
"""

import asyncio
from collections.abc import AsyncGenerator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

import httpx

from sharezync.backoff import jittered
from sharezync.documents import OVER, Transfer
from sharezync.http import Http
from sharezync.local import state_folder
from sharezync.names import clean_name, defused, shortened
from sharezync.people import People
from sharezync.problems import NotLoggedIn, Problem, SocketClosed, TransferEnded, Unreachable
from sharezync.realtime.socket import Socket
from sharezync.shapes import Json
from sharezync.tokens import Renewal
from sharezync.transfer.offer import Address, Offer, SendRecord, list_files
from sharezync.transfer.progress import OnProgress, Progress
from sharezync.transfer.received_files import Destination, begun_in
from sharezync.transfer.receiver import HttpReceiver
from sharezync.transfer.sender import HttpSender
from sharezync.transfer.socket_receiver import SocketReceiver
from sharezync.transfer.socket_sender import SocketSender
from sharezync.transfer.transfer_http import TransferApi, TransferHttp

Over = Literal["auto", "socket", "http"]
"""`auto`: a socket, and HTTP where there is none to be had, or none any more."""
Wait = Literal["nobody", "receiving", "all"]
"""Until when a sender stays: till everything is stored; till those are through who are receiving
by then; or till nobody is left who might."""

OPENING_SECONDS: Final = 10.0
"""How long a first socket is tried for where there is another way."""
# By us; revoked on purpose; a protocol of another time.
_NO_OTHER: Final = frozenset({1000, 4503, 4509})
_UNDER_WAY: Final = frozenset({"accepted", "receiving", "verifying"})
_SOON: Final = 1
"""As `jittered` counts: some three times a second."""
_SELDOM: Final = 4
_ENDED_A_SOCKET: Final = (SocketClosed, Unreachable, NotLoggedIn)

_RECEIVES: Final = "receives"
_SENDER_BYTES: Final = 100


def leaves_http(error: Exception) -> bool:
    """Whether HTTP may do where this ended a socket, or kept one from being opened.

    Proxies refuse upgrades, or drop them silently; and capability tokens need no login any more.
    """
    if isinstance(error, SocketClosed):
        return error.code not in _NO_OTHER
    return isinstance(error, NotLoggedIn | Unreachable)


def check_http_left(over: Over, error: Exception) -> None:
    """Raise what ended a socket, or kept one from being opened, where HTTP isn't another way."""
    if over == "socket" or not leaves_http(error):
        raise error


@dataclass(frozen=True, slots=True)
class Mover:
    """Moves files on behalf of a login, from or to one of its devices.

    `device` is its socket, or its `client_id`.
    """

    api: TransferApi
    base_url: str
    renewal: Renewal
    device: Socket | str
    over: Over
    on_progress: OnProgress

    async def send(self, offer: Offer) -> Progress:
        """Have everything of an offer stored; the record of what can't go on is deleted."""
        progress: Progress | None = None
        side: TransferHttp | None = None
        if self.over != "http":
            try:
                async with self._socket() as socket:
                    progress, side = await self._offered(offer, socket)
                    if side is None:
                        return progress
                    with socket.about_transfer(side.transfer_id) as queue, _deleting_record(offer):
                        await SocketSender(
                            side, progress, offer.files, self.on_progress, socket, queue
                        ).send()
                    return progress
            except _ENDED_A_SOCKET as error:
                check_http_left(self.over, error)
        if progress is None:
            progress, side = await self._offered(offer, None)
        if side is not None:
            with _deleting_record(offer):
                await HttpSender(side, progress, offer.files, self.on_progress, self.api).send()
        return progress

    async def receive(
        self, transfer: Transfer, to: Destination, files: Collection[int] | None
    ) -> list[Path]:
        """Have a transfer where it is to go."""
        receiver: SocketReceiver | None = None
        if self.over != "http":
            try:
                async with self._socket() as socket:
                    with socket.about_transfer(transfer.id) as queue:
                        # As it is now that nothing can be missed.
                        transfer = await self.api.get(transfer.id)
                        receiver = SocketReceiver(
                            self.api, transfer, to, self.on_progress, files, socket, queue
                        )
                        return await receiver.receive()
            except _ENDED_A_SOCKET as error:
                check_http_left(self.over, error)
        if receiver is None or receiver.token is None:
            transfer = await self.api.get(transfer.id)
            return await HttpReceiver(self.api, transfer, to, self.on_progress, files).receive()
        # With the token that was given: nothing more is asked of the login.
        transfer = receiver.progress.transfer
        side = await self.api.transfer_http(transfer.id, receiver.token)
        on_http = HttpReceiver(self.api, transfer, to, self.on_progress, files, side)
        on_http.progress.moved_bytes = receiver.progress.moved_bytes
        return await on_http.receive()

    async def _offered(
        self, offer: Offer, socket: Socket | None
    ) -> tuple[Progress, TransferHttp | None]:
        """Make an offer, from the device of a socket or that of the login.

        Return how far it is, and the sender's side; None where nothing is to be sent any more.
        """

        async def ask(members: Json) -> Transfer:
            if socket is None:
                return await self.api.create(members)
            return Transfer.of(await socket.command("file_transfer_start", **members))

        transfer = await offer.make(ask)
        progress = Progress(transfer, transfer.size_bytes, resumed=offer.record.resumed)
        progress.learn(transfer)
        self.on_progress(progress)
        if not transfer.over:
            return progress, await self.api.transfer_http(transfer.id, transfer.token)
        if transfer.state != "completed":
            offer.record.delete()
            raise TransferEnded(transfer.state)
        return progress, None

    @asynccontextmanager
    async def _socket(self) -> AsyncGenerator[Socket]:
        if isinstance(self.device, Socket):
            await self.device.ready()
            yield self.device
        else:
            async with Socket(
                self.base_url,
                self.renewal,
                self.device,
                events=False,
                opening_seconds=OPENING_SECONDS if self.over == "auto" else None,
            ) as socket:
                yield socket


@contextmanager
def _deleting_record(offer: Offer) -> Iterator[None]:
    """Delete the record of what can't go on, however often it is tried."""
    try:
        yield
    except TransferEnded:
        offer.record.delete()
        raise
    except Problem as problem:
        if not problem.retryable and problem.status != httpx.codes.UNAUTHORIZED:
            offer.record.delete()
        raise


async def wait_for_recipients(
    api: TransferApi, progress: Progress, wait: Wait, on_progress: OnProgress
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
            progress.learn(await api.get(progress.transfer.id))
        except NotLoggedIn:
            return
        quiet = 0 if progress.recipients != before else quiet + 1
        if not quiet:
            on_progress(progress)


def _ignore(_: Progress) -> None:
    """Do nothing."""


class Transfers(TransferApi):
    """What one sends and is sent."""

    def __init__(self, http: Http, renewal: Renewal, people: People) -> None:
        super().__init__(http)
        self._renewal = renewal
        self._people = people

    async def address(self, text: str) -> Address:
        """Return whom `USER` or `USER/DEVICE` means. Raises NoSuchUser."""
        name, slash, device = text.partition("/")
        user = await self._people.find(name)
        if not slash:
            return Address(user.id)
        return Address(user.id, (await self._people.find_device(user, device)).id)

    async def send(
        self,
        paths: Sequence[Path | str],
        *,
        to: Sequence[Address | str],
        device: Socket | str,
        note: str = "",
        record_in: Path | None = None,
        wait: Wait = "receiving",
        over: Over = "auto",
        on_progress: OnProgress = _ignore,
    ) -> Progress:
        """Send files and folders to people, from a device (its socket, or its `client_id`).

        With `record_in`, a folder, a send that was interrupted goes on when it is called again
        with the same files and people: nothing that is stored is sent again. Where no socket can
        be had, or the login ends in the midst of it, chunks go over HTTP, unless `over` says
        otherwise; then the device is that which the login names.

        Returns how far everybody is, as far as the login lived to see it. Raises TransferEnded,
        Problem, FileChanged, Unreachable and more of `problems`.
        """
        listing = await asyncio.to_thread(list_files, [Path(path) for path in paths])
        addresses = [each if isinstance(each, Address) else await self.address(each) for each in to]
        record, replaced = SendRecord.open(
            record_in, to=addresses, files=listing.files, about=self._http.base_url
        )
        if replaced is not None:
            with suppress(Problem):  # over, or gone: all the better
                await self.act(replaced, "cancel")
        mover = self._mover(device, over, on_progress)
        progress = await mover.send(Offer(record, addresses, listing.files, note))
        await wait_for_recipients(self, progress, wait, on_progress)
        record.delete()  # not before: who is killed while they wait has not seen it through
        return progress

    async def receive(
        self,
        transfer: Transfer | str,
        into: Path | str,
        *,
        device: Socket | str,
        files: Collection[int] | None = None,
        new_folder: bool = True,
        record_in: Path | None = None,
        over: Over = "auto",
        on_progress: OnProgress = _ignore,
    ) -> list[Path]:
        """Accept a transfer, all of it or some `files`, and receive it in a folder.

        In `into` a new folder is made for it, called after who sends and when; with
        `new_folder=False` the files go straight into `into`. Nothing that is there is replaced, no
        folder that is there is gone into, and names that would do something by being there are
        changed (`names`). Returns the files, in the order of those that are received.

        Called again after an interruption, with the same `into`, it goes on where it was; the
        record of that is in `record_in`, a folder (by default among the state of this user).
        `over` is as in `send`. Raises TransferEnded, Problem, Corrupt, UnsafePath, OSError,
        Unreachable and more of `problems`.
        """
        if isinstance(transfer, str):
            transfer = await self.get(transfer)
        destination = Destination(
            Path(into),
            await self._folder_name(transfer) if new_folder else None,
            record_in or state_folder() / _RECEIVES,
            self._http.base_url,
        )
        mover = self._mover(device, over, on_progress)
        return await mover.receive(transfer, destination, files)

    async def begun_in(self, into: Path | str, *, record_in: Path | None = None) -> list[str]:
        """Return the transfers whose reception in a folder was begun here and is not through."""
        records = record_in or state_folder() / _RECEIVES
        return await asyncio.to_thread(begun_in, Path(into), records, self._http.base_url)

    async def _folder_name(self, transfer: Transfer) -> str:
        """Return what the folder of a transfer is called: `ada 2026-11-30 1609`."""
        sender = await self._people.name_of(transfer.sender_id)
        name = shortened(defused(clean_name(sender)), limit=_SENDER_BYTES)
        return f"{name} {datetime.now().astimezone():%Y-%m-%d %H%M}"

    def _mover(self, device: Socket | str, over: Over, on_progress: OnProgress) -> Mover:
        return Mover(self, self._http.base_url, self._renewal, device, over, on_progress)
