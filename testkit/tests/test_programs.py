"""What tests need of others' programs comes in one go, or is said to be missing."""

import os
from pathlib import Path

import pytest

from sharezync_embedded import debian_packages
from sharezync_testkit import programs as module
from sharezync_testkit.programs import Program, main, provision_programs

HARE = Program("hare", "hare-server", "hares")
TORTOISE = Program("tortoise", "tortoise-tools", "tortoises")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH of nothing else, on a machine on which we may install."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(module, "_MORE_PLACES", ())
    monkeypatch.setattr(debian_packages, "_SERVICE_POLICY", tmp_path / "policy-rc.d")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return folder


def script(path: Path, text: str = "") -> Path:
    path.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{text}\n")
    path.chmod(0o755)
    return path


def apt_get(folder: Path, *, broken: str = "nothing") -> Path:
    """Stand in for apt-get, which knows all packages but one; return where it notes its calls."""
    calls = folder.parent / "calls"
    brings = "".join(
        f'case "$*" in *{program.package}*)'
        f" touch {folder}/{program.name}; chmod +x {folder}/{program.name};; esac\n"
        for program in (HARE, TORTOISE)
    )
    refuses = f'case "$*" in *{broken}*) exit 100;; esac\n'
    script(folder / "apt-get", f'echo "$*" >> {calls}\n{refuses}{brings}')
    return calls


def test_what_is_there_is_left_alone(folder: Path) -> None:
    calls = apt_get(folder)
    hare = script(folder / "hare")
    assert provision_programs([HARE]) == []
    assert HARE.find() == hare
    assert not calls.exists()


def test_all_that_is_missing_comes_in_one_go(folder: Path) -> None:
    calls = apt_get(folder)
    heard: list[str] = []
    left = provision_programs([HARE, TORTOISE], and_packages=["broker"], say=heard.append)
    assert left == []
    update, install = calls.read_text().splitlines()
    assert update.endswith("update --quiet")
    assert install.endswith("--no-install-recommends broker hare-server tortoise-tools")
    assert len(heard) == 1


def test_a_package_that_is_not_to_be_had_takes_no_other_along(folder: Path) -> None:
    apt_get(folder, broken="tortoise-tools")
    heard: list[str] = []
    assert provision_programs([TORTOISE, HARE], say=heard.append) == [TORTOISE]
    assert HARE.find() is not None
    assert any("NO tortoise" in line and "LEFT OUT" in line for line in heard)


def test_nothing_is_installed_without_root(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = apt_get(folder)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert provision_programs([HARE], say=lambda _: None) == [HARE]
    assert not calls.exists()


@pytest.mark.parametrize(("ci", "code"), [("true", 1), ("", 0)])
def test_only_ci_insists_on_programs_of_others(
    ci: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setenv("AMQP_URL", "amqp://given")
    monkeypatch.setattr(module, "provision_programs", lambda **_: [HARE])
    assert main() == code
