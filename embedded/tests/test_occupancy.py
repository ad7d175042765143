"""Who uses a server is counted by the kernel, so that a killed user counts no more."""

import os
import signal
from pathlib import Path

import pytest

from sharezync_embedded.occupancy import Busy, Occupancy, exclusive, sole_use
from sharezync_testkit.server_fixtures import Script

ENTER = """
import pathlib, sys
from sharezync_embedded.occupancy import Occupancy
occupancy = Occupancy(pathlib.Path(sys.argv[1]), "server")
with occupancy.exclusive(timeout_seconds=10):
    occupancy.enter()
print("in", flush=True)
sys.stdin.read()
"""


def test_a_user_counts_until_it_leaves(tmp_path: Path) -> None:
    one, other = Occupancy(tmp_path, "server"), Occupancy(tmp_path, "server")
    assert one.empty()
    one.enter()
    other.enter()
    one.leave()
    assert not one.empty()
    other.leave()
    assert one.empty()


def test_a_killed_user_counts_no_more(tmp_path: Path, python: Script) -> None:
    mine = Occupancy(tmp_path, "server")
    with python(ENTER, tmp_path) as user:
        assert user.stdout
        assert user.stdout.readline() == "in\n"
        assert not mine.empty()
        os.kill(user.pid, signal.SIGKILL)
        user.communicate()
    assert mine.empty()


def test_who_waits_too_long_hears_who_is_inside(tmp_path: Path) -> None:
    with (
        exclusive(tmp_path / "lock", timeout_seconds=0),
        pytest.raises(Busy, match=f"process {os.getpid()}"),
        exclusive(tmp_path / "lock", timeout_seconds=0),
    ):
        pass
    with exclusive(tmp_path / "lock", timeout_seconds=0):
        pass


def test_a_data_folder_is_served_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sharezync_embedded.occupancy._PREDECESSOR_SECONDS", 0)
    with sole_use(tmp_path / "data"):
        with pytest.raises(SystemExit, match="another ShareZync"), sole_use(tmp_path / "data"):
            pass
        with sole_use(tmp_path / "elsewhere"):
            pass
    with sole_use(tmp_path / "data"):
        pass
