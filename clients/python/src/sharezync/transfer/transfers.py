"""Transfers: listed, offered, sent, received."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from sharezync.documents import OVER, Transfer
from sharezync.problems import Problem, TransferEnded
from sharezync.realtime.socket import Socket
from sharezync.transfer.listing import Outgoing, list_files
from sharezync.transfer.progress import OnProgress, Progress
from sharezync.transfer.receiving import Receiver
from sharezync.transfer.send_record import SendRecord
from sharezync.transfer.sending import Sender

if TYPE_CHECKING:
    from sharezync.session import Session

Wait = Literal["nobody", "receiving", "all"]
"""Until when a sender stays: till everything is stored; till those are through who are receiving
by then; or till nobody is left who might."""

_UNDER_WAY: Final = frozenset({"accepted", "receiving", "verifying"})
_LOOK_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class Address:
    """Somebody to send to: any device of theirs that accepts, or only this one."""

    user_id: str
    device_id: str | None = None


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
        path = f"/v1/transfers/{transfer_id}/{act}"
        return Transfer.of((await self._session.request("POST", path, repeatable=True)).json())

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
        on_progress: OnProgress = _ignore,
    ) -> Progress:
        """Send files and folders to people, from a device (its socket, or its `client_id`).

        With `record_in`, a folder, a send that was interrupted goes on when it is called again
        with the same files and people: nothing that is stored is sent again. Returns how far
        everybody is. Raises TransferEnded, Problem, FileChanged, Unreachable and more of
        `problems`.
        """
        listing = await asyncio.to_thread(list_files, [Path(path) for path in paths])
        addresses = [each if isinstance(each, Address) else await self.address(each) for each in to]
        async with self._socket(device) as socket:
            record, replaced = SendRecord.open(
                record_in, to=addresses, files=listing.files, about=self._session.base_url
            )
            if replaced is not None:
                with suppress(Problem):  # over, or gone: all the better
                    await self.act(replaced, "cancel")
            transfer = await self._offer(socket, record, addresses, listing.files, note)
            sender = Sender(
                self._session,
                socket,
                transfer,
                listing.files,
                on_progress,
                resumed=record.resumed,
            )
            on_progress(sender.progress)
            with socket.line(transfer.id) as line:
                try:
                    if not transfer.over:
                        await sender.send(line)
                    elif transfer.state != "completed":
                        raise TransferEnded(transfer.state)
                except (TransferEnded, Problem):
                    record.forget()
                    raise
            record.forget()
            await self._see_through(sender.progress, wait, on_progress)
            return sender.progress

    async def receive(
        self,
        transfer: Transfer | str,
        into: Path | str,
        *,
        device: Socket | str,
        files: Collection[int] | None = None,
        on_progress: OnProgress = _ignore,
    ) -> list[Path]:
        """Accept a transfer, all of it or some `files`, and receive it into a folder.

        Called again after an interruption, with the same folder, it goes on with what is there.
        Returns the files; none that was there before is replaced. Raises TransferEnded, Problem,
        Corrupt, UnsafePath, OSError, Unreachable and more of `problems`.
        """
        if isinstance(transfer, str):
            transfer = await self.get(transfer)
        async with self._socket(device) as socket:
            with socket.line(transfer.id) as line:
                transfer = await self.get(transfer.id)  # as it is now that nothing escapes us
                receiver = Receiver(
                    self._session, socket, transfer, Path(into), on_progress, files=files
                )
                return await receiver.receive(line)

    async def _offer(
        self,
        socket: Socket,
        record: SendRecord,
        to: Sequence[Address],
        files: Sequence[Outgoing],
        note: str,
    ) -> Transfer:
        """Offer it, or find what was offered before; anew where that is over."""
        while True:
            offer: dict[str, Any] = {
                "recipients": [_recipient(each) for each in to],
                "files": [{"name": each.name, "size": each.size_bytes} for each in files],
                "note": note,
                "client_transfer_id": record.client_transfer_id,
            }
            transfer = Transfer.of(await socket.command("file_transfer_start", **offer))
            if record.resumed and transfer.over:
                record.renew()
                continue
            record.offered(transfer.id)
            return transfer

    async def _see_through(self, progress: Progress, wait: Wait, on_progress: OnProgress) -> None:
        """Stay until those are through who are waited for."""
        while wait != "nobody":
            states = {state for state, _ in progress.recipients.values()}
            left = states - OVER if wait == "all" else states & _UNDER_WAY
            if not left:
                return
            await asyncio.sleep(0.25)
            progress.learn(await self.get(progress.transfer.id))
            on_progress(progress)

    @asynccontextmanager
    async def _socket(self, device: Socket | str) -> AsyncGenerator[Socket]:
        if isinstance(device, Socket):
            await device.ready()
            yield device
        else:
            async with self._session.socket(device, events=False) as socket:
                yield socket


def _recipient(address: Address) -> dict[str, str]:
    chosen = {} if address.device_id is None else {"device_id": address.device_id}
    return {"user_id": address.user_id, **chosen}
