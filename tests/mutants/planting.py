"""Runs the tests of one mutant in a copy of the repository, and says what came of it.

A test process is forked from one that has imported what all tests need but nothing of ours
(`PRELOADED`): starting anew takes longer than most of these tests.
"""

import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final, Literal

import pytest

from tests.mutants.listed import ROOT, Mutant

Verdict = Literal["noticed", "late", "SURVIVED", "BROKEN"]
"""`late`: by a timeout alone, which says nothing of what is wrong. `BROKEN`: no test ran."""

TEST_SECONDS: Final = 60
"""For each test. Those that fail should do so at once."""
MUTANT_SECONDS: Final = 300
_END_SECONDS: Final = 30
PRELOADED: Final = (
    *("pytest", "hypothesis", "hypothesis.stateful", "fastapi", "sqlmodel", "sqlalchemy.orm"),
    *("asyncpg", "alembic", "httpx", "websockets", "uvicorn", "uvloop", "structlog", "msgspec"),
    *("jwt", "pwdlib", "pydantic_settings", "prometheus_client", "aio_pika", "cryptography.x509"),
)
_OURS: Final = ("sharezync", "tests", "services", "shared", "embedded", "clients", "conftest")
_FAILED: Final = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - (.*))?$", re.MULTILINE)
_LATE: Final = re.compile(r"Timeout \(>|TimeoutError")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one mutant: the first test that failed, and what it said."""

    mutant: str
    verdict: Verdict
    seconds: float
    noticed_by: str = ""
    said: str = ""
    output: str = ""


class Copy:
    """A copy of the repository's files as they are now, for one fault at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for name in names.split("\0"):
            if name and (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)

    @contextmanager
    def planted(self, mutant: Mutant) -> Iterator[None]:
        """Have the fault in it while the block runs. Raises NotApplicable."""
        path = self.folder / mutant.file
        text, was = path.read_text(), path.stat()
        path.write_text(mutant.planted(text))
        try:
            yield
        finally:
            path.write_text(text)
            # Compiled files go by the time: what was compiled of the fault must not look valid.
            os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))

    def test(self, targets: Sequence[str], *, seconds: float) -> tuple[int | None, str]:
        """Return pytest's exit status, None where it took too long, and what it printed."""
        printed = self.folder / "printed.txt"
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(PRELOADED))
        process = context.Process(target=_run_pytest, args=(self.folder, targets, printed))
        process.start()
        process.join(seconds)
        took_too_long = process.is_alive()
        if took_too_long:
            _end(process)
        return None if took_too_long else process.exitcode, printed.read_text()


def try_out(copy: Copy, mutant: Mutant) -> Outcome:
    """Plant a mutant, run its tests and say what came of it. Raises NotApplicable."""
    began = time.monotonic()
    with copy.planted(mutant):
        status, printed = copy.test(mutant.noticed_by, seconds=MUTANT_SECONDS)
    seconds = time.monotonic() - began
    failed = _FAILED.search(printed)
    if status == pytest.ExitCode.OK:
        return Outcome(mutant.name, "SURVIVED", seconds)
    if status is None:
        return Outcome(mutant.name, "late", seconds, said=f"nothing in {MUTANT_SECONDS} s")
    if status != pytest.ExitCode.TESTS_FAILED or failed is None:  # an exception is status 1 as well
        return Outcome(mutant.name, "BROKEN", seconds, output=printed)
    said = failed[2] or ""
    verdict: Verdict = "late" if _LATE.search(said) else "noticed"
    return Outcome(mutant.name, verdict, seconds, failed[1], said, printed)


def _run_pytest(folder: Path, targets: Sequence[str], printed: Path) -> None:
    """Run tests in `folder`; the exit status is pytest's. In a process of its own."""
    os.setpgid(0, 0)
    with printed.open("wb") as file:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
    os.chdir(folder)
    sources = sorted(map(str, [*folder.glob("*/src"), *folder.glob("*/*/src")]))
    # What tests start in processes of their own is of the copy, too.
    os.environ |= {"PYTHONPATH": os.pathsep.join(sources), "COLUMNS": "1000"}
    sys.path[:] = [*sources, *sys.path]
    for name in [name for name in sys.modules if name.partition(".")[0].startswith(_OURS)]:
        del sys.modules[name]
    options = ["-x", "-q", "--timeout", str(TEST_SECONDS), "-p", "no:cacheprovider"]
    options += ["-p", "no:schemathesis", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    sys.exit(pytest.main([*options, *targets]))


def _end(process: BaseProcess) -> None:
    """End a test process: first so that it can end its servers."""
    assert process.pid is not None
    os.kill(process.pid, signal.SIGINT)
    process.join(_END_SECONDS)
    if process.is_alive():
        os.killpg(process.pid, signal.SIGKILL)
        process.join()
