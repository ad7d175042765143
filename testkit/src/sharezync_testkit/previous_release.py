"""The release before this one, out of git: its services run under those of this one's interpreter.

`deploy/previous-release` says which it is.
"""

import os
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Final

_WHERE: Final = "deploy/previous-release"
_THIS: Final = "this"


class NoPreviousRelease(RuntimeError):
    """The previous release is not to be had here; the message says why, and what to do."""


class PreviousRelease:
    """Everything that the previous release has, in `folder`. `revision` is its commit."""

    def __init__(self, repository: Path, folder: Path) -> None:
        """Write the files to `folder`, which is empty. Raises NoPreviousRelease."""
        self.revision = _revision(repository)
        self.folder = folder
        packed = _git(repository, "archive", "--format=tar", self.revision)
        with tarfile.open(fileobj=BytesIO(packed)) as archive:
            archive.extractall(folder, filter="data")

    @property
    def environment(self) -> dict[str, str]:
        """What has our interpreter import the packages of that release, in place of ours."""
        sources = [*self.folder.glob("*/src"), *self.folder.glob("*/*/src")]
        return {"PYTHONPATH": os.pathsep.join(map(str, sources))}


def _revision(repository: Path) -> str:
    lines = (repository / _WHERE).read_text().splitlines()
    (named,) = (line for line in lines if line and not line.startswith("#"))
    if named.split()[0] != _THIS:
        return _git(repository, "rev-parse", "--verify", f"{named}^{{commit}}").decode().strip()
    if _git(repository, "rev-parse", "--is-shallow-repository").strip() == b"true":
        raise NoPreviousRelease(_missing("the history that says when it was", "is cut off here"))
    found = _git(repository, "log", "-1", "--format=%H", "--", _WHERE).decode().strip()
    if not found:
        raise NoPreviousRelease(_missing(_WHERE, "was never committed"))
    return found


def _git(repository: Path, *arguments: str) -> bytes:
    try:
        return subprocess.run(
            ["git", "-C", repository, *arguments],  # noqa: S607 - whichever is on the path
            check=True,
            capture_output=True,
        ).stdout
    except FileNotFoundError:
        raise NoPreviousRelease(_missing("git", "is not installed")) from None
    except subprocess.CalledProcessError as failure:
        told = failure.stderr.decode(errors="replace").strip().splitlines()
        raise NoPreviousRelease(_missing("it", f"is not here ({told[0]})")) from None


def _missing(what: str, why: str) -> str:
    return (
        f"The previous release, which {_WHERE} names, can't be tested: {what} {why}. "
        "In a clone with all of its history it can: git fetch --unshallow --tags"
    )
