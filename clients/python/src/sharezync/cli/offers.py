"""What somebody offers, shown before it is taken: what is dangerous first, all of it if asked."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import click

from sharezync.cli.output import Output, size_text
from sharezync.cli.text import one_line
from sharezync.documents import Transfer, TransferFile
from sharezync.names import Danger, arriving_parts, dangers_in
from sharezync.problems import SharezyncError

if sys.platform != "win32":
    import termios

_SHOWN: Final = 10
_DANGEROUS_SHOWN: Final = 30
_NOTE_CELLS: Final = 400
_PATH_BEGIN: Final = 80
_PATH_END: Final = 40
"""In characters: of more, no list of some files would fit a screen."""
_WHY: Final[dict[Danger, str]] = {
    "hidden": "hidden",
    "opens": "runs, is mounted or leads elsewhere when opened",
    "system": "read by the system",
    "option": "taken for an option by shells",
}


class NobodyToAsk(SharezyncError):
    """Something has to be answered, and standard input is no terminal."""


@dataclass(frozen=True, slots=True)
class Offered:
    """An offer, and what its sender is called."""

    transfer: Transfer
    sender: str

    def members(self) -> dict[str, Any]:
        """Return it for programs."""
        transfer = self.transfer
        return {
            "transfer_id": transfer.id,
            "sender": self.sender,
            "note": transfer.note,
            "size_bytes": transfer.size_bytes,
            "files": [file.path for file in transfer.files],
            "dangerous": [
                {"file": file.path, "why": why, "saved_as": _saved_as(file)}
                for file, why in self._dangerous()
            ],
        }

    def show(self, out: Output) -> None:
        """Show a person what it is: dangerous names first, then some of the others, then counts."""
        transfer = self.transfer
        count = f"{len(transfer.files)} file{'s'[: len(transfer.files) != 1]}"
        out.hint(
            f"An offer from {one_line(self.sender)}: {count}, {size_text(transfer.size_bytes)}"
        )
        dangerous = self._show_dangerous(out)
        others = [file for file in transfer.files if file.index not in dangerous]
        for file in others[:_SHOWN]:
            out.hint(_line(file))
        if len(others) > _SHOWN:
            out.hint(f"    … and {len(others) - _SHOWN} more (l lists all)")
        if transfer.note:
            out.hint(f'  Their note: "{one_line(transfer.note, cells=_NOTE_CELLS)}"')
        # Last: whatever scrolled away, this stands by the question.
        _show_count(out, len(dangerous))

    def show_dangerous(self, out: Output) -> None:
        """Show a person what would do something by its name."""
        _show_count(out, len(self._show_dangerous(out)))

    def _show_dangerous(self, out: Output) -> set[int]:
        dangerous = self._dangerous()
        for file, why in dangerous[:_DANGEROUS_SHOWN]:
            out.hint(_dangerous_line(file, why))
        if len(dangerous) > _DANGEROUS_SHOWN:
            out.hint(f"  ! … and {len(dangerous) - _DANGEROUS_SHOWN} more of this kind")
        return {file.index for file, _ in dangerous}

    def show_all(self, out: Output) -> None:
        """Show a person every file."""
        why = {file.index: why for file, why in self._dangerous()}
        for file in self.transfer.files:
            found = why.get(file.index)
            out.hint(_line(file) if found is None else _dangerous_line(file, found))

    def agreed(self, out: Output) -> bool:
        """Ask at the terminal. Raises NobodyToAsk where there is none."""
        if out.as_json or not sys.stdin.isatty():
            raise NobodyToAsk(
                f"{self.sender} offers {len(self.transfer.files)} files: nobody is here to be "
                f"asked. Run it in a terminal, or with {self.transfer.id}, --yes, --all or "
                f"--accept-from {self.sender}"
            )
        _drop_typed_ahead()
        while True:
            said = click.prompt(
                "Take it? [Y/n, l lists all]", default="y", show_default=False, err=True
            )
            match said.strip().casefold():
                case "y" | "yes":
                    return True
                case "n" | "no":
                    return False
                case "l":
                    self.show_all(out)

    def _dangerous(self) -> Sequence[tuple[TransferFile, tuple[Danger, ...]]]:
        found = ((file, dangers_in(file.path)) for file in self.transfer.files)
        return [(file, why) for file, why in found if why]


def _drop_typed_ahead() -> None:
    """Drop what was typed before there was a question: it isn't its answer."""
    if sys.platform != "win32":
        with suppress(termios.error, OSError, ValueError):
            termios.tcflush(sys.stdin, termios.TCIFLUSH)


def _show_count(out: Output, dangerous: int) -> None:
    if dangerous:
        out.hint(f"  ! {dangerous} would do something by their names, and get harmless ones.")


def _path(path: str) -> str:
    """Return a path from elsewhere to be shown in a list: some rows of it, with its end."""
    if len(path) > _PATH_BEGIN + _PATH_END:
        path = f"{path[:_PATH_BEGIN]}…{path[-_PATH_END:]}"
    return one_line(path)


def _line(file: TransferFile) -> str:
    return f"    {_path(file.path)}, {size_text(file.size_bytes)}"


def _dangerous_line(file: TransferFile, why: Sequence[Danger]) -> str:
    reasons = "; ".join(_WHY[each] for each in why)
    saved = _path(_saved_as(file))
    return f"  ! {_path(file.path)}, {size_text(file.size_bytes)}: {reasons}; saved as {saved}"


def _saved_as(file: TransferFile) -> str:
    return "/".join(arriving_parts(file.path))
