"""The release before is what `deploy/previous-release` names, or it is said what is missing."""

import os
import subprocess
from pathlib import Path

import pytest

from sharezync_testkit.previous_release import NoPreviousRelease, PreviousRelease


def git(folder: Path, *arguments: str) -> str:
    """Run git as whoever has no settings of their own."""
    names = ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL")
    done = subprocess.run(
        ["git", "-C", folder, *arguments],
        env={**os.environ, **dict.fromkeys(names, "tester"), "GIT_CONFIG_GLOBAL": os.devnull},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def commit(repository: Path, named: str | None, source: str) -> str:
    if named is not None:
        (repository / "deploy").mkdir(exist_ok=True)
        (repository / "deploy" / "previous-release").write_text(f"# a comment\n{named}\n")
    package = repository / "services" / "chat" / "src"
    package.mkdir(parents=True, exist_ok=True)
    (package / "chat.py").write_text(source)
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", source)
    return git(repository, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q")
    return folder


def test_this_is_the_commit_that_last_changed_the_file(repository: Path, tmp_path: Path) -> None:
    commit(repository, "this 1", "first")
    second = commit(repository, "this 2", "second")
    commit(repository, None, "third")
    found = PreviousRelease(repository, tmp_path / "found")
    assert found.revision == second
    source = tmp_path / "found" / "services" / "chat" / "src"
    assert (source / "chat.py").read_text() == "second"
    assert found.environment == {"PYTHONPATH": str(source)}


def test_a_tag_is_the_release_that_has_it(repository: Path, tmp_path: Path) -> None:
    first = commit(repository, "v0.1.0", "first")
    git(repository, "tag", "v0.1.0")
    commit(repository, None, "second")
    assert PreviousRelease(repository, tmp_path / "found").revision == first


@pytest.mark.parametrize("named", ["this 1", "v0.1.0"])
def test_a_clone_without_its_history_is_told_what_is_missing(
    repository: Path, tmp_path: Path, named: str
) -> None:
    commit(repository, named, "first")
    git(repository, "tag", "v0.1.0")
    commit(repository, None, "second")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--depth", "1", "--no-tags", f"file://{repository}", str(clone))
    with pytest.raises(NoPreviousRelease, match="git fetch --unshallow --tags"):
        PreviousRelease(clone, tmp_path / "found")


def test_files_without_a_repository_are_told_that_it_is_missing(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "previous-release").write_text("this 1\n")
    with pytest.raises(NoPreviousRelease, match="not a git repository"):
        PreviousRelease(tmp_path, tmp_path / "found")
