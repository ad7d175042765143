"""An offer, and its record: the same command, run again, goes on with the same transfer."""

import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sharezync.documents import Transfer
from sharezync.local import JsonFile, record_path
from sharezync.shapes import Json
from sharezync.transfer.listing import Outgoing


@dataclass(frozen=True, slots=True)
class Address:
    """Somebody to send to: any device of theirs that accepts, or only this one."""

    user_id: str
    device_id: str | None = None

    def as_recipient(self) -> Json:
        device = {} if self.device_id is None else {"device_id": self.device_id}
        return {"user_id": self.user_id, **device}


@dataclass(frozen=True, slots=True)
class Offer:
    """Files for people, and the record by which the same offer is found again."""

    record: "SendRecord"
    to: Sequence[Address]
    files: Sequence[Outgoing]
    note: str

    async def make(self, ask: Callable[[Json], Awaitable[Transfer]]) -> Transfer:
        """Offer it, or find what was offered before; `ask` makes the offer to the server."""
        while True:
            offer: Json = {
                "recipients": [each.as_recipient() for each in self.to],
                "files": [{"name": each.name, "size": each.size_bytes} for each in self.files],
                "note": self.note,
                "client_transfer_id": self.record.client_transfer_id,
            }
            transfer = await ask(offer)
            # One that is completed was ours too: we were killed before the record was deleted.
            if self.record.resumed and transfer.over and transfer.state != "completed":
                self.record.renew()
                continue
            self.record.offered(transfer.id)
            return transfer


class SendRecord(JsonFile):
    """What was begun: under which key it was offered, and what the files were then.

    Written before anything is offered. The key finds the offer at the server for ever, so that a
    send that was killed at any moment is found again.
    """

    resumed = False
    """Whether it was there before."""

    @classmethod
    def open(
        cls, folder: Path | None, *, to: Sequence[object], files: Sequence[Outgoing], about: str
    ) -> tuple[Self, str | None]:
        """Return the record of this send, and the transfer of an earlier one that it replaces.

        It is the same send if server and login (`about`), recipients and names are the same; where
        a file has another size or time since, the earlier one can't go on, and a new one begins.
        Without `folder` it is for this process only.
        """
        now = [[str(each.path), each.size_bytes, each.modified_ns] for each in files]
        names = [str(each.path) for each in files]
        path = folder and record_path(folder, about, sorted(map(str, to)), names)
        record = cls(path)
        key, replaced = (record.members.get(each) for each in ("client_transfer_id", "transfer_id"))
        if record.members.get("files") == now and isinstance(key, str):
            record.resumed = True
            return record, None
        record.renew()
        record.update(files=now)
        return record, replaced if isinstance(replaced, str) else None

    @property
    def client_transfer_id(self) -> str:
        return str(self.members["client_transfer_id"])

    def offered(self, transfer_id: str) -> None:
        if transfer_id != self.members["transfer_id"]:
            self.update(transfer_id=transfer_id)

    def renew(self) -> None:
        """Begin anew: what was offered under the key before is over."""
        self.resumed = False
        self.update(client_transfer_id=str(uuid.uuid4()), transfer_id=None)
