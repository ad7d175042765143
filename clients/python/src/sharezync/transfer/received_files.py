"""Where the files of a transfer are saved: in a new folder of their own, or straight into one.

Until all is verified they are in a folder of our own in it (`staging`); then they get names that
nothing has. Our folder and its record go when all is through.
"""

import errno
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from sharezync.documents import Transfer
from sharezync.local import record_path
from sharezync.problems import Corrupt, UnsafePath
from sharezync.staging import Staging, records_in
from sharezync.transfer.parts import Part
from sharezync.transfer.placing import choose_names, place


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a transfer is to go. `records` is a folder of ours; `about` says at which server."""

    into: Path
    new_folder: str | None
    """What the folder is called that is made for it in `into`; None: straight into that."""
    records: Path
    about: str


class ReceivedFiles:
    """The files of one transfer on this disk. Called in threads, one call at a time."""

    def __init__(self, destination: Destination, transfer: Transfer) -> None:
        self._destination = destination
        self._transfer = transfer
        self._placed: set[int] = set()
        self.parts: dict[int, Part] = {}
        """The files that are wanted, by index."""
        self.resumed = False
        """Whether something of it was here before."""

    @property
    def folder(self) -> Path:
        """Where the files go; of use once it is open."""
        return self._staging.home.path

    def open(self, wanted: Collection[int]) -> None:
        """Go on with what is here, or begin. Raises OSError."""
        to = self._destination
        into = to.into.absolute()
        self._staging = Staging.open(
            record_path(to.records, to.about, str(into.resolve()), self._transfer.id),
            into,
            new_folder=to.new_folder,
            about=to.about,
            transfer_id=self._transfer.id,
        )
        self.resumed = self._staging.resumed
        self._names: dict[int, list[str]] = {
            int(index): names for index, names in (self._staging.noted("names") or {}).items()
        }
        for file in self._transfer.files:
            if file.index not in wanted:
                continue
            part = self.parts[file.index] = Part(
                self._staging.folder,
                file.index,
                file.path,
                file.size_bytes,
                self._transfer.chunk_size_bytes,
            )
            self._open_part(file.index, part)

    def finish(self, transfer: Transfer) -> list[Path]:
        """Give every file its name, once its root is what the server confirmed; return them.

        A file that is there already is never replaced: ours gets a number. Raises Corrupt,
        UnsafePath and OSError.
        """
        roots = {file.index: file.root for file in transfer.files}
        for index, part in self.parts.items():
            if not part.complete or roots[index] not in {None, part.root}:
                raise Corrupt(f"{part.name} is not what was sent: have it sent again")
        home, wanted = self._staging.home, self.parts
        if not wanted.keys() <= self._names.keys():
            files = [file for file in self._transfer.files if file.index in wanted]
            self._names = choose_names(home, files)
            self._staging.note(names=self._names)
        placed = [self._place(index) for index in wanted]
        self._staging.remove()
        return [home.path.joinpath(*names) for names in placed]

    def discard(self) -> None:
        """Remove what can never become complete."""
        self._staging.remove()

    def _place(self, index: int) -> list[str]:
        names = self._names[index]
        if index in self._placed:
            return names
        home = self._staging.home
        try:
            return place(home, self._staging.folder, self.parts[index].file, names)
        except OSError as error:
            if error.errno not in {errno.ENOTDIR, errno.ELOOP}:
                raise
            path = home.path.joinpath(*names[:-1])
            raise UnsafePath(f"{path} is no folder of ours any more, or leads elsewhere") from error

    def _open_part(self, index: int, part: Part) -> None:
        names = self._names.get(index)
        if names is not None and not part.is_there:
            # It got its name, and then we were killed.
            part.remember()
            if part.complete and self._size_of(names) == part.size_bytes:
                self._placed.add(index)
                return
            part.discard_record()
        part.open()

    def _size_of(self, names: list[str]) -> int | None:
        *parents, name = names
        folder = self._staging.home
        try:
            for parent in parents:
                folder = folder.inner(parent)
            return folder.size_of(name)
        except OSError:
            return None


def begun_in(into: Path, records: Path, about: str) -> list[str]:
    """Return the transfers that were begun in a folder and are not through, the oldest first."""
    here = [about, str(into.resolve())]
    found = [each for each in records_in(records) if [each.get("about"), each.get("into")] == here]
    return sorted(str(each["transfer_id"]) for each in found if "transfer_id" in each)
