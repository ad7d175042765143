"""Where the files of a transfer come to lie: always inside the folder that was chosen.

Beside the files, which are called `….part` until all is verified, stands a hidden folder
`.sharezync-<transfer>` with the plan and the records of chunks. It goes when all is through.
"""

import json
import os
from collections.abc import Collection
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Final

from sharezync.atomic import write_private
from sharezync.documents import Transfer
from sharezync.problems import Corrupt, UnsafePath
from sharezync.transfer.names import clean_parts, key_of, numbered, part_name
from sharezync.transfer.parts import Part, journal_of

_PLAN: Final = "plan.json"
_FOLDER: Final = ".sharezync-"


class Landing:
    """The files of one transfer on this disk. Called in threads, one call at a time."""

    def __init__(self, into: Path, transfer: Transfer) -> None:
        self._into = into.resolve()
        self._folder = self._into / f"{_FOLDER}{transfer.id}"
        self._transfer = transfer
        self._paths: dict[int, Path] = {}
        self._landed: set[int] = set()
        self.parts: dict[int, Part] = {}
        """The files that are wanted, by index."""
        self.resumed = False
        """Whether something of it was here before."""

    def open(self, wanted: Collection[int]) -> None:
        """Go on with what is here, or choose names and begin. Raises UnsafePath and OSError."""
        self._into.mkdir(parents=True, exist_ok=True)
        planned = self._read_plan()
        self.resumed = planned is not None
        self._paths = self._choose(wanted) if planned is None else planned
        self._make_folders()
        if planned is None:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            plan = {str(index): self._relative(path) for index, path in self._paths.items()}
            write_private(self._folder / _PLAN, json.dumps(plan).encode())
        for file in self._transfer.files:
            path = self._paths.get(file.index)
            if path is None:
                continue
            part = self.parts[file.index] = Part(
                path.with_name(part_name(path.name)),
                self._folder / f"{file.index}.chunks",
                file.size_bytes,
                self._transfer.chunk_size_bytes,
            )
            self._open_part(file.index, part, path)

    def finish(self, transfer: Transfer) -> list[Path]:
        """Give every file its name, once its root is what the server confirmed; return them.

        A file that is there already is never replaced: ours gets a number. Raises Corrupt.
        """
        roots = {file.index: file.root for file in transfer.files}
        for index, part in self.parts.items():
            if not part.complete or roots[index] not in {None, part.root}:
                raise Corrupt(f"{self._paths[index].name} is not what was sent: have it sent again")
        self._make_folders()
        placed = [
            self._paths[file.index]
            if file.index in self._landed
            else _place(
                self.parts[file.index].path, self._paths[file.index], clean_parts(file.path)[-1]
            )
            for file in self._transfer.files
            if file.index in self.parts
        ]
        self._remove_records()
        return placed

    def discard(self) -> None:
        """Remove what can never become complete."""
        for index, part in self.parts.items():
            if index not in self._landed:
                part.path.unlink(missing_ok=True)
        self._remove_records()

    def _open_part(self, index: int, part: Part, path: Path) -> None:
        if self.resumed and not part.path.exists() and path.is_file():
            # It got its name, and then we were killed.
            part.remember()
            if part.complete and path.stat().st_size == part.size_bytes:
                self._landed.add(index)
                return
            part.forget()
        part.open()

    def _read_plan(self) -> dict[int, Path] | None:
        try:
            plan = json.loads((self._folder / _PLAN).read_bytes())
            return {int(index): self._into.joinpath(*names) for index, names in plan.items()}
        except (OSError, ValueError, AttributeError, TypeError):
            return None

    def _choose(self, wanted: Collection[int]) -> dict[int, Path]:
        files: set[str] = set()
        folders: set[str] = set()
        chosen: dict[int, Path] = {}
        for file in self._transfer.files:
            if file.index not in wanted:
                continue
            *parents, name = clean_parts(file.path)
            folder = self._into
            for parent in parents:
                folder = self._choose_folder(folder, parent, files)
                folders.add(key_of(str(folder)))
            path = self._choose_file(folder, name, files | folders)
            chosen[file.index] = path
            files |= _keys_of(path)
        return chosen

    def _choose_file(self, inside: Path, name: str, taken: set[str]) -> Path:
        """Return a path that nothing has, neither complete nor as a part."""
        for candidate in numbered(name):
            path = inside / candidate
            both = (path, path.with_name(part_name(candidate)))
            if not _keys_of(path) & taken and not any(map(os.path.lexists, both)):
                return path
        raise AssertionError  # numbers have no end

    def _choose_folder(self, inside: Path, name: str, files: set[str]) -> Path:
        """Return a folder that is there or can be made, and lies inside."""
        for candidate in numbered(name):
            path = inside / candidate
            if key_of(str(path)) in files:
                continue
            if not os.path.lexists(path) or (path.is_dir() and self._lies_inside(path)):
                return path
        raise AssertionError  # numbers have no end

    def _make_folders(self) -> None:
        for path in self._paths.values():
            path.parent.mkdir(parents=True, exist_ok=True)
            if not self._lies_inside(path.parent):
                raise UnsafePath(
                    f"{path.parent} leads out of {self._into}: receive into another folder"
                )

    def _lies_inside(self, path: Path) -> bool:
        return path.resolve().is_relative_to(self._into)

    def _relative(self, path: Path) -> list[str]:
        return list(path.relative_to(self._into).parts)

    def _remove_records(self) -> None:
        for index in self._paths:
            record = self._folder / f"{index}.chunks"
            for path in (record, journal_of(record), journal_of(record).with_suffix(".draft")):
                path.unlink(missing_ok=True)
        (self._folder / _PLAN).unlink(missing_ok=True)
        with suppress(OSError):
            self._folder.rmdir()


def begun_in(into: Path) -> list[str]:
    """Return the transfers that were begun in a folder and are not through, the oldest first."""
    found = into.glob(f"{_FOLDER}*/{_PLAN}")
    return sorted(path.parent.name.removeprefix(_FOLDER) for path in found)


def _keys_of(path: Path) -> set[str]:
    """Return what some file systems would take this path for, while it isn't complete and then."""
    return {key_of(str(path)), key_of(str(path.with_name(part_name(path.name))))}


def _place(part: Path, path: Path, name: str) -> Path:
    """Give a complete file its path, or beside it the next free name like `name`; return which."""
    for candidate in chain([path.name], numbered(name)):
        target = path.with_name(candidate)
        try:
            target.hardlink_to(part)  # unlike a rename, it never replaces anything
        except FileExistsError:
            if not target.samefile(part):
                continue
        except OSError:  # a file system without links
            if os.path.lexists(target):
                continue
            part.rename(target)
            return target
        part.unlink()
        return target
    raise AssertionError  # numbers have no end
