"""The overlays as the cluster gets them: what each of them promises beyond the base."""

import json
import shutil
from collections.abc import Callable
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from types import ModuleType

import pytest

from deploy import k8s_secrets
from deploy.tests.conftest import render
from deploy.tests.fleet import (
    K8S,
    PORTS,
    ROOT,
    WITH_DATABASE,
    Manifest,
    containers_of,
    of_kind,
    pod_of,
    read_manifests,
    settings_of,
)
from deploy.tests.test_broker_logins import definitions
from deploy.tests.test_manifests import KUBERNETES_VERSIONS, kubernetes_validate
from sharezync_storage.settings import MIB, StorageSettings

__all__ = ["kubernetes_validate"]

WRITER_BYTES = 24 * MIB
"""What one body holds while it comes, on S3 (`max_writers` in storage's settings)."""
PROCESS_BYTES = 256 * MIB
"""A process of storage that takes no body: what it asks the cluster for."""


@cache
def production() -> list[Manifest]:
    return render("overlays/production")


@cache
def staging() -> list[Manifest]:
    return render("overlays/staging")


def dev(folder: Path, secrets: dict[str, dict[str, str]]) -> list[Manifest]:
    """Return the overlay of a laptop with these secrets."""
    shutil.copytree(K8S, folder / "k8s", ignore=shutil.ignore_patterns("secrets"))
    for name in ("postgres", "rabbitmq"):
        shutil.copytree(ROOT / "deploy" / name, folder / name)
    k8s_secrets.write(folder / "k8s" / "overlays" / "dev" / "secrets", secrets)
    return render("overlays/dev", folder / "k8s")


def bytes_of(quantity: str) -> int:
    """Read a size as Kubernetes writes it."""
    return int(quantity[:-2]) * {"Mi": MIB, "Gi": 1024 * MIB}[quantity[-2:]]


def container_of(manifests: list[Manifest], service: str) -> Manifest:
    (container,) = pod_of(of_kind(manifests, "Deployment")[service])["containers"]
    return dict(container)


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
def test_overlays_fit_the_schema_to_the_letter(
    tmp_path: Path, version: str, kubernetes_validate: ModuleType
) -> None:
    theirs = ("Cluster", "Database", "HTTPRoute", "ScaledObject", "ExternalSecret", "PodMonitor")
    rabbitmq = ("RabbitmqCluster", "User", "Permission", "TopicPermission", "Policy")
    custom = {*theirs, *rabbitmq, "PrometheusRule"}
    for manifest in [*production(), *staging(), *dev(tmp_path, k8s_secrets.values())]:
        if manifest["kind"] not in custom:
            kubernetes_validate.validate(manifest, version, strict=True)


def test_production_runs_what_was_tested() -> None:
    for deployment in of_kind(production(), "Deployment").values():
        for container in containers_of(deployment):
            assert "@sha256:" in container["image"]


@pytest.mark.parametrize("overlay", [staging, production])
def test_the_way_in_alone_is_believed_and_alone_reaches_the_gateway(
    overlay: Callable[[], list[Manifest]],
) -> None:
    manifests = overlay()
    gateway = of_kind(manifests, "Deployment")["gateway"]
    (trusted,) = settings_of(gateway, manifests)["TRUSTED_PROXIES"].split(",")
    assert ip_network(trusted).num_addresses <= 256, "a pod of anybody's must not be in it"
    (rule,) = of_kind(manifests, "NetworkPolicy")["gateway"]["spec"]["ingress"]
    (peer,) = rule["from"]
    assert peer["namespaceSelector"]["matchLabels"]


def test_production_names_a_peer_for_each_way_out_of_a_process() -> None:
    for name, policy in of_kind(production(), "NetworkPolicy").items():
        if name in {"postgres", "rabbitmq"}:
            continue  # the operators' own pods ask the API server, whose address differs
        for rule in policy["spec"].get("egress", []):
            assert rule.get("to"), f"{name} lets everybody be reached: {rule}"


def test_production_has_one_way_in_and_it_lasts_as_long_as_a_socket() -> None:
    assert not of_kind(production(), "Ingress")
    route = of_kind(production(), "HTTPRoute")["gateway"]
    (rule,) = route["spec"]["rules"]
    assert rule["backendRefs"] == [{"name": "gateway", "port": PORTS["gateway"]}]
    assert rule["timeouts"] == {"request": "0s", "backendRequest": "0s"}


def test_what_an_autoscaler_counts_is_not_counted_by_anybody_else() -> None:
    scalers = [
        *of_kind(production(), "HorizontalPodAutoscaler").values(),
        *of_kind(production(), "ScaledObject").values(),
    ]
    scaled = [scaler["spec"]["scaleTargetRef"]["name"] for scaler in scalers]
    assert sorted(scaled) == sorted(PORTS)
    for deployment in of_kind(production(), "Deployment").values():
        assert "replicas" not in deployment["spec"]


