"""Where the files of a transfer are saved: in a new folder of their own, or straight into one.

Until all is verified they are in a folder of our own in it (`staging`); then they get names that
nothing has. Our folder and its record go when all is through.
"""

import errno
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from sharezync.documents import Transfer, TransferFile
from sharezync.folders import Folder, Staging, records_in
from sharezync.local import record_path
from sharezync.names import arriving_parts, clean_parts, key_of, numbered
from sharezync.problems import Corrupt, UnsafePath
from sharezync.transfer.parts import Part


@dataclass(slots=True)
class _Level:
    """A folder of the sender's, as it is made here."""

    names: tuple[str, ...]
    taken: set[str]
    """Keys of the names that something has, here or on file systems that take two for one."""
    folders: "dict[str, _Level]" = field(default_factory=dict)
    """By what the sender calls them: two of theirs stay two."""


def choose_names(home: Folder, files: Iterable[TransferFile]) -> dict[int, list[str]]:
    """Choose where in `home` each file goes, by index, and make the folders for it.

    No folder was there before: what arrives is never mixed into what is there. Raises OSError.
    """
    root = _Level((), set(map(key_of, home.names())))
    chosen: dict[int, list[str]] = {}
    for file in files:
        *parents, name = zip(clean_parts(file.path), arriving_parts(file.path), strict=True)
        level = root
        for said, arriving in parents:
            if said not in level.folders:
                level.folders[said] = _make(home, level, arriving)
            level = level.folders[said]
        free = next(each for each in numbered(name[1]) if key_of(each) not in level.taken)
        level.taken.add(key_of(free))
        chosen[file.index] = [*level.names, free]
    return chosen


def place(home: Folder, source: Folder, file: str, names: list[str]) -> list[str]:
    """Give a file that is whole its name, or the next free one like it; return which.

    Nothing is replaced, whatever has come there since the name was chosen. Raises OSError, where a
    folder on the way has become a link too.
    """
    *parents, name = names
    folder = home.reach(parents)
    for candidate in chain([name], numbered(name)):
        try:
            folder.move_in(source, file, candidate)
        except FileExistsError:
            continue
        return [*parents, candidate]
    raise AssertionError  # numbers have no end


def _make(home: Folder, level: _Level, name: str) -> _Level:
    folder = home.reach(level.names)
    for candidate in numbered(name):
        if key_of(candidate) in level.taken:
            continue
        level.taken.add(key_of(candidate))
        try:
            folder.make(candidate)
        except FileExistsError:
            continue
        return _Level((*level.names, candidate), set())
    raise AssertionError  # numbers have no end


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
