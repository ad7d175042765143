"""docker-compose.yml: what starts when, what is open, and what it says in secret."""

import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from deploy.tests.fleet import (
    PORTS,
    ROOT,
    WITH_DATABASE,
    is_secret,
    metrics_port,
    read_env,
)

MIGRATIONS = [f"migrate-{service}" for service in WITH_DATABASE]
OURS = [*PORTS, *MIGRATIONS]
STOOD_UPON = ["postgres", "rabbitmq", "s3", "prometheus"]

Service = dict[str, Any]


@pytest.fixture(scope="module")
def services() -> dict[str, Service]:
    document = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    services: dict[str, Service] = document["services"]
    return services


def test_the_whole_fleet_is_there(services: dict[str, Service]) -> None:
    assert set(services) == {*OURS, *STOOD_UPON}


@pytest.mark.parametrize("service", PORTS)
class TestOrder:
    def test_a_service_waits_for_its_schema_and_the_broker(
        self, services: dict[str, Service], service: str
    ) -> None:
        waits = services[service]["depends_on"]
        assert waits["rabbitmq"] == {"condition": "service_healthy"}
        if service in WITH_DATABASE:
            done = {"condition": "service_completed_successfully"}
            assert waits[f"migrate-{service}"] == done

    def test_all_that_is_waited_for_says_when_it_is_well(
        self, services: dict[str, Service], service: str
    ) -> None:
        for name, wait in services[service]["depends_on"].items():
            if wait["condition"] == "service_healthy":
                assert services[name]["healthcheck"]["test"]
            else:
                assert name in MIGRATIONS
                assert "restart" not in services[name]


@pytest.mark.parametrize("service", WITH_DATABASE)
def test_a_migration_is_the_service_itself_after_the_database(
    services: dict[str, Service], service: str
) -> None:
    migration = services[f"migrate-{service}"]
    assert migration["command"] == ["migrate"]
    assert migration["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    for same in ("image", "build", "environment"):
        assert migration[same] == services[service][same]


def test_the_gateway_waits_for_all_that_it_routes_to(services: dict[str, Service]) -> None:
    waits = services["gateway"]["depends_on"]
    for service in WITH_DATABASE:
        assert waits[service] == {"condition": "service_healthy"}


def test_only_the_gateway_is_open_and_only_on_this_machine(services: dict[str, Service]) -> None:
    assert {name for name, service in services.items() if "ports" in service} == {"gateway"}
    assert services["gateway"]["ports"] == ["127.0.0.1:${GATEWAY_PORT:-8000}:8000"]


@pytest.mark.parametrize("name", OURS)
def test_our_processes_may_do_no_more_than_they_must(
    services: dict[str, Service], name: str
) -> None:
    service = services[name]
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", OURS)
def test_our_images_are_built_here(services: dict[str, Service], name: str) -> None:
    service = name.removeprefix("migrate-")
    build = services[name]["build"]
    assert build["context"] == "."
    assert build["dockerfile"] == f"services/{service}/Dockerfile"
    assert (ROOT / build["dockerfile"]).is_file()
    assert build["args"]["PYTHON_IMAGE"].startswith("${PYTHON_IMAGE:-")


@pytest.mark.parametrize("service", WITH_DATABASE)
def test_each_service_logs_in_as_its_own_role(services: dict[str, Service], service: str) -> None:
    url = services[service]["environment"]["DATABASE_URL"]
    assert url.startswith(f"postgresql://{service}:")
    roles = (ROOT / "deploy" / "postgres" / "roles.sh").read_text()
    assert service in roles[: roles.index("do")]


def test_services_find_each_other_under_the_names_they_have(services: dict[str, Service]) -> None:
    for service in PORTS:
        for peer in WITH_DATABASE:
            url = services[service]["environment"][f"{peer.upper()}_URL"]
            assert url == f"http://{peer}:{PORTS[peer]}"


def test_every_secret_can_be_set_and_its_default_says_what_it_is(
    services: dict[str, Service],
) -> None:
    default = re.compile(r"\$\{\w+:-development-only[\w-]*\}")
    seen = 0
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            if is_secret(name):
                assert default.search(value), f"{name}={value}"
                seen += 1
    assert seen > len(PORTS)


def test_what_others_make_is_pinned_and_can_be_replaced(services: dict[str, Service]) -> None:
    replaceable = {}
    for name in STOOD_UPON:
        match = re.fullmatch(r"\$\{(\w+_IMAGE):-([^:}]+):([^}]+)\}", services[name]["image"])
        assert match, services[name]["image"]
        replaceable[match[1]] = match[3]
    assert "latest" not in replaceable.values()
    stand_ins = read_env(ROOT / "deploy" / "local-images" / "compose.env")
    assert set(stand_ins) == {*replaceable, "PYTHON_IMAGE"}


def test_prometheus_scrapes_every_service_where_it_listens(services: dict[str, Service]) -> None:
    path = "deploy/observability/prometheus.yml"
    assert f"./{path}:/etc/prometheus/prometheus.yml:ro" in services["prometheus"]["volumes"]
    (job, *_) = yaml.safe_load((ROOT / path).read_text())["scrape_configs"]
    targets = {config["labels"]["service"]: config["targets"] for config in job["static_configs"]}
    assert targets == {service: [f"{service}:{metrics_port(service)}"] for service in PORTS}


def test_compose_itself_takes_the_file() -> None:
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]) is None:
            continue
        version = subprocess.run([*command, "version"], capture_output=True, check=False)
        if version.returncode == 0:
            break
    else:
        pytest.skip("compose is not installed: the file was checked as read")
    checked = subprocess.run(
        [*command, "--file", str(ROOT / "docker-compose.yml"), "config", "--quiet"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
