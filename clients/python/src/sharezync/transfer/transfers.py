"""Transfers: listed, offered, sent, received."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from sharezync.documents import Capability, Transfer
from sharezync.http import document_of
from sharezync.places import state_folder
from sharezync.problems import Problem
from sharezync.realtime.socket import Socket
from sharezync.transfer.defusing import defused
from sharezync.transfer.listing import list_files
from sharezync.transfer.moving import Wait, receive_by, see_through, send_by
from sharezync.transfer.names import clean_name, shortened
from sharezync.transfer.offering import Address, Offer
from sharezync.transfer.progress import OnProgress, Progress
from sharezync.transfer.ranges import Ranges
from sharezync.transfer.received_files import Destination, begun_in
from sharezync.transfer.send_record import SendRecord
from sharezync.transfer.statistics import Statistics
from sharezync.transfer.transfer_http import TransferHttp
from sharezync.transfer.ways import Over

if TYPE_CHECKING:
    from sharezync.session import Session
    from sharezync.shapes import Json

_RECEIVES: Final = "receives"
_SENDER_BYTES: Final = 100


def _ignore(_: Progress) -> None:
    """Tell nobody."""


class Transfers:
    """What one sends and is sent."""

    def __init__(self, session: "Session") -> None:
        self._session = session

    async def get(self, transfer_id: str) -> Transfer:
        """Return a transfer. Raises Problem (`not-found`)."""
        return Transfer.of(await self._session.document(f"/v1/transfers/{transfer_id}"))

    async def all(
        self,
        *,
        role: Literal["sender", "recipient"] | None = None,
        state: str | None = None,
        most: int | None = None,
    ) -> list[Transfer]:
        """Return what one sends and is sent, newest first."""
        found = self._session.items("/v1/transfers", role=role, state=state, most=most)
        return [Transfer.of(each) async for each in found]

    async def act(
        self, transfer_id: str, act: Literal["reject", "pause", "resume", "cancel"]
    ) -> Transfer:
        """Do something to a transfer, as its sender or a recipient. Safe to repeat."""
        return await self._act(transfer_id, act)

    async def accept(self, transfer_id: str, *, files: Collection[int] | None = None) -> Transfer:
        """Accept all files or some, on the device that the login names. Safe to repeat."""
        members = {} if files is None else {"files": sorted(files)}
        return await self._act(transfer_id, "accept", members)

    async def say_held(self, transfer_id: str, have: Mapping[int, Ranges]) -> Transfer:
        """Go on with a transfer that was accepted; `have` is what is here of each file."""
        held = {str(index): ranges.pairs() for index, ranges in have.items()}
        return await self._act(transfer_id, "resume", {"have": held})

    async def capability(self, transfer_id: str) -> Capability:
        """Return what opens one's own end of a transfer over HTTP, for as long as it lives.

        Raises Problem: `wrong-state` before a recipient accepts, `transfer-over`.
        """
        path = f"/v1/transfers/{transfer_id}/token"
        return Capability.of(
            document_of(await self._session.request("POST", path, repeatable=True))
        )

    async def doors(self, transfer_id: str, token: str | None = None) -> TransferHttp:
        """Return the doors of one's own end of a transfer; raises as `capability`.

        With `token` that is what opens them first; one that is refused is asked for anew.
        """

        async def renew() -> str:
            return (await self.capability(transfer_id)).token

        return TransferHttp(self._session.http, transfer_id, token or await renew(), renew=renew)

    async def statistics(self, *, days: int = 30) -> Statistics:
        """Return what came of it all: of all time, of the last `days`, and by person."""
        return Statistics.of(await self._session.document("/v1/transfers/stats", days=days))

    async def address(self, text: str) -> Address:
        """Return whom `USER` or `USER/DEVICE` means. Raises NobodyCalled."""
        name, slash, device = text.partition("/")
        user = await self._session.people.find(name)
        if not slash:
            return Address(user.id)
        return Address(user.id, (await self._session.people.find_device(user, device)).id)

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
            record_in, to=addresses, files=listing.files, about=self._session.base_url
        )
        if replaced is not None:
            with suppress(Problem):  # over, or gone: all the better
                await self.act(replaced, "cancel")
        offer = Offer(record, addresses, listing.files, note)
        progress = await send_by(self._session, offer, device, over, on_progress)
        await see_through(self._session, progress, wait, on_progress)
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
            self._session.base_url,
        )
        return await receive_by(
            self._session, transfer, destination, device, over, on_progress, files=files
        )

    async def begun_in(self, into: Path | str, *, record_in: Path | None = None) -> list[str]:
        """Return the transfers whose reception in a folder was begun here and is not through."""
        records = record_in or state_folder() / _RECEIVES
        return await asyncio.to_thread(begun_in, Path(into), records, self._session.base_url)

    async def _folder_name(self, transfer: Transfer) -> str:
        """Return what the folder of a transfer is called: `ada 2026-11-30 1609`."""
        sender = await self._session.people.name_of(transfer.sender_id)
        name = shortened(defused(clean_name(sender)), limit=_SENDER_BYTES)
        return f"{name} {datetime.now().astimezone():%Y-%m-%d %H%M}"

    async def _act(self, transfer_id: str, act: str, members: "Json | None" = None) -> Transfer:
        path = f"/v1/transfers/{transfer_id}/{act}"
        answer = await self._session.request("POST", path, repeatable=True, json=members)
        return Transfer.of(document_of(answer))
