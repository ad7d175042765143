"""docker-compose.yml: what starts when, what is open, and what it says in secret."""

import re
import shutil
import subprocess
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.make_secrets import add_missing, asked_for
from deploy.tests.fleet import (
    K8S,
    PORTS,
    ROOT,
    WITH_DATABASE,
    is_secret,
    metrics_port,
    of_kind,
    pod_of,
    read_env,
    read_kustomization,
)
from sharezync_embedded.cluster import SETTINGS
from sharezync_shared.secret_strength import weakness_of
from sharezync_shared.settings import Settings
from sharezync_storage.settings import StorageSettings
from tests.chaos import compose
from tests.chaos.faults import Fault

MIGRATIONS = [f"migrate-{service}" for service in WITH_DATABASE]
OURS = [*PORTS, *MIGRATIONS]
STOOD_UPON = ["postgres", "rabbitmq", "s3", "prometheus", "grafana", "front"]
OBSERVING = {"prometheus", "grafana"}

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
    for same in ("image", "build"):
        assert migration[same] == services[service][same]
    assert set(migration["environment"]) == {"DATABASE_URL", "MIGRATE_DATABASE_URL"}
    assert (
        migration["environment"]["DATABASE_URL"] == services[service]["environment"]["DATABASE_URL"]
    )


def test_the_log_of_the_database_has_nobodys_data_in_it(services: dict[str, Service]) -> None:
    given = {argument.removeprefix("-c") for argument in services["postgres"]["command"]}
    ours = ("log_error_verbosity", "log_parameter_max_length", "log_parameter_max_length_on_error")
    assert {f"{name}={SETTINGS[name]}" for name in ours} <= given


def test_the_gateway_waits_for_all_that_it_routes_to(services: dict[str, Service]) -> None:
    waits = services["gateway"]["depends_on"]
    for service in WITH_DATABASE:
        assert waits[service] == {"condition": "service_healthy"}


def test_only_the_front_is_open_and_only_on_this_machine(services: dict[str, Service]) -> None:
    assert {name for name, service in services.items() if "ports" in service} == {
        "front",
        "grafana",
    }
    assert services["grafana"]["ports"] == ["127.0.0.1:${GRAFANA_PORT:-3000}:3000"]
    assert services["front"]["ports"] == ["127.0.0.1:${GATEWAY_PORT:-8000}:8080"]


def test_all_but_what_observes_is_the_core(services: dict[str, Service]) -> None:
    profiles = {name: service.get("profiles", []) for name, service in services.items()}
    for name, wanted in profiles.items():
        assert wanted == (["observability"] if name in OBSERVING else [])


def test_two_gateways_believe_their_front_and_nobody_else(services: dict[str, Service]) -> None:
    network = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["networks"]["default"]
    (pool,) = network["ipam"]["config"]
    gateway = services["gateway"]
    assert gateway["deploy"] == {"replicas": 2}
    address = services["front"]["networks"]["default"]["ipv4_address"]
    assert gateway["environment"]["TRUSTED_PROXIES"] == f"{address}/32"
    front, subnet, others = map(default_of, (address, pool["subnet"], pool["ip_range"]))
    assert ip_address(front) in ip_network(subnet)
    assert ip_address(front) not in ip_network(others), "Docker might give it to somebody else"


def default_of(value: str) -> str:
    """Return what stands where the variable isn't set."""
    found = re.fullmatch(r"\$\{\w+:-(.+)\}", value)
    assert found, value
    return found[1]


@pytest.mark.parametrize("name", [*OURS, *STOOD_UPON])
def test_nobody_takes_all_memory(services: dict[str, Service], name: str) -> None:
    assert re.fullmatch(r"\d+[gm]", services[name]["mem_limit"])


@pytest.mark.parametrize("service", PORTS)
def test_a_service_may_have_as_much_memory_as_in_a_cluster(
    services: dict[str, Service], service: str
) -> None:
    (container,) = pod_of(of_kind(read_kustomization(K8S / "base"), "Deployment")[service])[
        "containers"
    ]
    given = services[service]["mem_limit"]
    assert mebibytes(given) == mebibytes(container["resources"]["limits"]["memory"])