def test_the_database_takes_the_connections_of_all_that_may_run() -> None:
    manifests = production()
    cluster = of_kind(manifests, "Cluster")["postgres"]["spec"]
    asked = 0.0
    for service in WITH_DATABASE:
        settings = settings_of(of_kind(manifests, "Deployment")[service], manifests)
        most = of_kind(manifests, "HorizontalPodAutoscaler")[service]["spec"]["maxReplicas"]
        each = 2.5 * int(settings["DATABASE_POOL_SIZE"])  # deploy/README.md, Connections
        each += int(settings["SEARCHES_AT_ONCE"]) if service != "storage" else 0
        asked += (most + 1) * each  # one more during a rollout
    assert asked < int(cluster["postgresql"]["parameters"]["max_connections"])


def test_the_roles_and_schemas_are_those_of_the_script() -> None:
    roles = of_kind(production(), "Cluster")["postgres"]["spec"]["managed"]["roles"]
    assert {role["name"] for role in roles} == {
        login for service in WITH_DATABASE for login in (service, f"{service}_owner")
    }
    schemas = of_kind(production(), "Database")["sharezync"]["spec"]["schemas"]
    assert {schema["name"]: schema["owner"] for schema in schemas} == {
        service: f"{service}_owner" for service in WITH_DATABASE
    }


def test_the_broker_is_told_the_same_by_the_operator_and_by_the_script(tmp_path: Path) -> None:
    told = json.loads(definitions(tmp_path))
    permissions, topics = (
        {
            name: each["spec"]["permissions"] | {"vhost": each["spec"]["vhost"]}
            for name, each in of_kind(production(), kind).items()
        }
        for kind in ("Permission", "TopicPermission")
    )
    assert permissions == {
        each.pop("user"): each for each in told["permissions"] if each["user"] != "admin"
    }
    assert topics == {each.pop("user"): each for each in told["topic_permissions"]}
    assert of_kind(production(), "User").keys() == PORTS.keys()
    policies = [each["spec"] for each in of_kind(production(), "Policy").values()]
    for policy in policies:
        del policy["rabbitmqClusterReference"]
        policy["apply-to"] = policy.pop("applyTo")
    assert policies == told["policies"]


def test_the_store_makes_every_secret_that_is_asked_for() -> None:
    example = of_kind(read_manifests((K8S / "secret.example.yaml").read_text()), "Secret")
    made = of_kind(production(), "ExternalSecret")
    for name, secret in example.items():
        assert (
            made[name]["spec"]["target"]["template"]["data"].keys() == secret["stringData"].keys()
        )
    roles = of_kind(production(), "Cluster")["postgres"]["spec"]["managed"]["roles"]
    users = of_kind(production(), "User").values()
    logins = {role["passwordSecret"]["name"]: role["name"] for role in roles} | {
        user["spec"]["importCredentialsSecret"]["name"]: user["metadata"]["name"] for user in users
    }
    assert logins.keys() | example.keys() == made.keys()
    for secret, login in logins.items():
        assert made[secret]["spec"]["target"]["template"]["data"]["username"] == login
    for deployment in of_kind(production(), "Deployment").values():
        assert deployment["metadata"]["annotations"]["reloader.stakater.com/auto"] == "true"


def test_a_changed_secret_rolls_the_pods_that_read_it_and_no_others(tmp_path: Path) -> None:
    before, after = k8s_secrets.values(), k8s_secrets.values()
    after = before | {"chat": after["chat"]}
    first, second = (
        of_kind(dev(tmp_path / name, secrets), "Deployment")
        for name, secrets in (("before", before), ("after", after))
    )
    changed = {name for name in first if pod_of(first[name]) != pod_of(second[name])}
    assert changed == {"chat"}


def test_secrets_of_a_laptop_are_all_that_is_asked_for_and_stay(tmp_path: Path) -> None:
    files = k8s_secrets.values()
    example = of_kind(read_manifests((K8S / "secret.example.yaml").read_text()), "Secret")
    for name, secret in example.items():
        assert files[name.removeprefix("sharezync-")].keys() == secret["stringData"].keys()
    folder = tmp_path / "secrets"
    k8s_secrets.write(folder, files)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    with pytest.raises(FileExistsError):
        k8s_secrets.write(folder, files)


def test_storage_may_have_the_memory_that_its_settings_let_it_take() -> None:
    for manifests in (staging(), production()):
        settings = settings_of(of_kind(manifests, "Deployment")["storage"], manifests)
        writers = int(
            settings.get("MAX_WRITERS", StorageSettings.model_fields["max_writers"].default)
        )
        limit = bytes_of(container_of(manifests, "storage")["resources"]["limits"]["memory"])
        assert limit >= 1.25 * (PROCESS_BYTES + writers * WRITER_BYTES)
