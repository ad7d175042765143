import ast
import os
import signal
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINE = "x = f(a, b=[1, 2], **c) if y else g(3)[z.w:4]\n"
PRINTS_WHAT_SIGINT_DOES = "import signal; print(signal.getsignal(signal.SIGINT).__name__)"
STORY = """
import hypothesis, json, os, pathlib
from hypothesis import strategies as st
from sharezync_testkit.run_setup import model_settings

def test_story():
    drawn = []
    @model_settings(20)
    @hypothesis.given(st.integers())
    def tell(number):
        drawn.append(number)
    tell()
    pathlib.Path(os.environ["DRAWN"]).write_text(json.dumps(drawn))
    assert len(drawn) < 3
"""


class FormatsATraceback:
    """Garbage that only the collector finds, and that parses when it is found."""

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        try:
            {}["a"]["b"]  # type: ignore[index]
        except KeyError:
            traceback.format_exc()


def test_parsing_survives_finalizers_that_parse() -> None:
    for _ in range(40):
        for _ in range(20):
            FormatsATraceback()
        ast.parse(LINE * 500)


def test_children_of_a_run_that_ignores_sigint_do_not() -> None:
    script = f"""
import signal, subprocess, sys
from sharezync_testkit.run_setup import restore_sigint
assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
restore_sigint()
signal.raise_signal(signal.SIGINT)  # the run itself goes on, as it was told
subprocess.run([sys.executable, "-c", {PRINTS_WHAT_SIGINT_DOES!r}], check=True)
"""
    said = subprocess.run(
        ["bash", "-c", 'trap "" INT; exec "$0" -c "$1"', sys.executable, script],
        env={**os.environ, "PYTHONPATH": str(ROOT / "shared/src")},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert said.stdout.strip() == signal.default_int_handler.__name__


def run_story(folder: Path, **environment: str) -> tuple[str, str]:
    """Return what a run of pytest in this repository drew for one test, and what it printed."""
    story = folder / "test_story.py"
    story.write_text(STORY)
    drawn = folder / "drawn.json"
    inherited = {n: v for n, v in os.environ.items() if not n.startswith(("HYPOTHESIS", "PYTEST"))}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "conftest"]
    ran = subprocess.run(
        [*command, "--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml"), str(story)],
        cwd=ROOT,
        env={**inherited, "CI": "true", "DRAWN": str(drawn), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert drawn.exists(), ran.stdout + ran.stderr
    return drawn.read_text(), ran.stdout


@pytest.mark.slow
def test_every_run_draws_anew_and_a_failed_one_tells_the_seed_that_repeats_it(
    tmp_path: Path,
) -> None:
    first, printed = run_story(tmp_path)
    (seed,) = {word.partition("=")[2] for word in printed.split() if "HYPOTHESIS_SEED=" in word}
    assert run_story(tmp_path, HYPOTHESIS_SEED=seed)[0] == first
    assert run_story(tmp_path)[0] != first
