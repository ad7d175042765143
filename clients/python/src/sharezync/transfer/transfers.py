"""Transfers: listed, offered, sent, received."""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from sharezync.documents import Transfer
from sharezync.http import Http
from sharezync.local import state_folder
from sharezync.names import clean_name, shortened
from sharezync.people import People
from sharezync.problems import Problem
from sharezync.realtime.socket import Socket
from sharezync.renewal import Renewal
from sharezync.transfer.api import TransferApi
from sharezync.transfer.defusing import defused
from sharezync.transfer.listing import list_files
from sharezync.transfer.moving import Mover, Over, Wait, wait_for_recipients
from sharezync.transfer.offer import Address, Offer, SendRecord
from sharezync.transfer.progress import OnProgress, Progress
from sharezync.transfer.received_files import Destination, begun_in

_RECEIVES: Final = "receives"
_SENDER_BYTES: Final = 100


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
        changed (`transfer.defusing`). Returns the files, in the order of those that are received.

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
