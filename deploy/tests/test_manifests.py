"""What the manifests promise about every pod, and that the pieces fit together."""

from types import ModuleType

import pytest

from deploy.tests.fleet import (
    K8S,
    PORTS,
    WITH_DATABASE,
    Manifest,
    containers_of,
    is_secret,
    metrics_port,
    of_kind,
    pod_of,
    read_kustomization,
    read_manifests,
    selects,
    settings_of,
)

# The oldest cluster that knows `preStop.sleep` by default, and the newest schema at hand.
KUBERNETES_VERSIONS = ("1.30", "1.37")
# Defined by operators, not by Kubernetes.
CUSTOM = {"PodMonitor", "PrometheusRule"}


@pytest.fixture
def kubernetes_validate() -> ModuleType:
    """Loaded where it is used: its libraries take a second of every process that collects tests."""
    import kubernetes_validate  # noqa: PLC0415 - as above

    return kubernetes_validate  # type: ignore[no-any-return]  # it comes without types


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
def test_manifests_fit_the_schema_to_the_letter(
    manifests: list[Manifest], version: str, kubernetes_validate: ModuleType
) -> None:
    for manifest in manifests:
        if manifest["kind"] not in CUSTOM:
            kubernetes_validate.validate(manifest, version, strict=True)


def test_the_schema_refuses_a_field_that_does_not_exist(
    manifests: list[Manifest], kubernetes_validate: ModuleType
) -> None:
    wrong = of_kind(manifests, "Service")["auth"] | {"specs": {}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, KUBERNETES_VERSIONS[-1], strict=True)


@pytest.mark.parametrize("kind", ["Deployment", "Service", "ServiceAccount", "PodDisruptionBudget"])
def test_every_service_has_its_own(manifests: list[Manifest], kind: str) -> None:
    assert set(of_kind(manifests, kind)) == set(PORTS)


def test_rendering_changes_nothing_but_names_and_namespace(rendered_base: list[Manifest]) -> None:
    """So that checking the files as read is checking what the cluster gets."""
    read = read_kustomization(K8S / "base")
    for manifest in rendered_base:
        if manifest["kind"] not in {"Namespace", "PriorityClass"}:
            assert manifest["metadata"].pop("namespace") == "sharezync"

    def named(manifests: list[Manifest]) -> dict[tuple[str, str], Manifest]:
        return {
            (manifest["kind"], manifest["metadata"]["name"]): manifest for manifest in manifests
        }

    hashed = of_kind(rendered_base, "ConfigMap")
    plain = {name.rsplit("-", 1)[0]: name for name in hashed}
    for manifest in read:
        if manifest["kind"] == "ConfigMap":
            manifest["metadata"]["name"] = plain[manifest["metadata"]["name"]]
        if manifest["kind"] == "Deployment":
            for container in containers_of(manifest):
                for source in container["envFrom"]:
                    reference = source["configMapRef"]
                    reference["name"] = plain.get(reference["name"], reference["name"])
    assert named(read) == named(rendered_base)


def test_the_namespace_refuses_pods_beyond_the_restricted_profile(
    manifests: list[Manifest],
) -> None:
    labels = of_kind(manifests, "Namespace")["sharezync"]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("service", PORTS)
