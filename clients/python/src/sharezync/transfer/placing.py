"""The names that files of a transfer get: chosen so that nothing that is there is touched."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain

from sharezync.documents import TransferFile
from sharezync.folders import Folder
from sharezync.names import clean_parts, key_of, numbered
from sharezync.transfer.defusing import arriving_parts


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
