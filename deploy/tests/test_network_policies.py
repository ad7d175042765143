"""Who may talk to whom in the cluster: the call graph of the sources, and nothing else."""

import re
from functools import partial

import pytest

from deploy.tests.fleet import PORTS, ROOT, WITH_DATABASE, Manifest, of_kind, selects

NAMESPACE = "kubernetes.io/metadata.name"
"""The label that each namespace has of its own name."""
POSTGRESQL = 5432
S3 = 8333
_CLIENT = r"\bservices\.(auth|chat|transfer|storage)\b"
"""The client of one service among those of all (`sharezync_shared.contracts.services`)."""


def labels_of(manifests: list[Manifest], service: str) -> Manifest:
    labels: Manifest = of_kind(manifests, "Deployment")[service]["spec"]["template"]["metadata"][
        "labels"
    ]
    return labels


def allows(
    manifests: list[Manifest],
    direction: str,
    pod: Manifest,
    peer: Manifest | None,
    ports: set[str | int],
    *,
    namespace: str = "sharezync",
) -> bool:
    """Whether a pod of these labels may speak ("Egress") or be spoken to ("Ingress").

    `peer` is the other pod's labels, None for whatever is outside of the cluster, and `namespace`
    where that pod is; `ports` are the number of the port and its name, where it has one. As in
    Kubernetes: who is selected by some policy of a direction needs a rule that allows it, and who
    is selected by none may do anything.
    """
    policies = [
        policy["spec"]
        for policy in of_kind(manifests, "NetworkPolicy").values()
        if direction in policy["spec"]["policyTypes"]
        and selects(policy["spec"]["podSelector"], pod)
    ]
    side = "to" if direction == "Egress" else "from"

    def matches(rule: Manifest) -> bool:
        if "ports" in rule and not ports & {port["port"] for port in rule["ports"]}:
            return False
        if side not in rule:
            return True
        return peer is not None and any(
            selects(other.get("podSelector", {}), peer)
            and selects(other.get("namespaceSelector", {}), {NAMESPACE: namespace})
            for other in rule[side]
        )

    rules = [rule for policy in policies for rule in policy.get(direction.lower(), [])]
    return not policies or any(matches(rule) for rule in rules)


def calls() -> set[tuple[str, str]]:
    """Return (caller, callee) for each client of another service that the sources use.

    Beyond those, all fetch auth's keys and their credentials, and the gateway routes to all.
    """
    found = {(service, "auth") for service in PORTS} | {
        ("gateway", service) for service in WITH_DATABASE
    }
    for caller in PORTS:
        for source in (ROOT / "services" / caller / "src").rglob("*.py"):
            for callee in re.findall(_CLIENT, source.read_text()):
                found.add((caller, callee))
    return {(caller, callee) for caller, callee in found if caller != callee}


@pytest.mark.parametrize("caller", PORTS)
@pytest.mark.parametrize("callee", PORTS)
def test_a_service_reaches_exactly_those_it_calls(
    manifests: list[Manifest], caller: str, callee: str
) -> None:
    if caller == callee:
        return
    one, other = labels_of(manifests, caller), labels_of(manifests, callee)
    ports: set[str | int] = {"http", PORTS[callee]}
    leaves = allows(manifests, "Egress", one, other, ports)
    arrives = allows(manifests, "Ingress", other, one, ports)
    if callee == "gateway":
        assert not leaves  # it is open to the world, but none of ours has business there
    else:
        assert (leaves, arrives) == ((caller, callee) in calls(),) * 2


@pytest.mark.parametrize("service", PORTS)
def test_only_those_with_data_reach_the_database_and_only_storage_reaches_s3(
    manifests: list[Manifest], service: str
) -> None:
    labels = labels_of(manifests, service)
    assert allows(manifests, "Egress", labels, None, {POSTGRESQL}) == (service in WITH_DATABASE)
    assert allows(manifests, "Egress", labels, None, {S3}) == (service == "storage")


@pytest.mark.parametrize("service", PORTS)
@pytest.mark.parametrize("port", [53, 5671, 5672])
def test_all_reach_names_and_the_broker(manifests: list[Manifest], service: str, port: int) -> None:
    assert allows(manifests, "Egress", labels_of(manifests, service), None, {port})


@pytest.mark.parametrize("service", PORTS)
def test_the_world_reaches_the_gateway_alone(manifests: list[Manifest], service: str) -> None:
    labels = labels_of(manifests, service)
    ports: set[str | int] = {"http", PORTS[service]}
    controller = {"app.kubernetes.io/name": "ingress-nginx"}
    reached = allows(manifests, "Ingress", labels, controller, ports, namespace="ingress-nginx")
    assert reached == (service == "gateway")


@pytest.mark.parametrize("service", PORTS)
def test_prometheus_reaches_the_metrics_and_nobody_outside_does(
    manifests: list[Manifest], service: str
) -> None:
    labels = labels_of(manifests, service)
    prometheus = {"app.kubernetes.io/name": "prometheus"}
    reached = partial(allows, manifests, "Ingress", labels, prometheus, {"metrics"})
    assert reached(namespace="monitoring")
    assert not reached(namespace="sharezync")
    assert not reached(namespace="strangers")
    assert not allows(manifests, "Ingress", labels, None, {"metrics"})


def test_a_pod_that_is_none_of_ours_is_shut_off(manifests: list[Manifest]) -> None:
    stranger = {"app.kubernetes.io/name": "stranger"}
    auth = labels_of(manifests, "auth")
    assert not allows(manifests, "Egress", stranger, auth, {"http", PORTS["auth"]})
    assert not allows(manifests, "Ingress", auth, stranger, {"http", PORTS["auth"]})
    assert not allows(manifests, "Egress", stranger, None, {POSTGRESQL})
