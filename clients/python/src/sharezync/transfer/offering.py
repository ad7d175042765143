"""An offer, made once however often it is sent."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sharezync.documents import Transfer
from sharezync.http import document_of
from sharezync.realtime.socket import Socket
from sharezync.shapes import Json
from sharezync.transfer.listing import Outgoing
from sharezync.transfer.send_record import SendRecord

if TYPE_CHECKING:
    from sharezync.session import Session


@dataclass(frozen=True, slots=True)
class Address:
    """Somebody to send to: any device of theirs that accepts, or only this one."""

    user_id: str
    device_id: str | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """Files for people, and the record by which the same offer is found again."""

    record: SendRecord
    to: Sequence[Address]
    files: Sequence[Outgoing]
    note: str

    async def on(self, socket: Socket) -> Transfer:
        """Offer it from the device of a socket, or find what was offered before."""

        async def ask(members: Json) -> Json:
            return await socket.command("file_transfer_start", **members)

        return await self._make(ask)

    async def over_http(self, session: "Session") -> Transfer:
        """Offer it from the device that the login names, or find what was offered before."""

        async def ask(members: Json) -> Json:
            answer = await session.request("POST", "/v1/transfers", json=members, repeatable=True)
            return document_of(answer)

        return await self._make(ask)

    async def _make(self, ask: Callable[[Json], Awaitable[Json]]) -> Transfer:
        while True:
            members: dict[str, Any] = {
                "recipients": [_recipient(each) for each in self.to],
                "files": [{"name": each.name, "size": each.size_bytes} for each in self.files],
                "note": self.note,
                "client_transfer_id": self.record.client_transfer_id,
            }
            transfer = Transfer.of(await ask(members))
            # What is completed was ours all the same: we were killed before we forgot the record.
            if self.record.resumed and transfer.over and transfer.state != "completed":
                self.record.renew()
                continue
            self.record.offered(transfer.id)
            return transfer


def _recipient(address: Address) -> dict[str, str]:
    chosen = {} if address.device_id is None else {"device_id": address.device_id}
    return {"user_id": address.user_id, **chosen}
