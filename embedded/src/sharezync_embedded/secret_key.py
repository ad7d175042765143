"""The secret of an installation that nobody gave one: made once, kept in the data folder."""

import os
import secrets
from pathlib import Path

_RANDOM_BYTES = 48


def secret_key_of(data_dir: Path) -> str:
    """Return what stands in `data_dir/secret_key`, which is made where it is absent.

    Only the owner can read the file. Of several processes that make it at once, all return the
    same key; a crash leaves all of it or nothing. Raises ValueError where the file is too short
    to be a key, and OSError.
    """
    path = data_dir / "secret_key"
    if not path.exists():
        _make(path)
    path.chmod(0o600)  # also where somebody copied it without its permissions
    key = path.read_text().strip()
    if len(key) < _RANDOM_BYTES:
        raise ValueError(f"{path} holds no key; remove it to get a new one (all sessions end)")
    return key


def _make(path: Path) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(_RANDOM_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)  # unlike rename, this never replaces what another just made
        except FileExistsError:
            return
    finally:
        draft.unlink()
