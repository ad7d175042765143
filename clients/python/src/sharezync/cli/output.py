"""What is printed: text for people, or one JSON object a line for programs."""

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from typing import Any, Final, TextIO

from rich.console import Console
from rich.text import Text

from sharezync.cli.outcomes import CommandOutcome
from sharezync.cli.text import line, unisolated, widest, wrapped

_INDENT: Final = 4
"""Of what is too long for a line: only our own lines begin at the edge."""


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
