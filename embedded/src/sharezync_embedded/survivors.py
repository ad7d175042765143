"""The processes of a fleet, recorded so that the next one finds what a killed one left."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from sharezync_embedded.processes import ProcessIdentity

STOP_TIMEOUT_SECONDS = 30.0  # longer than the 20 s that a service may take to say goodbye


def record_processes(data_dir: Path, processes: Sequence[ProcessIdentity]) -> None:
    """Record the processes that run on `data_dir`, in place of those of before."""
    notes = [(process.pid, process.started_at) for process in processes]
    draft = _notes(data_dir).with_suffix(".draft")
    draft.write_bytes(msgspec.json.encode(notes))
    draft.replace(_notes(data_dir))


def delete_record(data_dir: Path) -> None:
    """Delete the record: none of them runs any more."""
    _notes(data_dir).unlink(missing_ok=True)


def end_survivors(data_dir: Path) -> None:
    """End recorded processes that still run: asked first, killed after 30 s."""
    try:
        notes = msgspec.json.decode(_notes(data_dir).read_bytes(), type=list[tuple[int, float]])
    except (FileNotFoundError, msgspec.DecodeError):
        return
    for pid, started_at in notes:
        ProcessIdentity(pid, started_at).end(timeout_seconds=STOP_TIMEOUT_SECONDS)
    delete_record(data_dir)


def _notes(data_dir: Path) -> Path:
    return data_dir / "fleet.json"
