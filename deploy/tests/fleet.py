"""What the files of deployment are held against, and how they are read."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[2]
K8S: Final = ROOT / "deploy" / "k8s"

PORTS: Final = {"gateway": 8000, "auth": 8001, "chat": 8002, "transfer": 8003, "storage": 8004}
"""The services and where they listen; each serves its metrics 1000 higher."""

WITH_DATABASE: Final = tuple(name for name in PORTS if name != "gateway")

SECRET_WORDS: Final = ("SECRET", "PASSWORD", "_PASS", "DATABASE_URL", "AMQP_URL", "ACCESS_KEY")
"""A variable with one of these in its name carries something that must not be read here."""

Manifest = dict[str, Any]


def metrics_port(service: str) -> int:
    """Return the port on which `service` answers Prometheus."""
    return PORTS[service] + 1000


def is_secret(variable: str) -> bool:
    """Whether a variable of this name carries a secret."""
    return any(word in variable for word in SECRET_WORDS)


def read_kustomization(folder: Path) -> list[Manifest]:
    """Return what a kustomization without patches amounts to, by plain reading.

    It knows `resources`, `components` and ConfigMaps made from env files, which is all that the
    base and the components use. Names are as written: no hash is appended.
    """
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    manifests: list[Manifest] = []
    for name in kustomization.get("resources", []):
        path = folder / name
        manifests += read_kustomization(path) if path.is_dir() else read_manifests(path.read_text())
    for name in kustomization.get("components", []):
        manifests += read_kustomization(folder / name)
    for generated in kustomization.get("configMapGenerator", []):
        settings: dict[str, str] = {}
        for name in generated["envs"]:
            settings |= read_env(folder / name)
        metadata = {"name": generated["name"]}
        manifests.append(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": settings}
        )
    return manifests


def read_manifests(text: str) -> list[Manifest]:
    """Return the documents of a YAML stream."""
    return [document for document in yaml.safe_load_all(text) if document]


def read_env(path: Path) -> dict[str, str]:
    """Return the variables of an env file."""
    lines = (line for line in path.read_text().splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def of_kind(manifests: Sequence[Manifest], kind: str) -> dict[str, Manifest]:
    """Return the manifests of a kind by name."""
    return {
        manifest["metadata"]["name"]: manifest for manifest in manifests if manifest["kind"] == kind
    }


def pod_of(deployment: Manifest) -> Manifest:
    """Return the pod spec of a Deployment."""
    spec: Manifest = deployment["spec"]["template"]["spec"]
    return spec


def containers_of(deployment: Manifest) -> Iterator[Manifest]:
    """Every container of a Deployment's pods, those that run first included."""
    pod = pod_of(deployment)
    yield from pod.get("initContainers", [])
    yield from pod["containers"]


def settings_of(deployment: Manifest, manifests: Sequence[Manifest]) -> dict[str, str]:
    """Return what a Deployment's process reads from ConfigMaps; the later one wins, as there."""
    maps = of_kind(manifests, "ConfigMap")
    settings: dict[str, str] = {}
    for source in pod_of(deployment)["containers"][0]["envFrom"]:
        settings |= maps[source["configMapRef"]["name"]]["data"]
    return settings


def selects(selector: Manifest, labels: Manifest) -> bool:
    """Whether a label selector of plain `matchLabels` selects a pod of these labels."""
    wanted: dict[str, str] = selector.get("matchLabels", {})
    return all(labels.get(name) == value for name, value in wanted.items())
