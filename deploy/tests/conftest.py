"""The manifests, read and rendered."""

import shutil
import subprocess

import pytest

from deploy.tests.fleet import K8S, Manifest, read_kustomization, read_manifests


def render(folder: str) -> list[Manifest]:
    """Return what `kubectl kustomize` makes of a folder of deploy/k8s."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed: the files were checked as read, not as rendered")
    rendered = subprocess.run(
        [kubectl, "kustomize", str(K8S / folder)], capture_output=True, text=True, check=False
    )
    assert rendered.returncode == 0, rendered.stderr
    return read_manifests(rendered.stdout)


@pytest.fixture(scope="session", params=["read", "rendered"])
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    """Everything that can be installed: the base with all components.

    "read" needs nothing but the files; "rendered" is the example overlay by kubectl's kustomize.
    """
    if request.param == "rendered":
        return render("overlays/example")
    components = sorted(path.parent for path in K8S.glob("components/*/kustomization.yaml"))
    manifests = read_kustomization(K8S / "base")
    for component in components:
        manifests += read_kustomization(component)
    return manifests


@pytest.fixture
def rendered_base() -> list[Manifest]:
    return render("base")
