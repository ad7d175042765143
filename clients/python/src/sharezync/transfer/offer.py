"""The files that are sent, their offer, and its record.

The same command, run again, goes on with the same transfer.
"""

import os
import stat
import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sharezync.documents import Transfer
from sharezync.local import JsonFile, record_path
from sharezync.names import clean_parts, key_of, numbered
from sharezync.problems import FileChanged, SharezyncError, TooMuch
from sharezync.shapes import Json

MAX_FILES = 1000


class NothingToSend(SharezyncError):
    """What was named is not there, or is no file and no folder with files."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A file as it was when it was listed. `name` is what recipients see, with `/`."""

    path: Path
    name: str
    size_bytes: int
    modified_ns: int

    def read_into(self, buffer: memoryview, offset: int) -> None:
        """Fill a buffer from the file. Raises FileChanged where it isn't what it was."""
        try:
            with self.path.open("rb", buffering=0) as opened:
                status = os.fstat(opened.fileno())
                if (status.st_size, status.st_mtime_ns) != (self.size_bytes, self.modified_ns):
                    raise FileChanged(f"{self.path} has changed meanwhile: send it again")
                opened.seek(offset)
                filled = 0
                while filled < len(buffer):
                    count = opened.readinto(buffer[filled:])
                    if not count:
                        raise FileChanged(f"{self.path} has become shorter: send it again")
                    filled += count
        except OSError as error:
            raise FileChanged(f"{self.path} can't be read any more: {error}") from error

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes of the file. Raises as `read_into`."""
        buffer = bytearray(length)
        self.read_into(memoryview(buffer), offset)
        return bytes(buffer)


@dataclass(frozen=True, slots=True)
class Listing:
    """Files in a stable order, and what was left out: links and things that are no files."""

    files: tuple[Outgoing, ...]
    left_out: tuple[Path, ...]


def list_files(paths: Sequence[Path]) -> Listing:
    """Return the files named and those in the folders named, with paths inside these folders.

    A link that is named is followed; one that is found in a folder is left out, so that nothing is
    sent that lies elsewhere. Names are cleaned as the recipient would.

    Raises NothingToSend and TooMuch.
    """
    files: list[Outgoing] = []
    left_out: list[Path] = []
    names: set[str] = set()
    for path in paths:
        for found, said in _walk(path, left_out):
            if len(files) == MAX_FILES:
                raise TooMuch(
                    f"At most {MAX_FILES} files go into one transfer: send an archive instead"
                )
            name = _free(said, names)
            names.add(key_of(name))
            status = found.stat()
            if status.st_size == 0 and _has_bytes(found):
                raise NothingToSend(f"{found} doesn't say how long it is: send a copy of it")
            files.append(Outgoing(found.absolute(), name, status.st_size, status.st_mtime_ns))
    if not files:
        raise NothingToSend("There are no files in what you named")
    return Listing(tuple(files), tuple(left_out))


def _has_bytes(path: Path) -> bool:
    """Whether there is something to read: files of /proc say that they are empty."""
    try:
        with path.open("rb") as opened:
            return bool(opened.read(1))
    except OSError:
        return False  # sending it fails, and says why


def _free(said: str, taken: set[str]) -> str:
    """Return a name that every system can save, and that no other file of this transfer has."""
    *folders, last = clean_parts(said)
    for candidate in numbered(last):
        name = "/".join([*folders, candidate])
        if key_of(name) not in taken:
            return name
    raise AssertionError  # numbers have no end


def _walk(path: Path, left_out: list[Path]) -> Iterator[tuple[Path, str]]:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise NothingToSend(f"{path}: {error.strerror or error}") from error
    if stat.S_ISREG(mode):
        yield path, path.name
    elif stat.S_ISDIR(mode):
        root = path.resolve()
        for found in _inside(root, left_out):
            yield found, "/".join((root.name or "files", *found.relative_to(root).parts))
    else:
        raise NothingToSend(f"{path} is neither a file nor a folder")


def _inside(folder: Path, left_out: list[Path]) -> Iterable[Path]:
    with os.scandir(folder) as entries:
        ordered = sorted(entries, key=lambda entry: entry.name)
    for entry in ordered:
        path = Path(entry.path)
        if entry.is_symlink():
            left_out.append(path)
        elif entry.is_dir():
            yield from _inside(path, left_out)
        elif entry.is_file():
            yield path
        else:
            left_out.append(path)


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
