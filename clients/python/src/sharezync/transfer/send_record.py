"""The record of a send, so that the same command, run again, goes on with the same transfer."""

import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sharezync.atomic import write_private
from sharezync.transfer.listing import Outgoing


@dataclass(slots=True)
class SendRecord:
    """What was begun: under which key it was offered, and what the files were then.

    Written before anything is offered. The key finds the offer at the server for ever, so that a
    send that was killed at any moment is found again.
    """

    path: Path | None
    """Where it is kept; None: for this process only."""
    client_transfer_id: str
    files: list[tuple[str, int, int]]
    transfer_id: str | None = None
    resumed: bool = False
    """Whether it was there before."""

    @classmethod
    def open(
        cls, folder: Path | None, *, to: Sequence[object], files: Sequence[Outgoing], about: str
    ) -> tuple[Self, str | None]:
        """Return the record of this send, and the transfer of an earlier one that it replaces.

        It is the same send if server and login (`about`), recipients and names are the same; where
        a file has another size or time since, the earlier one can't go on, and a new one begins.
        """
        now = [(str(each.path), each.size_bytes, each.modified_ns) for each in files]
        if folder is None:
            return cls(None, str(uuid.uuid4()), now), None
        names = [str(each.path) for each in files]
        said = json.dumps([about, sorted(map(str, to)), names])
        path = folder / f"{hashlib.sha256(said.encode()).hexdigest()[:32]}.json"
        replaced: str | None = None
        try:
            document = json.loads(path.read_text())
            before = [(name, size, modified) for name, size, modified in document["files"]]
            transfer_id = document["transfer_id"]
            if before == now:
                key = str(document["client_transfer_id"])
                return cls(path, key, now, transfer_id, resumed=True), None
            replaced = transfer_id
        except (OSError, ValueError, KeyError, TypeError):
            pass  # there is none, or none that can be read
        record = cls(path, str(uuid.uuid4()), now)
        record._save()
        return record, replaced

    def offered(self, transfer_id: str) -> None:
        """Note which transfer it became."""
        if transfer_id != self.transfer_id:
            self.transfer_id = transfer_id
            self._save()

    def renew(self) -> None:
        """Begin anew: what was offered under the key before is over."""
        self.client_transfer_id = str(uuid.uuid4())
        self.transfer_id = None
        self.resumed = False
        self._save()

    def delete(self) -> None:
        """It is through, or can't go on. Safe to repeat."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def _save(self) -> None:
        if self.path is not None:
            document = {
                "client_transfer_id": self.client_transfer_id,
                "transfer_id": self.transfer_id,
                "files": self.files,
            }
            write_private(self.path, json.dumps(document).encode())
