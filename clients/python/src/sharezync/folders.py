"""Folders held open, and folders of our own in which things arrive. Called in threads.

What is done in an open folder is done there, whatever its path leads to by now; nothing follows a
link, but for the folder that a person named. A folder of our own stands beside what arrives, so
that files are moved and never copied. Its name is drawn at random, and only a record that is kept
elsewhere, readable by us alone, says which it is: one that a sender, an archive or another user
called like one of ours is never taken for one.
"""

import os
import re
import secrets
import stat
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Any, Final, Self

from sharezync.local import JsonFile
from sharezync.names import numbered

_BY_HANDLE: Final = {
    os.open, os.mkdir, os.stat, os.unlink, os.rmdir, os.rename, os.link
} <= os.supports_dir_fd and os.listdir in os.supports_fd  # fmt: skip
"""Not on Windows: there paths are used, and links are looked for before."""
_NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)
_FOLDER: Final = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_FILE: Final = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0) | _NO_FOLLOW

_PREFIX: Final = ".sharezync-"
_OURS: Final = re.compile(r"[0-9]+\.(part|chunks)")


class Folder:
    """One folder. Names are single names; all methods raise OSError."""

    def __init__(self, path: Path, handle: int | None) -> None:
        self.path = path
        """For messages, and where there are no handles: it may lead elsewhere by now."""
        self._handle = handle
        # Not closed by hand: a thread may still be at work in it, and handles are used again.
        if handle is not None:
            weakref.finalize(self, os.close, handle)

    @classmethod
    def at(cls, path: Path) -> Self:
        """Open the folder that somebody named; links on the way are theirs."""
        path = path.resolve(strict=True)
        return cls(path, os.open(path, _FOLDER) if _BY_HANDLE else None)

    def inner(self, name: str) -> "Folder":
        """Open a folder in it. Raises OSError for a link too."""
        path = self.path / name
        if self._handle is None:
            if not stat.S_ISDIR(path.lstat().st_mode):
                raise NotADirectoryError(20, "is no folder", str(path))
            return Folder(path, None)
        return Folder(path, os.open(name, _FOLDER | _NO_FOLLOW, dir_fd=self._handle))

    def make(self, name: str, mode: int = 0o777) -> "Folder":
        """Make a folder in it, and open it. Raises FileExistsError for whatever is there."""
        os.mkdir(self._of(name), mode, dir_fd=self._handle)
        return self.inner(name)

    def reach(self, names: Sequence[str]) -> "Folder":
        """Open a folder further in, and make what is missing on the way."""
        folder: Folder = self
        for name in names:
            with suppress(FileExistsError):
                folder = folder.make(name)
                continue
            folder = folder.inner(name)
        return folder

    @contextmanager
    def open(self, name: str, flags: int = os.O_RDWR) -> Iterator[FileIO]:
        """Open a file in it, unbuffered. By `flags` as of os.open; no link is followed."""
        opened = os.open(self._of(name), flags | _FILE, 0o666, dir_fd=self._handle)
        mode = "r+" if flags & os.O_RDWR else "w" if flags & os.O_WRONLY else "r"
        with FileIO(opened, mode) as file:  # which truncates nothing that is open already
            yield file

    def create(self, name: str) -> None:
        """Make an empty file. Raises FileExistsError for whatever is there."""
        with self.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL):
            pass

    def append(self, name: str, content: bytes) -> None:
        """Add to a file of ours; it is made where it is missing."""
        with self.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND) as file:
            file.write(content)

    def status(self, name: str) -> os.stat_result | None:
        """Return what is there, a link as such; None where nothing is."""
        try:
            return os.stat(self._of(name), dir_fd=self._handle, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def size_of(self, name: str) -> int | None:
        """Return how many bytes a regular file has; None for anything else."""
        status = self.status(name)
        return status.st_size if status is not None and stat.S_ISREG(status.st_mode) else None

    def names(self) -> list[str]:
        """Return what is in it."""
        return os.listdir(  # noqa: PTH208 - of a handle
            self.path if self._handle is None else self._handle
        )

    def own_status(self) -> os.stat_result:
        """Return what this folder itself is."""
        return self.path.lstat() if self._handle is None else os.fstat(self._handle)

    def remove(self, name: str) -> None:
        """Remove a file of ours. Safe to repeat."""
        with suppress(FileNotFoundError):
            os.unlink(self._of(name), dir_fd=self._handle)

    def remove_folder(self, name: str) -> None:
        """Remove an empty folder of ours; one that isn't empty stays."""
        with suppress(OSError):
            os.rmdir(self._of(name), dir_fd=self._handle)

    def move_in(self, source: "Folder", theirs: str, name: str) -> None:
        """Move a file here from another folder of the same file system; never replaces anything.

        Raises FileExistsError where something else has the name. Safe to repeat after a kill.
        """
        try:
            os.link(
                source._of(theirs),  # noqa: SLF001 - of the same class
                self._of(name),
                src_dir_fd=source._handle,  # noqa: SLF001
                dst_dir_fd=self._handle,
                follow_symlinks=not _BY_HANDLE,
            )
        except FileExistsError:
            here, there = self.status(name), source.status(theirs)
            if here is None or there is None or not os.path.samestat(here, there):
                raise
        except OSError:  # a file system without links: the name is taken first, and then filled
            self.create(name)
            self.take_over(source, theirs, name)
            return
        source.remove(theirs)

    def take_over(self, source: "Folder", theirs: str, name: str) -> None:
        """Move a file here from another folder, in place of the file that is there, if any."""
        os.replace(
            source._of(theirs),  # noqa: SLF001
            self._of(name),
            src_dir_fd=source._handle,  # noqa: SLF001
            dst_dir_fd=self._handle,
        )

    def _of(self, name: str) -> str:
        return str(self.path / name) if self._handle is None else name


def drawn_name(prefix: str) -> str:
    """Return a name that nobody can know before."""
    return prefix + secrets.token_hex(16)


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
