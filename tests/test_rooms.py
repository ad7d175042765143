"""The five services have the same rooms with the same names: who knows one knows all."""

import ast
import importlib
import inspect
import re
import tomllib
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

from deploy.tests.fleet import PORTS
from sharezync_shared.problems import Problem
from sharezync_shared.settings import SERVICES
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_shared.tokens.signing import SigningKey
from sharezync_testkit.service import platform_for_tests
from tests.test_readmes import READ_BY
from tests.test_texts import APPS

ROOT: Final = Path(__file__).parents[1]

ROOMS: Final = {
    "__init__": "what the service owns",
    "__main__": "serve, migrate, openapi",
    "access": "the only ways to rows on behalf of a user",
    "api": "routes: translate, decide nothing",
    "app": "create_app: all wiring, on one screen",
    "commands": "what operators can have it do",
    "consumers": "one function for each event that it reacts to",
    "errors": "what it refuses, by name",
    "metrics": "what it counts",
    "migrations": "of its schema",
    "models": "tables of its schema",
    "schemas": "what goes over the wire",
    "settings": "what it can be told from outside",
    "states": "life cycles, as tables",
    "usecases": "what it can be asked to do",
}
ABSENT: Final = {
    "chat": {"states": "nothing of it has more than two", "metrics": "those of all services do"},
    "transfer": {"commands": "there is none", "metrics": "those of all services do"},
    "gateway": {
        **dict.fromkeys(("access", "migrations", "models", "usecases"), "it has no database"),
        "api": "its routes are a table, and most lead to other services",
        "commands": "there is none",
        "consumers": "it hears frames, not events",
        "metrics": "each of its parts has its own",
        "schemas": "its documents are those of the services, merged",
        "states": "nothing of it has more than two",
    },
}
"""Rooms that would be empty, and why."""
OWN: Final = {
    "auth": {"backoff", "key_store", "keyring", "names", "passwords", "refresh"},
    "chat": {"reach"},
    "transfer": {"cutting"},
    "storage": {"auditing", "keys", "passwords", "signatures", "stores"},
    "gateway": {
        "addresses", "asyncapi", "gateway_app", "health", "index_page", "lifespan", "middleware",
        "openapi", "pages", "proxy", "rate_limits", "realtime", "redis_hit_counter", "route_limits",
        "routes", "routing", "transfers", "zync",
    },
}  # fmt: skip
"""Mechanisms that no other service has."""
OTHER_NAMES: Final = {
    "common": "dependencies",
    "dtos": "schemas",
    "exceptions": "errors",
    "helpers": "what it does",
    "life": "states",
    "problems": "errors",
    "utils": "what it does",
    "wire": "schemas",
}
"""Names that no module has, and what it is called here."""

FOR_A_CALL: Final = {
    "AppendReceiver", "Digests", "Download", "WriterBody", "OfferPolicy", "ReadMarkBatch",
    "Writer",
}  # fmt: skip
"""Classes that live for one call or one upload."""
WITHIN_A_PART: Final = {"ChunkRows", "Leases", "OwnCredentials"}
"""Classes of which a part of the context, or another service's client, is made."""


def lists_of_services() -> dict[str, set[str]]:
    """Return what each place says that there is, by what one has to edit there."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    (made,) = re.findall(r"(?m)^SERVICES := (.*)$", (ROOT / "Makefile").read_text())
    sources = [
        path.split("/")[1]
        for path in project["pytest"]["ini_options"]["pythonpath"]
        if path.startswith("services/")
    ]
    (alone,) = (
        each["modules"]
        for each in project["importlinter"]["contracts"]
        if each["id"] == "services-are-independent"
    )
    return {
        "pyproject.toml, root_packages": {
            each.partition("_")[2] for each in project["importlinter"]["root_packages"]
        }
        - {"", "shared", "embedded", "testkit"},
        "services/": {path.name for path in (ROOT / "services").iterdir() if any(path.glob("src"))},
        "Makefile, SERVICES": set(made.split()),
        "pyproject.toml, pythonpath": set(sources),
        "pyproject.toml, services-are-independent": {each.partition("_")[2] for each in alone},
        "deploy/tests/fleet.py, PORTS": set(PORTS),
        "tests/test_texts.py, APPS": {*APPS, "gateway"},
        "tests/test_readmes.py, READ_BY": set(READ_BY),
    }


@pytest.mark.parametrize("place", lists_of_services())
def test_every_list_of_services_has_all_of_them(place: str) -> None:
    assert lists_of_services()[place] == set(SERVICES)


def import_rules_that_name_services() -> dict[str, set[str]]:
    """Return for each list of modules in the import rules the services that it names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    found = {}
    for contract in project["contracts"]:
        for key, modules in contract.items():
            if isinstance(modules, list):
                named = {each.split(".")[0].partition("_")[2] for each in modules} & {*SERVICES}
                if len(named) > 1:
                    found[f"{contract['id']}, {key}"] = named
    return found


