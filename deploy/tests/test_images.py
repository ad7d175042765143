"""The images: five Dockerfiles of one pattern, and what their locks hold."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.tests.fleet import PORTS, ROOT, metrics_port

LOCKS = [*(f"services/{service}/requirements.lock" for service in PORTS)]
BUILD_LOCK = "deploy/build-requirements.lock"


def dockerfile(service: str) -> str:
    return (ROOT / "services" / service / "Dockerfile").read_text()


def locked(path: str) -> dict[str, list[str]]:
    """Return the versions in a lock by name; several where they depend on the platform."""
    versions: dict[str, list[str]] = {}
    for line in (ROOT / path).read_text().splitlines():
        if match := re.match(r"([A-Za-z0-9][\w.-]*)(?:\[[^]]*\])?==([^\s;]+)", line):
            versions.setdefault(canonicalize_name(match[1]), []).append(match[2])
    return versions


def declared(pyproject: Path) -> set[str]:
    """Return the names of the third-party packages that a member asks for, extras included."""
    project = tomllib.loads(pyproject.read_text())["project"]
    requirements = [Requirement(text) for text in project["dependencies"]]
    return {canonicalize_name(requirement.name) for requirement in requirements}


@pytest.mark.parametrize("service", PORTS)
def test_dockerfiles_differ_in_name_and_ports_alone(service: str) -> None:
    def pattern(name: str) -> str:
        text = dockerfile(name).replace(str(PORTS[name]), "PORT")
        text = text.replace(str(metrics_port(name)), "METRICS")
        # Not in `sharezync`, where a service of another name might hide.
        return re.sub(rf"\b{name}\b|(?<=sharezync_){name}\b", "NAME", text)

    assert pattern(service) == pattern("auth")


@pytest.mark.parametrize("service", PORTS)
def test_an_image_starts_its_service_as_nobody_in_particular(service: str) -> None:
    text = dockerfile(service)
    assert f'ENTRYPOINT ["python", "-m", "sharezync_{service}"]\nCMD ["serve"]' in text
    assert f"EXPOSE {PORTS[service]} {metrics_port(service)}\n" in text
    assert "\nUSER 10001:10001\n" in text
    assert "'/health'" in text[text.index("HEALTHCHECK") :]


@pytest.mark.parametrize("service", PORTS)
def test_the_base_image_can_be_given_and_is_no_moving_target(service: str) -> None:
    default = re.search(r"^ARG PYTHON_IMAGE=(\S+)$", dockerfile(service), re.MULTILINE)
    assert default
    _, _, version = default[1].partition(":")
    assert version.startswith("3.")
    stages = re.findall(r"^FROM (\S+)", dockerfile(service), re.MULTILINE)
    assert stages == ["${BUILD_IMAGE:-${PYTHON_IMAGE}}", "${PYTHON_IMAGE}"]


def test_the_build_context_is_given_by_name_and_holds_no_tests() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule for rule in rules if rule.startswith("!")} == {
        "!deploy/build-requirements.lock",
        "!shared",
        "!services",
    }
    assert {"shared/tests", "services/*/tests", "**/.*"} <= set(rules)


@pytest.mark.parametrize("lock", [*LOCKS, BUILD_LOCK])
class TestLocks:
    def test_pin_every_package_by_hash(self, lock: str) -> None:
        entries = re.split(r"\n(?=\S)", (ROOT / lock).read_text().strip())
        assert entries
        for entry in entries:
            assert re.match(r"[A-Za-z0-9][\w.\[\],-]*==", entry), entry
            assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry

    def test_hold_no_address(self, lock: str) -> None:
        text = (ROOT / lock).read_text()
        assert "://" not in text
        assert not re.search(r"^\s*-", text.replace("    --hash=", ""), re.MULTILINE)

    def test_hold_what_the_tests_ran_with(self, lock: str) -> None:
        tested = locked("requirements.lock")
        for name, versions in locked(lock).items():
            assert set(versions) <= set(tested[name]), name


@pytest.mark.parametrize("service", PORTS)
def test_a_lock_holds_what_its_service_asks_for_and_no_tools(service: str) -> None:
    held = set(locked(f"services/{service}/requirements.lock"))
    asked = declared(ROOT / "services" / service / "pyproject.toml")
    asked |= declared(ROOT / "shared" / "pyproject.toml")
    assert asked - held <= {"sharezync-shared"}
    assert not held & {"hatchling", "pip", "pytest", "moto", "uv", "sharezync-shared"}


def test_the_gateway_carries_no_database_driver() -> None:
    assert not set(locked("services/gateway/requirements.lock")) & {
        "alembic",
        "asyncpg",
        "sqlalchemy",
        "sqlmodel",
    }
