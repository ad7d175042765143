"""What is on its way in, in a folder of our own, which is known by more than its name.

It stands beside what arrives, so that files are moved and never copied; its name is drawn at
random, and only a record that is kept elsewhere, readable by us alone, says which it is. A folder
that a sender, an archive or another user called like one of ours is therefore never taken for one.
"""

import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

from sharezync.folders import Folder, drawn_name
from sharezync.local import JsonFile
from sharezync.names import numbered

_PREFIX: Final = ".sharezync-"
_OURS: Final = re.compile(r"[0-9]+\.(part|chunks)")


class Staging:
    """A folder of our own for one arrival, and its record. Called in threads."""

    def __init__(self, record: JsonFile, into: Folder) -> None:
        self._record = record
        self._into = into
        new_folder = record.members["new_folder"]
        self.home = into if new_folder is None else into.inner(new_folder)
        """Where what arrives gets its name: a new folder in `into`, or that itself."""
        self.folder = self.home.inner(record.members["staging"])
        """Ours alone, of files called `0.part`, `0.chunks` …"""
        self.resumed = False
        """Whether it was there before."""

    @classmethod
    def open(cls, record: Path, into: Path, *, new_folder: str | None, **about: str) -> Self:
        """Go on with what a record says, or begin; `about` is kept in a new record.

        With `new_folder` a folder of that name, or with a number, is made for what arrives. Where
        it was begun otherwise it goes on as it was begun.
        """
        into.mkdir(parents=True, exist_ok=True)
        parent = Folder.at(into)
        found = JsonFile(record)
        with suppress(OSError, ValueError, KeyError, TypeError):
            staging = cls(found, parent)
            # Made by us, with the rights that it was given: nobody else made it, or let others in.
            ours = [str(parent.path), _rights_of(staging.folder)]
            if [found.members["into"], found.members["rights"]] == ours:
                staging.resumed = True
                return staging
        home = parent if new_folder is None else _make_new(parent, new_folder)
        name = drawn_name(_PREFIX)
        rights = _rights_of(home.make(name, 0o700))
        found.members.clear()
        found.update(
            **about,
            into=str(parent.path),
            new_folder=None if new_folder is None else home.path.name,
            staging=name,
            rights=rights,
        )
        return cls(found, parent)

    def note(self, **members: object) -> None:
        """Keep something in the record."""
        self._record.update(**members)

    def noted(self, member: str) -> Any:  # noqa: ANN401 - any JSON
        """Return what was kept in the record; None where nothing was."""
        return self._record.members.get(member)

    def remove(self) -> None:
        """Remove what is ours: this folder, its record, and a new folder in which nothing is."""
        with suppress(OSError):
            for name in self.folder.names():
                if _OURS.fullmatch(name):
                    self.folder.remove(name)
        self.home.remove_folder(self._record.members["staging"])
        if self._record.members["new_folder"] is not None:
            self._into.remove_folder(self._record.members["new_folder"])
        self._record.delete()


def records_in(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield what the records in a folder say."""
    for path in folder.glob("*.json"):
        yield JsonFile(path).members


def _make_new(parent: Folder, name: str) -> Folder:
    for candidate in numbered(name):
        with suppress(FileExistsError):
            return parent.make(candidate)
    raise AssertionError  # numbers have no end


def _rights_of(folder: Folder) -> list[int]:
    """Return whose a folder is and who may do what in it, as its file system has it."""
    status = folder.own_status()
    return [status.st_uid, stat.S_IMODE(status.st_mode)]
