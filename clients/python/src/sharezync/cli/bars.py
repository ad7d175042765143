"""Progress, as bars for people and as objects for programs."""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from sharezync.cli.output import Output
from sharezync.cli.text import one_line
from sharezync.documents import OVER
from sharezync.transfer.progress import Progress as TransferProgress

_RECORD_SECONDS: Final = 0.5
_LABEL_CELLS: Final = 30


class Bars:
    """Bars with bytes, rate and time left; or, with `--json`, two objects a second."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._tasks: dict[str, TaskID] = {}
        self._recorded_at = 0.0
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
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
        description = f"{one_line(label, cells=_LABEL_CELLS)} {note}".strip()
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


def _members(progress: TransferProgress) -> dict[str, Any]:
    return {
        "transfer_id": progress.transfer.id,
        "size_bytes": progress.size_bytes,
        "stored_bytes": progress.stored_bytes,
        "rate": round(progress.rate),
    }