class TestEveryPod:
    def test_runs_within_the_restricted_profile(
        self, manifests: list[Manifest], service: str
    ) -> None:
        deployment = of_kind(manifests, "Deployment")[service]
        pod = pod_of(deployment)
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in containers_of(deployment):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }

    def test_has_no_token_for_the_cluster(self, manifests: list[Manifest], service: str) -> None:
        pod = pod_of(of_kind(manifests, "Deployment")[service])
        assert pod["serviceAccountName"] == service
        assert pod["automountServiceAccountToken"] is False
        account = of_kind(manifests, "ServiceAccount")[service]
        assert account["automountServiceAccountToken"] is False

    def test_writes_only_to_bounded_temporary_space(
        self, manifests: list[Manifest], service: str
    ) -> None:
        deployment = of_kind(manifests, "Deployment")[service]
        (volume,) = pod_of(deployment)["volumes"]
        assert volume["emptyDir"]["sizeLimit"]
        for container in containers_of(deployment):
            assert container["volumeMounts"] == [{"name": volume["name"], "mountPath": "/tmp"}]

    def test_has_requests_and_a_bound_on_memory_but_none_on_cpu(
        self, manifests: list[Manifest], service: str
    ) -> None:
        for container in containers_of(of_kind(manifests, "Deployment")[service]):
            assert set(container["resources"]["requests"]) == {"cpu", "memory"}
            assert set(container["resources"]["limits"]) == {"memory"}

    def test_is_probed_and_only_readiness_asks_what_it_stands_on(
        self, manifests: list[Manifest], service: str
    ) -> None:
        (container,) = pod_of(of_kind(manifests, "Deployment")[service])["containers"]
        paths = {
            probe: container[probe]["httpGet"]["path"]
            for probe in ("startupProbe", "readinessProbe", "livenessProbe")
        }
        assert paths == {
            "startupProbe": "/health",
            "readinessProbe": "/ready",
            "livenessProbe": "/health",
        }
        for probe in paths:
            assert container[probe]["httpGet"]["port"] == "http"

    def test_listens_where_its_service_and_prometheus_look(
        self, manifests: list[Manifest], service: str
    ) -> None:
        deployment = of_kind(manifests, "Deployment")[service]
        (container,) = pod_of(deployment)["containers"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert ports == {"http": PORTS[service], "metrics": metrics_port(service)}
        (front,) = of_kind(manifests, "Service")[service]["spec"]["ports"]
        assert front["port"] == PORTS[service]
        assert front["targetPort"] == "http"
        annotations = deployment["spec"]["template"]["metadata"]["annotations"]
        assert annotations == {
            "prometheus.io/scrape": "true",
            "prometheus.io/port": str(metrics_port(service)),
            "prometheus.io/path": "/metrics",
        }

    def test_is_what_every_selector_means(self, manifests: list[Manifest], service: str) -> None:
        deployment = of_kind(manifests, "Deployment")[service]
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        front = of_kind(manifests, "Service")[service]["spec"]["selector"]
        budget = of_kind(manifests, "PodDisruptionBudget")[service]["spec"]["selector"]
        spread = [
            constraint["labelSelector"]
            for constraint in pod_of(deployment)["topologySpreadConstraints"]
        ]
        for selector in [{"matchLabels": front}, budget, deployment["spec"]["selector"], *spread]:
            assert selects(selector, labels)
            assert selector["matchLabels"]["app.kubernetes.io/name"] == service
        if "PodMonitor" in {manifest["kind"] for manifest in manifests}:
            monitor = of_kind(manifests, "PodMonitor")["sharezync"]["spec"]
            assert selects(monitor["selector"], labels)
            assert [endpoint["port"] for endpoint in monitor["podMetricsEndpoints"]] == ["metrics"]

    def test_is_never_missed_in_a_rollout_or_a_drain(
        self, manifests: list[Manifest], service: str
    ) -> None:
        deployment = of_kind(manifests, "Deployment")[service]
        assert deployment["spec"]["replicas"] >= 2
        assert deployment["spec"]["strategy"]["rollingUpdate"] == {
            "maxUnavailable": 0,
            "maxSurge": 1,
        }
        budget = of_kind(manifests, "PodDisruptionBudget")[service]["spec"]
        assert budget["maxUnavailable"] == 1
        assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
        given = deployment["spec"]["template"]["spec"]["priorityClassName"]
        assert given in of_kind(manifests, "PriorityClass")
        spread = pod_of(deployment)["topologySpreadConstraints"]
        assert {constraint["topologyKey"] for constraint in spread} == {
            "kubernetes.io/hostname",
            "topology.kubernetes.io/zone",
        }

    def test_is_given_the_time_to_say_goodbye(
        self, manifests: list[Manifest], service: str
    ) -> None:
        deployment = of_kind(manifests, "Deployment")[service]
        pod = pod_of(deployment)
        leaving = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
        draining = float(settings_of(deployment, manifests)["DRAIN_SECONDS"])
        assert leaving >= 5
        assert pod["terminationGracePeriodSeconds"] >= leaving + draining + 10

    def test_takes_no_variable_from_the_cluster(
        self, manifests: list[Manifest], service: str
    ) -> None:
        assert pod_of(of_kind(manifests, "Deployment")[service])["enableServiceLinks"] is False

    def test_runs_a_named_version(self, manifests: list[Manifest], service: str) -> None:
        deployment = of_kind(manifests, "Deployment")[service]
        (image,) = {container["image"] for container in containers_of(deployment)}
        name, _, version = image.rpartition(":")
        assert name.rsplit("/", 1)[-1] in {service, f"sharezync-{service}"}
        assert version not in {"", "latest"}

    def test_migrates_first_if_it_owns_data(self, manifests: list[Manifest], service: str) -> None:
        pod = pod_of(of_kind(manifests, "Deployment")[service])
        first = pod.get("initContainers", [])
        if service in WITH_DATABASE:
            (migrate,) = first
            assert migrate["args"] == ["migrate"]
            assert {v["name"] for v in migrate["env"]} == {"DATABASE_URL", "MIGRATE_DATABASE_URL"}
            serving = {variable["name"] for variable in pod["containers"][0]["env"]}
            assert "MIGRATE_DATABASE_URL" not in serving
        else:
            assert not first


def test_services_find_each_other_under_the_names_they_have(manifests: list[Manifest]) -> None:
    fronts = of_kind(manifests, "Service")
    settings = settings_of(of_kind(manifests, "Deployment")["gateway"], manifests)
    for service in WITH_DATABASE:
        (port,) = fronts[service]["spec"]["ports"]
        assert settings[f"{service.upper()}_URL"] == f"http://{service}:{port['port']}"


def test_the_way_in_leads_to_the_gateway_and_buffers_nothing(manifests: list[Manifest]) -> None:
    ingress = of_kind(manifests, "Ingress")["gateway"]
    (rule,) = ingress["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    assert path["backend"]["service"] == {"name": "gateway", "port": {"name": "http"}}
    assert [tls["hosts"] for tls in ingress["spec"]["tls"]] == [[rule["host"]]]
    annotations = ingress["metadata"]["annotations"]
    assert annotations["nginx.ingress.kubernetes.io/proxy-body-size"] == "0"
    assert annotations["nginx.ingress.kubernetes.io/proxy-request-buffering"] == "off"
    assert annotations["nginx.ingress.kubernetes.io/proxy-buffering"] == "off"


class TestSecrets:
    def test_come_by_reference_only(self, manifests: list[Manifest]) -> None:
        assert not of_kind(manifests, "Secret")
        for settings in of_kind(manifests, "ConfigMap").values():
            assert not [name for name in settings["data"] if is_secret(name)]
        for deployment in of_kind(manifests, "Deployment").values():
            for container in containers_of(deployment):
                for variable in container["env"]:
                    assert set(variable) == {"name", "valueFrom"}
                    assert set(variable["valueFrom"]) == {"secretKeyRef"}

    def test_are_all_in_the_example_and_the_example_holds_no_other(
        self, manifests: list[Manifest]
    ) -> None:
        example = of_kind(read_manifests((K8S / "secret.example.yaml").read_text()), "Secret")
        wanted = {
            (reference["name"], reference["key"])
            for deployment in of_kind(manifests, "Deployment").values()
            for container in containers_of(deployment)
            for variable in container["env"]
            for reference in [variable["valueFrom"]["secretKeyRef"]]
        }
        given = {(name, key) for name, secret in example.items() for key in secret["stringData"]}
        assert given == wanted

    def test_each_service_reads_only_its_own(self, manifests: list[Manifest]) -> None:
        for service, deployment in of_kind(manifests, "Deployment").items():
            for container in containers_of(deployment):
                names = {v["valueFrom"]["secretKeyRef"]["name"] for v in container["env"]}
                assert names == {f"sharezync-{service}"}
