"""What a backup is: a folder that `backup.py` fills and `restore.py` reads.

    manifest.json    what it is, of when, and what it takes to restore it
    database.dump    pg_dump's custom format: one moment of all schemas
    files/           of the store, under the same names as there
    secret_key       where the installation keeps its own
    SHA256SUMS       of all of these, as sha256sum(1) writes and checks it

Folders are open to their owner alone, and so are files.
"""

import hashlib
import os
from collections.abc import Iterator
from io import BufferedWriter
from pathlib import Path
from typing import Final

import msgspec

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
DUMP: Final = "database.dump"
FILES: Final = "files"
SECRET_KEY: Final = "secret_key"  # noqa: S105 - the name of a file
_SUMS: Final = "SHA256SUMS"
_BLOCK_BYTES: Final = 2**20
_ZEROS: Final = bytes(_BLOCK_BYTES)


class BackupRefused(Exception):
    """What was asked for can't be done, or must not be; the message is the sentence to show."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What an archive says of itself."""

    format: int = FORMAT
    made_at: str
    """The moment that the database is of: ISO 8601, UTC."""
    version: str
    """Of the product that made it."""
    revisions: dict[str, str]
    """Of each schema, by its name."""
    file_count: int
    file_bytes: int
    bucket: str | None = None
    """Where the files are instead, which are not in here then."""
    missing: list[str] = []
    """Keys of files that were missing or damaged in the store already."""


def make_folder(path: Path) -> None:
    """Make a folder for its owner alone, and those above it that are not there. Raises OSError."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir()
        path.chmod(0o700)


def copy_file(source: Path, target: Path) -> tuple[int, bytes]:
    """Copy a file that may grow meanwhile; return how many bytes were copied, and their SHA-256.

    Holes stay holes. Raises OSError, FileExistsError among them.
    """
    whole = hashlib.sha256()
    make_folder(target.parent)
    with source.open("rb") as reading, _created(target) as writing:
        while block := reading.read(_BLOCK_BYTES):
            whole.update(block)
            if block == _ZEROS[: len(block)]:
                writing.seek(len(block), os.SEEK_CUR)
            else:
                writing.write(block)
        size = writing.tell()
        writing.truncate(size)
    return size, whole.digest()


def write(archive: Path, name: str, content: bytes) -> None:
    """Write a file of the archive. Raises OSError."""
    with _created(archive / name) as file:
        file.write(content)


def seal(archive: Path, known: dict[str, bytes]) -> None:
    """Write down the SHA-256 of every file, the last act. `known` has those that are known."""
    lines = [
        f"{(known.get(name) or digest_of(archive / name)).hex()}  {name}\n"
        for name in sorted(_names_in(archive))
    ]
    write(archive, _SUMS, "".join(lines).encode())
    os.sync()


def verified(archive: Path) -> Manifest:
    """Return the manifest of an archive that is whole. Raises BackupRefused."""
    try:
        lines = (archive / _SUMS).read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        raise BackupRefused(f"{archive} is no complete backup: it has no {_SUMS}.") from None
    sums = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    if found := set(_names_in(archive)) ^ sums.keys():
        name = min(found)
        what = "is missing from" if name in sums else "is no part of"
        raise BackupRefused(f"The backup is damaged: {name} {what} {archive}.")
    for name, digest in sums.items():
        if digest_of(archive / name).hex() != digest:
            raise BackupRefused(f"The backup is damaged: {name} in {archive} has another SHA-256.")
    try:
        manifest = msgspec.json.decode((archive / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError):
        raise BackupRefused(f"{archive} has no {MANIFEST} that this version can read.") from None
    if manifest.format != FORMAT:
        raise BackupRefused(
            f"{archive} was made by a newer version ({manifest.version}) than this."
        )
    return manifest


def digest_of(path: Path) -> bytes:
    """Return the SHA-256 of a file's content. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _names_in(archive: Path) -> Iterator[str]:
    for path in archive.rglob("*"):
        if not path.is_dir() and path.name != _SUMS:
            yield path.relative_to(archive).as_posix()


def _created(path: Path) -> BufferedWriter:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
