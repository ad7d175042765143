"""An installation has one secret, which only its owner can read."""

import os
import stat
from pathlib import Path

import pytest

from sharezync_embedded.secret_key import secret_key_of
from sharezync_testkit.server_fixtures import Script

PRINT_KEY = """
import pathlib, sys
from sharezync_embedded.secret_key import secret_key_of
sys.stdin.readline()
print(secret_key_of(pathlib.Path(sys.argv[1])))
"""


def test_the_key_is_made_once_and_kept(tmp_path: Path) -> None:
    key = secret_key_of(tmp_path)
    assert len(key) >= 48
    assert secret_key_of(tmp_path) == key
    assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    key = secret_key_of(tmp_path)
    path = tmp_path / "secret_key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)  # as after a copy
    assert secret_key_of(tmp_path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_key_that_another_process_made_meanwhile_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "secret_key"
    others = "k" * 64
    # The last thing before the new key would take its place.
    monkeypatch.setattr(os, "fsync", lambda _: path.write_text(others))
    assert secret_key_of(tmp_path) == others
    assert path.read_text() == others
    assert list(tmp_path.iterdir()) == [path]


def test_processes_that_make_it_at_once_agree(tmp_path: Path, python: Script) -> None:
    makers = [python(PRINT_KEY, tmp_path) for _ in range(4)]
    for maker in makers:
        assert maker.stdin
        maker.stdin.write("go\n")
        maker.stdin.flush()
    keys = {maker.communicate(timeout=30)[0].strip() for maker in makers}
    assert keys == {secret_key_of(tmp_path)}


def test_what_is_no_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret_key").write_text("short\n")
    with pytest.raises(ValueError, match="holds no key"):
        secret_key_of(tmp_path)