def mebibytes(quantity: str) -> int:
    """Read a size of compose or of Kubernetes."""
    found = re.fullmatch(r"(\d+)([GMgm])i?", quantity)
    assert found, quantity
    return int(found[1]) * {"g": 1024, "m": 1}[found[2].lower()]


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
def test_each_service_logs_in_as_its_own_role_and_migrates_as_another(
    services: dict[str, Service], service: str
) -> None:
    environment = services[service]["environment"]
    variable = f"{service.upper()}_DATABASE_PASSWORD"
    assert environment["DATABASE_URL"].startswith(f"postgresql://{service}:${{{variable}:?")
    assert "MIGRATE_DATABASE_URL" not in environment
    owner = services[f"migrate-{service}"]["environment"]["MIGRATE_DATABASE_URL"]
    variable = f"{service.upper()}_OWNER_DATABASE_PASSWORD"
    assert owner.startswith(f"postgresql://{service}_owner:${{{variable}:?")
    roles = (ROOT / "deploy" / "postgres" / "roles.sh").read_text()
    assert service in roles[roles.index("for service") :].split(";")[0]


@pytest.mark.parametrize("service", PORTS)
def test_each_service_has_a_login_of_its_own_at_the_broker(
    services: dict[str, Service], service: str
) -> None:
    url = services[service]["environment"]["AMQP_URL"]
    assert url.startswith(f"amqp://{service}:${{{service.upper()}_BROKER_PASSWORD:?")


def test_services_find_each_other_under_the_names_they_have(services: dict[str, Service]) -> None:
    for service in PORTS:
        for peer in WITH_DATABASE:
            url = services[service]["environment"][f"{peer.upper()}_URL"]
            assert url == f"http://{peer}:{PORTS[peer]}"


def test_no_secret_stands_in_the_file_and_none_serves_two_purposes(
    services: dict[str, Service],
) -> None:
    asked = re.compile(r"\$\{(\w+):\?make secrets\}")
    users: dict[str, set[str]] = {}
    for service, described in services.items():
        for name, value in described.get("environment", {}).items():
            if is_secret(name) and name != "SERVICE_SECRETS_DERIVED":
                assert asked.search(value), f"{name}={value}"
                assert not re.search(r":-", value), f"{name} has a default"
                for variable in asked.findall(value):
                    users.setdefault(variable, set()).add(service.removeprefix("migrate-"))
    servers = {"postgres", "rabbitmq", "s3"}
    for variable, known_to in users.items():
        shared_with = {"auth"} if variable.endswith("_SERVICE_SECRET") else set()
        assert len(known_to - servers - shared_with) <= 1, (variable, known_to)


def test_secrets_are_made_once_and_for_their_owner_alone(tmp_path: Path) -> None:
    names = asked_for((ROOT / "docker-compose.yml").read_text())
    assert len(names) > 20
    env = tmp_path / ".env"
    env.write_text("PORT=9000\nAUTH_SECRET_KEY=kept")
    env.chmod(0o644)
    made = add_missing(env, names)
    assert set(made) == set(names) - {"AUTH_SECRET_KEY"}
    assert env.stat().st_mode & 0o777 == 0o600
    values = read_env(env)
    assert values["AUTH_SECRET_KEY"] == "kept"
    assert values["PORT"] == "9000"
    assert {weakness_of(values[name]) for name in made} == {None}
    assert len({values[name] for name in made}) == len(made)
    assert add_missing(env, names) == []
    assert read_env(env) == values


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (b"X_KEY=kept\r\nPORT=1\r\n", True),
        (b"X_KEY='kept'", True),
        (b"  X_KEY = kept\n", True),
        (b"export X_KEY=kept\n", True),
        (b"X_KEY: kept\n", True),
        (b"\xef\xbb\xbfX_KEY=kept\n", True),
        (b"# gr\xfc\xdfe\nX_KEY=kept\n", True),
        (b"X_KEY=\nPORT=1\n", False),
        (b"X_KEY=\r\n", False),
        (b"X_KEY=''\n", False),
        (b'X_KEY=""  # make one\n', False),
        (b"X_KEY=kept\nX_KEY=\n", False),
        (b"#X_KEY=kept\n", False),
    ],
)
def test_secrets_are_made_for_what_has_no_value_whoever_wrote_the_file(
    tmp_path: Path, given: bytes, kept: bool
) -> None:
    env = tmp_path / ".env"
    env.write_bytes(given)
    assert add_missing(env, ["X_KEY"]) == ([] if kept else ["X_KEY"])
    assert env.read_bytes().startswith(given.rstrip(b"\r\n")[:2])
    assert add_missing(env, ["X_KEY"]) == []
    if not kept:
        last = env.read_text().splitlines()[-1]
        assert last.startswith("X_KEY=")
        assert weakness_of(last.removeprefix("X_KEY=")) is None


