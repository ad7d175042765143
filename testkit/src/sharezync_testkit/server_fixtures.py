"""Fixtures for tests of the servers themselves: a data folder, and processes that use it."""

import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sharezync_testkit.servers import end_servers

Script = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def folder(run_folder: Path) -> Iterator[Path]:
    """A data folder that other accounts can be let into, unlike pytest's own."""
    path = run_folder / uuid.uuid4().hex[:8]
    path.mkdir()
    yield path
    end_servers(path)
    shutil.rmtree(path)


@pytest.fixture
def python() -> Script:
    """Starts a Python process on a script, with `sys.argv[1:]` as given."""

    def start(script: str, *arguments: object) -> "subprocess.Popen[str]":
        path = ":".join(entry for entry in sys.path if entry)
        return subprocess.Popen(
            [sys.executable, "-c", script, *map(str, arguments)],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return start
