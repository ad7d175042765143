"""What is on its way in, in a folder of our own: told from anybody else's by more than its name.

It stands beside what arrives, so that files are moved and never copied; its name is drawn at
random, and only a record that is kept elsewhere, readable by us alone, says which it is. A folder
that a sender, an archive or another user called like one of ours is therefore never taken for one.
"""

import hashlib
import json
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

from sharezync.folders import Folder, drawn_name
from sharezync.local import write_private
from sharezync.names import numbered

_PREFIX: Final = ".sharezync-"
_OURS: Final = re.compile(r"[0-9]+\.(part|chunks)")


class Staging:
    """A folder of our own for one arrival, and its record. Called in threads."""

    def __init__(self, record: Path, into: Folder, home: Folder, members: dict[str, Any]) -> None:
        self._record = record
        self._into = into
        self._members = members
        self.home = home
        """Where what arrives gets its name: a new folder in `into`, or that itself."""
        self.folder = home.inner(members["staging"])
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
        with suppress(OSError, ValueError, KeyError, TypeError):
            found = cls._reopen(record, parent, json.loads(record.read_bytes()))
            if found is not None:
                return found
        home = parent if new_folder is None else _make_new(parent, new_folder)
        staging = drawn_name(_PREFIX)
        home.make(staging, 0o700)
        members = {
            **about,
            "into": str(parent.path),
            "new_folder": None if new_folder is None else home.path.name,
            "staging": staging,
            "rights": _rights_of(home.inner(staging)),
        }
        begun = cls(record, parent, home, members)
        begun.note()
        return begun

    @classmethod
    def _reopen(cls, record: Path, into: Folder, members: dict[str, Any]) -> Self | None:
        new_folder = members["new_folder"]
        home = into if new_folder is None else into.inner(new_folder)
        found = cls(record, into, home, members)
        # Made by us, with the rights that it was given: nobody else made it, or let others in.
        if [members["into"], members["rights"]] != [str(into.path), _rights_of(found.folder)]:
            return None
        found.resumed = True
        return found

    def note(self, **members: object) -> None:
        """Keep something in the record."""
        self._members |= members
        write_private(self._record, json.dumps(self._members).encode())

    def noted(self, member: str) -> Any:  # noqa: ANN401 - any JSON
        """Return what was kept in the record; None where nothing was."""
        return self._members.get(member)

    def remove(self) -> None:
        """Remove what is ours: this folder, its record, and a new folder in which nothing is."""
        with suppress(OSError):
            for name in self.folder.names():
                if _OURS.fullmatch(name):
                    self.folder.remove(name)
        self.home.remove_folder(self._members["staging"])
        if self._members["new_folder"] is not None:
            self._into.remove_folder(self._members["new_folder"])
        self._record.unlink(missing_ok=True)


def record_of(folder: Path, *of: str) -> Path:
    """Return where the record of an arrival is: the same for the same server, file and place."""
    return folder / f"{hashlib.sha256(json.dumps(of).encode()).hexdigest()[:32]}.json"


def records_in(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield what the records in a folder say."""
    for path in folder.glob("*.json"):
        with suppress(OSError, ValueError):
            found = json.loads(path.read_bytes())
            if isinstance(found, dict):
                yield found


def _make_new(parent: Folder, name: str) -> Folder:
    for candidate in numbered(name):
        with suppress(FileExistsError):
            return parent.make(candidate)
    raise AssertionError  # numbers have no end


def _rights_of(folder: Folder) -> list[int]:
    """Return whose a folder is and who may do what in it, as its file system has it."""
    status = folder.own_status()
    return [status.st_uid, stat.S_IMODE(status.st_mode)]
