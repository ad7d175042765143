"""The manifests, read and rendered."""

import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.tests.fleet import K8S, Manifest, read_kustomization, read_manifests


def render(folder: str, root: Path = K8S) -> list[Manifest]:
    """Return what `kubectl kustomize` makes of a folder of deploy/k8s, or of a copy at `root`."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed: the files were checked as read, not as rendered")
    rendered = subprocess.run(
        [kubectl, "kustomize", str(root / folder)], capture_output=True, text=True, check=False
    )
    assert rendered.returncode == 0, rendered.stderr
    return read_manifests(rendered.stdout)


@pytest.fixture(scope="session", params=["read", "rendered"])
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    """Everything that can be installed: the base with all components.

    "read" needs nothing but the files; "rendered" is the overlay `staging` by kubectl's kustomize.
    Components that stand on operators, or replace what others have, are in `production`
    (test_overlays.py).
    """
    if request.param == "rendered":
        return render("overlays/staging")
    manifests = read_kustomization(K8S / "base")
    for component in ("ingress", "network-policies", "prometheus-operator"):
        manifests += read_kustomization(K8S / "components" / component)
    return manifests


@pytest.fixture
def rendered_base() -> list[Manifest]:
    return render("base")
