"""What is printed: text and bars for people, JSON lines for programs; how commands end."""

import asyncio
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Final, Self, TextIO

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column
from rich.text import Text

from sharezync.cli.text import line, one_line, unisolated, widest, wrapped
from sharezync.documents import OVER
from sharezync.problems import NotLoggedIn, Problem, SharezyncError, TransferEnded, Unreachable
from sharezync.transfer.progress import Progress as TransferProgress

_INDENT: Final = 4
"""Of what is too long for a line: only our own lines begin at the edge."""


FAILED: Final = 1
USAGE: Final = 2
NOT_LOGGED_IN: Final = 3
NETWORK: Final = 4
INTERRUPTED: Final = 130

_HINTS: Final = {
    "quota-exceeded": "Delete something you have stored, or send less.",
    "transfer-too-large": "Send it in several transfers.",
    "too-many-tries": "Wait a moment before you try again.",
    "other-device": "It is for another device of yours: receive it there.",
    "invalid-grant": "Check the name and the password.",
    "too-many-offers": "Wait until some of what you offered is answered.",
    "too-many-transfers": "Wait until some of what you send has ended, or cancel some.",
    "too-many-files": "Delete some of your files, or wait until some of what you send has ended.",
}
_LOGIN_CODES: Final = frozenset({4501, 4503})
_OVER: Final = {
    "rejected": "Nobody wants it.",
    "cancelled": "It was cancelled.",
    "expired": "Nobody took it in time. Send it again.",
    "failed": "What arrived is not what was sent. Send it again.",
}

_RECORD_SECONDS: Final = 0.5
_LABEL_CELLS: Final = 30
_LEAST_LABEL_CELLS: Final = 8
_LEAST_BAR_CELLS: Final = 10


@dataclass(frozen=True, slots=True)
class CommandOutcome:
    """What is said at the end, and the exit status."""

    code: str
    message: str
    hint: str = ""
    exit_status: int = FAILED


def outcome_of(error: BaseException) -> CommandOutcome:
    """Return how a command ends that this came out of."""
    if isinstance(error, (KeyboardInterrupt, asyncio.CancelledError, click.exceptions.Abort)):
        hint = "Run the same command again to go on where it was."
        return CommandOutcome("interrupted", "Interrupted.", hint, INTERRUPTED)
    if isinstance(error, NotLoggedIn) or getattr(error, "code", None) in _LOGIN_CODES:
        return CommandOutcome("not-logged-in", str(error), "Run: sharezync login", NOT_LOGGED_IN)
    if isinstance(error, Unreachable):
        hint = "Check the address (--url or SHAREZYNC_URL) and the network; then run it again."
        return CommandOutcome("unreachable", str(error), hint, NETWORK)
    return CommandOutcome(*_failure(error))


def _failure(error: BaseException) -> tuple[str, str, str]:
    """Return code, message and hint of what ends with 1."""
    match error:
        case TransferEnded(state=state):
            return f"transfer-{state}", str(error), _OVER.get(state, "")
        case Problem(code=code):
            return code, _with_fields(error), _HINTS.get(code, "")
        case SharezyncError():
            return "failed", str(error), ""
        case OSError():
            return "file", str(error), "Check the path, the rights and the space."
    return "bug", f"Something went wrong in this program: {error!r}", "Please report it."


def _with_fields(problem: Problem) -> str:
    errors = problem.extras.get("errors")
    wrong = [
        f"{str(each.get('field', '')).removeprefix('body.')}: {each.get('message', '')}"
        for each in (errors if isinstance(errors, list) else ())
        if isinstance(each, dict)
    ]
    return "; ".join([str(problem), *wrong])


class Output:
    """Standard output, for who reads it; bars and hints go to standard error."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.console = Console(stderr=True)

    @property
    def shows_bars(self) -> bool:
        """Whether somebody is there to see something move."""
        return not self.as_json and self.console.is_terminal

    def record(self, type_: str, **members: Any) -> None:  # noqa: ANN401 - any JSON
        """Print an object to programs; people don't see it."""
        if self.as_json:
            # In ASCII: whatever the encoding of the terminal, and whatever reads it.
            print(json.dumps({"type": type_, **members}), flush=True)

    def show(self, type_: str, text: str, **members: Any) -> None:  # noqa: ANN401 - any JSON
        """Print an object to programs, or a line to people."""
        self.record(type_, **members)
        self.say(text)

    def say(self, text: str) -> None:
        """Print a line to people; programs don't see it."""
        self._print(sys.stdout, _rows(text, _width_of(sys.stdout)))

    def say_after(self, head: str, text: str) -> None:
        """Print to people what somebody wrote, in lines: all but the first are indented."""
        width = _width_of(sys.stdout)
        indent = min(widest(head), 2 * _INDENT)
        self._print(sys.stdout, wrapped(line(head), text, width=width, indent=indent))

    def hint(self, text: str) -> None:
        """Print a line beside the output proper, to people."""
        self._print(sys.stderr, _rows(text, _width_of(sys.stderr)))

    def fail(self, outcome: CommandOutcome) -> None:
        """Say that a command did not end well."""
        self.record("error", **asdict(outcome))
        if not self.as_json:
            for row in _rows(f"sharezync: {outcome.message}", _width_of(sys.stderr)):
                self.console.print(Text(row, style="red"), soft_wrap=True)
            if outcome.hint:
                self.hint(outcome.hint)

    def _print(self, stream: TextIO, rows: Iterator[str]) -> None:
        if not self.as_json:
            for row in rows:
                print(row, file=stream, flush=True)


