"""A limit is raised, or a class added, by one edit: all that depends on it follows, or is named."""

import os
import re
import shutil
import subprocess
import sys
from enum import Enum
from pathlib import Path

import pytest

from sharezync_gateway.rate_limits import MemoryHitCounter, RateLimiter
from sharezync_gateway.route_limits import settings_of
from sharezync_gateway.routes import RateClass
from tests.test_limits_document import SAID

ROOT = Path(__file__).parents[1]
MESSAGE = "MAX_TEXT_CHARACTERS: Final = "


def run_with(folder: Path, value: str, *command: str) -> "subprocess.CompletedProcess[str]":
    """Run a command of Python with a copy of `shared` in which messages have another length."""
    shutil.copytree(ROOT / "shared" / "src", folder, ignore=shutil.ignore_patterns("__pycache__"))
    sizes = folder / "sharezync_shared" / "sizes.py"
    before = sizes.read_text()
    sizes.write_text(re.sub(rf"(?m)^{MESSAGE}.*$", MESSAGE + value, before))
    assert sizes.read_text() != before
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_longer_message_is_one_edit_and_the_documents_that_name_it_are_told(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    tests = ["tests/test_sizes.py", "tests/test_limits_document.py"]
    sources = [str(each) for each in pytestconfig.getini("pythonpath")]
    copied = ["-o", "pythonpath=" + " ".join(sources).replace("shared/src", str(tmp_path / "src"))]
    quietly = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=line"]
    run = run_with(tmp_path / "src", "32_000", *quietly, *copied, *tests)
    assert run.returncode == 1, run.stdout + run.stderr
    failed = re.findall(r"(?m)^FAILED (\S+?)::", run.stdout)
    assert set(failed) == {"tests/test_limits_document.py"}, run.stdout
    named = set(re.findall(r"AssertionError: (\S+?)[,:] .*write", run.stdout))
    assert named == SAID.keys(), run.stdout


def test_sizes_that_the_broker_refuses_are_an_error_of_the_import(tmp_path: Path) -> None:
    run = run_with(tmp_path / "src", "600_000", "-c", "import sharezync_shared.sizes")
    assert run.returncode == 1
    assert "One transaction holds the longest message" in run.stderr


def test_a_class_without_its_setting_is_an_error_of_the_import() -> None:
    class Planted(Enum):
        WITHOUT_A_SETTING = "without_a_setting"

    with pytest.raises(TypeError, match="rate_limit_without_a_setting"):
        settings_of(Planted, "rate_limit_{}")


async def test_no_class_is_unlimited_for_want_of_a_limit() -> None:
    limits = RateLimiter({RateClass.STANDARD: "1/minute"}, MemoryHitCounter())
    with pytest.raises(KeyError):
        await limits.admit(RateClass.COSTLY, "k")