def test_what_make_secrets_writes_is_read_by_compose_alone(services: dict[str, Service]) -> None:
    # `.env` is read by `make run` too, which has secrets of its own.
    del services
    names = asked_for((ROOT / "docker-compose.yml").read_text())
    fields = {name.upper() for name in {*Settings.model_fields, *StorageSettings.model_fields}}
    assert fields.isdisjoint(names)


def test_what_others_make_is_pinned_and_can_be_replaced(services: dict[str, Service]) -> None:
    replaceable = {}
    for name in STOOD_UPON:
        match = re.fullmatch(r"\$\{(\w+_IMAGE):-([^:}]+):([^}]+)\}", services[name]["image"])
        assert match, services[name]["image"]
        replaceable[match[1]] = match[3]
    assert "latest" not in replaceable.values()
    stand_ins = read_env(ROOT / "deploy" / "local-images" / "compose.env")
    # Debian has no Grafana; it is in a profile of its own, and nothing waits for it.
    assert set(stand_ins) == {*replaceable, "PYTHON_IMAGE"} - {"GRAFANA_IMAGE"}


def test_prometheus_scrapes_every_service_where_it_listens(services: dict[str, Service]) -> None:
    path = "deploy/observability/prometheus.yml"
    assert f"./{path}:/etc/prometheus/prometheus.yml:ro" in services["prometheus"]["volumes"]
    document = yaml.safe_load((ROOT / path).read_text())
    jobs = {job["job_name"]: job for job in document["scrape_configs"] if job["job_name"] in PORTS}
    for service, job in jobs.items():
        port = metrics_port(service)
        if "deploy" in services[service]:  # one address for each of several
            assert job["dns_sd_configs"] == [{"names": [service], "type": "A", "port": port}]
        else:
            assert job["static_configs"] == [{"targets": [f"{service}:{port}"]}]
    assert jobs.keys() == PORTS.keys()
    assert document["rule_files"] == ["/etc/prometheus/rules/*.yml"]
    assert (
        "./deploy/observability/rules:/etc/prometheus/rules:ro" in services["prometheus"]["volumes"]
    )


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


def test_the_file_of_tests_changes_limits_alone(services: dict[str, Service]) -> None:
    tests: dict[str, Service] = yaml.safe_load((ROOT / "deploy/compose.test.yml").read_text())[
        "services"
    ]
    for name, service in tests.items():
        assert name in services
        assert service.keys() == {"environment"}


def test_each_fault_is_done_to_a_container_and_undone(
    services: dict[str, Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[tuple[str, ...]] = []
    monkeypatch.setattr(compose, "docker", lambda *arguments: said.append(arguments))
    ground = compose.Containers()
    for victim in ground.victims:
        service, _, number = victim.rpartition("-")
        assert int(number) <= services[service].get("deploy", {"replicas": 1})["replicas"]
        for fault in Fault:
            ground.strike(victim, fault)
            ground.mend(victim, fault)
    assert {arguments[-1] for arguments in said} == {
        f"{compose.PROJECT}-{victim}" for victim in ground.victims
    }
    assert said[:6] == [
        (verb, "sharezync-test-front-1")
        for verb in ("kill", "start", "stop", "start", "pause", "unpause")
    ]
    networks = [arguments for arguments in said if arguments[0] == "network"]
    gateway = [each for each in networks if each[-1] == "sharezync-test-gateway-2"]
    network = "sharezync-test_default"
    assert gateway == [
        ("network", "disconnect", network, "sharezync-test-gateway-2"),
        ("network", "connect", "--alias", "gateway", network, "sharezync-test-gateway-2"),
    ]


@pytest.mark.parametrize("name", ["traefik.yml", "traefik.dynamic.yml", "envoy.yaml"])
def test_recipes_that_were_not_run_can_at_least_be_read(name: str) -> None:
    assert isinstance(yaml.safe_load((ROOT / "deploy" / "proxies" / name).read_text()), dict)