def print_what_can_be_printed() -> None:
    """Let what the terminal's encoding doesn't have become `?`, and no error after the work."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):  # replaced by something of another kind
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]


def _rows(text: str, width: int | None) -> Iterator[str]:
    shown = line(text)
    if width is None or widest(shown) <= width:
        yield shown
    else:
        yield from wrapped("", unisolated(shown), width=width, indent=_INDENT)


def _width_of(stream: TextIO) -> int | None:
    """Return how many cells a terminal has in a line; None for what is none."""
    if not stream.isatty():
        return None
    # Of this very stream: COLUMNS may be of another window, and the other stream no terminal.
    with suppress(OSError):
        if columns := os.get_terminal_size(stream.fileno()).columns:
            return columns
    return shutil.get_terminal_size().columns


def size_text(size_bytes: float) -> str:
    """Return a size as people read it: `12.3 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} TB"


class Bars:
    """Bars with bytes, rate and time left; or, with `--json`, two objects a second."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._tasks: dict[str, TaskID] = {}
        self._recorded_at = 0.0
        width = out.console.width
        self._label_cells = min(_LABEL_CELLS, max(_LEAST_LABEL_CELLS, width // 3))
        self._bars = Progress(
            *_columns(width, self._label_cells),
            console=out.console,
            disable=not out.shows_bars,
            transient=False,
        )

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def show(
        self, label: str, done_bytes: int, of_bytes: int, *, note: str = "", key: str | None = None
    ) -> None:
        """Show how far something is, on a bar of its own: that of `key`, or else of its label."""
        key = label if key is None else key
        description = one_line(f"{label} {note}".strip(), cells=self._label_cells)
        if key not in self._tasks:
            self._tasks[key] = self._bars.add_task(description, total=of_bytes)
        self._bars.update(
            self._tasks[key], completed=done_bytes, total=of_bytes, description=description
        )

    def moved(self, label: str, what: Mapping[str, str], done_bytes: int, of_bytes: int) -> None:
        """Show how far a file is."""
        self.show(label, done_bytes, of_bytes)
        last = done_bytes == of_bytes
        self._record(last=last, **what, done_bytes=done_bytes, size_bytes=of_bytes)

    def sent(
        self, progress: TransferProgress, names: Mapping[str, str], *, last: bool = False
    ) -> None:
        """Show how far a send is: what is stored, and what each recipient has."""
        self.show("stored", progress.stored_bytes, progress.size_bytes)
        recipients = []
        for user_id, (state, received) in progress.recipients.items():
            note = state if state in OVER or not received else ""
            label = names.get(user_id, user_id)
            self.show(label, received, progress.size_bytes, note=note, key=f"to {user_id}")
            recipients.append({"user": label, "state": state, "received_bytes": received})
        self._record(last=last, **_members(progress), recipients=recipients)

    def received(self, progress: TransferProgress, name: str) -> None:
        """Show how far a reception is."""
        self.show(name, progress.received_bytes, progress.size_bytes)
        self._record(**_members(progress), received_bytes=progress.received_bytes)

    def _record(self, *, last: bool = False, **members: object) -> None:
        """Print an object, where these are wanted and it is time for one."""
        now = time.monotonic()
        if self._out.as_json and (last or now - self._recorded_at >= _RECORD_SECONDS):
            self._recorded_at = now
            self._out.record("progress", **members)


def _columns(width: int, label_cells: int) -> Iterator[ProgressColumn]:
    """Yield what a bar has room for in a line, each as wide as it may become: none jumps."""
    yield TextColumn(
        "{task.description}",
        markup=False,
        table_column=Column(width=label_cells, no_wrap=True, overflow="ellipsis"),
    )
    room = width - label_cells - 1
    for column_, cells in (
        (TaskProgressColumn(table_column=Column(width=4)), 5),
        (DownloadColumn(table_column=Column(width=15, no_wrap=True)), 16),
        (TransferSpeedColumn(table_column=Column(width=10, no_wrap=True)), 11),
        (TimeRemainingColumn(table_column=Column(width=7, no_wrap=True)), 8),
    ):
        if room >= cells:
            room -= cells
            yield column_
    if room >= _LEAST_BAR_CELLS:
        yield BarColumn(bar_width=min(room - 1, 40))


def _members(progress: TransferProgress) -> dict[str, Any]:
    return {
        "transfer_id": progress.transfer.id,
        "size_bytes": progress.size_bytes,
        "stored_bytes": progress.stored_bytes,
        "rate": round(progress.rate),
    }