@pytest.mark.parametrize("place", import_rules_that_name_services())
def test_import_rules_name_all_services(place: str) -> None:
    missing = {*SERVICES} - {"gateway"} - import_rules_that_name_services()[place]
    assert len(missing) == place.startswith("only-")


def package_of(service: str) -> Path:
    return ROOT / "services" / service / "src" / f"sharezync_{service}"


def rooms_in(package: Path) -> set[str]:
    return {
        each.stem
        for each in package.iterdir()
        if each.suffix == ".py" or (each.is_dir() and any(each.glob("*.py")))
    }


def faults_of(service: str, rooms: set[str]) -> list[str]:
    """Return what is wrong with the rooms of a service, in sentences."""
    absent, own = ABSENT.get(service, {}), OWN.get(service, set())
    expected = ROOMS.keys() - absent.keys()
    return sorted(
        [f"{service} lacks {room}: {ROOMS[room]}" for room in expected - rooms]
        + [f"{service} has a room of its own: {room}" for room in rooms - expected - own]
        + [f"{service} has no {room} any more" for room in own - rooms]
    )


def modules_of(service: str, under: str = "") -> Iterator[tuple[Path, ModuleType]]:
    source = package_of(service).parent
    for path in sorted((package_of(service) / under).rglob("*.py")):
        if path.stem not in {"__main__", "__init__"} and "migrations" not in path.parts:
            name = ".".join(path.relative_to(source).with_suffix("").parts)
            yield path, importlib.import_module(name)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_the_rooms_of_all_and_no_stray_one(service: str) -> None:
    assert faults_of(service, rooms_in(package_of(service))) == []


@pytest.mark.parametrize("service", SERVICES)
def test_a_room_that_is_missing_or_strange_is_noticed(service: str) -> None:
    rooms = rooms_in(package_of(service))
    assert faults_of(service, rooms - {"errors"}) == [f"{service} lacks errors: {ROOMS['errors']}"]
    assert faults_of(service, rooms | {"problems"}) == [
        f"{service} has a room of its own: problems"
    ]


def test_what_is_absent_is_a_room_and_what_is_a_services_own_is_none() -> None:
    assert all(absent.keys() <= ROOMS.keys() for absent in ABSENT.values())
    assert not any(own & ROOMS.keys() for own in OWN.values())


@pytest.mark.parametrize("service", SERVICES)
def test_no_module_has_a_name_for_which_there_is_another(service: str) -> None:
    stray = {
        str(path.relative_to(ROOT)): OTHER_NAMES[path.stem]
        for path in package_of(service).rglob("*.py")
        if path.stem in OTHER_NAMES
    }
    assert stray == {}


@pytest.mark.parametrize("service", SERVICES)
def test_refusals_are_in_errors(service: str) -> None:
    elsewhere = {
        f"{path.relative_to(ROOT)}: {name}"
        for path, module in modules_of(service)
        for name, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, Problem) and "slug" in vars(value)
        if value.__module__ == module.__name__ and path.stem != "errors"
    }
    assert elsewhere == set()


@pytest.mark.parametrize("service", APPS)
def test_routes_are_given_the_parts_of_a_service_in_one_frozen_object(
    service: str, tmp_path: Path
) -> None:
    dependencies = importlib.import_module(f"sharezync_{service}.api.dependencies")
    context = context_of(dependencies)
    assert context.__dataclass_params__.frozen
    assert {"work", "settings"} <= {each.name for each in fields(context)}
    key = TokenIssuer(key=SigningKey.generate())
    app = APPS[service](platform_for_tests(service, key), tmp_path)
    assert type(app.state.context) is context
    for path, _ in modules_of(service, "api"):
        others = set(re.findall(r"\.state\.(\w+)", path.read_text())) - {"context", "verifier"}
        assert not others, f"{path.relative_to(ROOT)} takes {others} past the context"


def context_of(dependencies: ModuleType) -> Any:
    (context,) = (
        value
        for name, value in vars(dependencies).items()
        if name.endswith("Context") and is_dataclass(value)
    )
    return context


@pytest.mark.parametrize("service", APPS)
def test_use_cases_are_functions_and_classes_are_parts_of_the_process(service: str) -> None:
    dependencies = importlib.import_module(f"sharezync_{service}.api.dependencies")
    parts = {getattr(each.type, "__name__", None) for each in fields(context_of(dependencies))}
    for path in (package_of(service) / "usecases").glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                acts = any(
                    isinstance(each, ast.AsyncFunctionDef) and not each.name.startswith("_")
                    for each in node.body
                )
                known = parts | FOR_A_CALL | WITHIN_A_PART
                assert not acts or node.name in known, f"{path.name}: {node.name}"


@pytest.mark.parametrize("service", APPS)
def test_a_document_has_the_version_of_its_package_and_introduces_its_service(
    service: str, tmp_path: Path
) -> None:
    key = TokenIssuer(key=SigningKey.generate())
    info = APPS[service](platform_for_tests(service, key), tmp_path).openapi()["info"]
    assert info["version"] == version(f"sharezync-{service}")
    assert service in info["title"]
    assert info["description"]
