"""What is printed: text for people, or one JSON object a line for programs."""

import json
import sys
from typing import Any

from rich.console import Console
from rich.markup import escape

from sharezync.cli.endings import Ending


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
            print(json.dumps({"type": type_, **members}, ensure_ascii=False), flush=True)

    def say(self, text: str) -> None:
        """Print a line to people; programs don't see it."""
        if not self.as_json:
            print(printable(text), flush=True)

    def hint(self, text: str) -> None:
        """Print a line beside the output proper, to people."""
        if not self.as_json:
            print(printable(text), file=sys.stderr, flush=True)

    def end(self, ending: Ending) -> None:
        """Tell that a command did not end well."""
        self.record(
            "error",
            code=ending.code,
            message=ending.message,
            hint=ending.hint,
            exit_status=ending.status,
        )
        if not self.as_json:
            self.console.print(f"[red]{escape(printable(ending.message))}[/red]", soft_wrap=True)
            if ending.hint:
                self.console.print(escape(ending.hint), soft_wrap=True)


def printable(text: str) -> str:
    """Return text from elsewhere without what would steer the terminal."""
    return "".join(
        each if each.isprintable() or each in "\n\t" else "\N{REPLACEMENT CHARACTER}"
        for each in text
    )


def size_text(size_bytes: float) -> str:
    """Return a size as people read it: `12.3 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} TB"
