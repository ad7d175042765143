"""The server package on the oldest and the newest libraries that its ranges allow."""

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LIBRARIES = ("uvicorn", "httptools", "websockets")
SUITE = "shared/tests/api/server"


def requirements() -> list[str]:
    """Return what `shared` asks of the libraries that its server leans on."""
    with (ROOT / "shared/pyproject.toml").open("rb") as file:
        asked: list[str] = tomllib.load(file)["project"]["dependencies"]
    return [one for one in asked if re.match(r"[a-z]+", one)[0] in LIBRARIES]  # type: ignore[index]  # each has a name


def install(into: Path, resolution: str) -> dict[str, str]:
    """Install them, and nothing else, into a folder; return the versions by name."""
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps"]
    command += ["--python", sys.executable, "--target", str(into), "--resolution", resolution]
    done = subprocess.run([*command, *requirements()], capture_output=True, text=True, check=False)
    if done.returncode:
        reason = f"no registry can be reached, other versions are LEFT OUT: {done.stderr.strip()}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    found = (path.name.split("-") for path in into.glob("*.dist-info"))
    return {name: number.removesuffix(".dist") for name, number, *_ in found}


def test_the_ranges_have_an_end() -> None:
    """Internals are leaned on: a version that nobody has tried is not taken."""
    asked = requirements()
    assert len(asked) == len(LIBRARIES)
    assert all(re.search(r">=[\d.]+,<[\d.]+$", one) for one in asked)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("resolution", ["lowest-direct", "highest"])
def test_the_server_works_on_both_ends_of_its_ranges(resolution: str, tmp_path: Path) -> None:
    versions = install(tmp_path, resolution)
    assert set(versions) == set(LIBRARIES)
    if versions == {name: version(name) for name in LIBRARIES}:
        pytest.skip(f"these are the ones that all tests run on: {versions}")
    own = {name: value for name, value in os.environ.items() if "XDIST" not in name}
    environment = {
        **own,
        "PYTHONPATH": str(tmp_path),
        # The other loop, by the way: nothing else tries the server on it.
        "SERVER_TEST_LOOP": "asyncio",
    }
    seen = subprocess.run(
        [sys.executable, "-c", "import websockets; print(websockets.__file__)"],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert seen.stdout.startswith(str(tmp_path))
    # A folder of its own: pytest takes away others' way through the usual one, and with it that of
    # the database of a product that another worker runs there.
    folder = f"--basetemp={tmp_path / 'run'}"
    # Most of it waits for deadlines: three at once.
    workers = ["-n", "3", "--dist", "loadgroup"]
    suite = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *workers]
    done = subprocess.run(
        [*suite, folder, SUITE],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, f"{versions}\n{done.stdout[-5000:]}"
