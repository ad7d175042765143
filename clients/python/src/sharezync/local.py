"""What is kept on this machine between two runs: where, and how it is written."""

import hashlib
import json
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any


def config_folder() -> Path:
    """Return the folder of what was chosen: `$XDG_CONFIG_HOME/sharezync`."""
    return _xdg("XDG_CONFIG_HOME", ".config")


def state_folder() -> Path:
    """Return the folder of what is under way: `$XDG_STATE_HOME/sharezync`."""
    return _xdg("XDG_STATE_HOME", ".local/state")


def _xdg(variable: str, default: str) -> Path:
    given = os.environ.get(variable, "")
    # Relative paths are invalid there (XDG Base Directory Specification).
    base = Path(given) if given and Path(given).is_absolute() else Path.home() / default
    return base / "sharezync"


def write_private(path: Path, content: bytes) -> None:
    """Replace a file, readable by its owner only. Folders are made; on error the old one stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        with suppress(OSError):
            new.unlink()
        raise


class JsonFile:
    """A small JSON object of our own in a file, read once; without a path in memory only."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.members: dict[str, Any] = {}
        if path is not None:
            with suppress(OSError, ValueError):  # there is none, or none that can be read
                found = json.loads(path.read_bytes())
                self.members = found if isinstance(found, dict) else {}

    def update(self, **members: object) -> None:
        """Set these members, and write the file."""
        self.members |= members
        if self.path is not None:
            write_private(self.path, json.dumps(self.members, indent=1).encode())

    def delete(self) -> None:
        """Remove the file. Safe to repeat."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def record_path(folder: Path, *identity: object) -> Path:
    """Return where the record of something is that is begun once: the same for the same."""
    digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
    return folder / f"{digest[:32]}.json"
