"""The import contracts of pyproject.toml hold, and fail on what they are there to prevent."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted(
    path
    for pattern in (
        "shared/src",
        "services/*/src",
        "embedded/src",
        "clients/python/src",
        "testkit/src",
    )
    for path in ROOT.glob(pattern)
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of all sources and of the contracts, to be spoilt."""
    for source in SOURCES:
        shutil.copytree(
            source,
            tmp_path / source.relative_to(ROOT),
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def check(checkout: Path) -> "subprocess.CompletedProcess[str]":
    sources = [str(checkout / source.relative_to(ROOT)) for source in SOURCES]
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command; lint_imports_command()",
            "--no-cache",
            "--no-logo",
        ],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sources), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


def test_the_contracts_hold(checkout: Path) -> None:
    checked = check(checkout)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize(
    ("importer", "line", "broken"),
    [
        ("chat/models", "import sharezync_chat.usecases", "Inside a service imports point one way"),
        ("auth/usecases", "import sharezync_auth.api", "Inside a service imports point one way"),
        ("transfer/states", "import sharezync_transfer.models", "Inside a service imports point"),
        ("storage/api", "import sharezync_storage.consumers", "Inside a service imports point"),
        ("gateway/proxy", "import sharezync_gateway.app", "Inside the gateway imports point one"),
        ("chat/usecases", "import sharezync_auth.models", "No service imports another"),
        ("transfer/app", "import sharezync_embedded", "No service imports embedded"),
        ("shared/ids", "import sharezync_chat", "shared imports no service"),
        ("chat/app", "import sharezync_testkit", "Only tests import the testkit"),
        ("embedded/server", "import sharezync_testkit.chaos", "Only tests import the testkit"),
        ("testkit/chaos", "import sharezync_chat", "The testkit imports no service"),
        ("gateway/app", "import uvicorn", "Only the server package reaches into"),
        ("shared/asgi", "import httptools", "Only the server package reaches into"),
        ("gateway/app", "import sqlalchemy", "The gateway has no database"),
        ("gateway/app", "import sharezync_shared.db.database", "The gateway has no database"),
        ("transfer/usecases", "import aioboto3", "Only storage speaks S3"),
        ("client/problems", "import sharezync_shared", "The client imports none of ours"),
    ],
)
def test_a_violation_breaks_its_contract(
    checkout: Path, importer: str, line: str, broken: str
) -> None:
    plant(checkout, importer, line)
    checked = check(checkout)
    assert checked.returncode == 1, checked.stdout + checked.stderr
    broken_contracts = [row for row in checked.stdout.splitlines() if " BROKEN" in row]
    assert any(row.startswith(broken) for row in broken_contracts), checked.stdout


def plant(checkout: Path, importer: str, line: str) -> None:
    """Add an import to a module, which is made where a service goes without that room."""
    member, module = importer.split("/")
    folder = "clients/python" if member == "client" else f"services/{member}"
    if member in {"shared", "embedded", "testkit"}:
        folder = member
    package = (
        checkout / folder / "src" / ("sharezync" if member == "client" else f"sharezync_{member}")
    )
    target = package / module / "__init__.py" if (package / module).is_dir() else None
    target = target or package / f"{module}.py"
    imported = line.split()[1].split(".")
    if imported[0] == package.name and len(imported) > 1:
        room = package / imported[1]
        if not room.with_suffix(".py").exists():
            room.mkdir(exist_ok=True)
            (room / "__init__.py").touch()
    with target.open("a") as file:
        file.write(f"\n{line}\n")


def sync_dependencies(source: str) -> set[str]:
    """Functions that a module has FastAPI call for routes, and that are not `async def`."""
    tree = ast.parse(source)
    given = {
        call.args[0].id
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id in {"Depends", "Security"}
        and call.args
        and isinstance(call.args[0], ast.Name)
    }
    return given & {each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)}


def test_no_dependency_of_a_route_runs_in_a_thread() -> None:
    # FastAPI brings each that is no coroutine to a thread and back: dearer than most queries.
    modules = [path for source in SOURCES for path in source.rglob("*.py")]
    found = {str(path): sync_dependencies(path.read_text()) for path in modules}
    assert {path: names for path, names in found.items() if names} == {}
    planted = "def _work(): ...\nasync def _peers(): ...\nA = Depends(_work)\nB = Depends(_peers)"
    assert sync_dependencies(planted) == {"_work"}
