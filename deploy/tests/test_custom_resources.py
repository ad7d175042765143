"""What operators define has the fields that they define: by types made of their own definitions.

Those of CloudNativePG, the External Secrets Operator, the Gateway API, KEDA and the Prometheus
operator are published as TypeScript's types (`crds/package.json`), which refuse fields that are
unknown, lack or have another type. RabbitMQ's are not to be had so; `test_overlays.py` holds them
against what the broker is told elsewhere.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from deploy.tests.conftest import render
from deploy.tests.fleet import Manifest

CRDS: Final = Path(__file__).parent / "crds"
PACKAGES: Final = {
    "postgresql.cnpg.io": "cloudnative-pg",
    "external-secrets.io": "external-secrets",
    "gateway.networking.k8s.io": "gateway-api",
    "keda.sh": "keda",
    "monitoring.coreos.com": "prometheus-operator",
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        os.environ.get("CUSTOM_RESOURCES") != "1",
        reason="types of custom resources are installed and compiled by `make k8s` alone",
    ),
]


@pytest.fixture(scope="module")
def custom() -> list[Manifest]:
    """Every object of production whose kind an operator defines, but for RabbitMQ's."""
    manifests = render("overlays/production")
    return [m for m in manifests if m["apiVersion"].partition("/")[0] in PACKAGES]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the types are installed, as the lock says."""
    if not shutil.which("npm"):
        pytest.skip("there is no npm here: the fields of custom resources were NOT CHECKED")
    folder = tmp_path_factory.mktemp("crds")
    for name in ("package.json", "package-lock.json", "tsconfig.json"):
        shutil.copy(CRDS / name, folder)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = f"npm can't install the types: custom resources NOT CHECKED\n{done.stderr[-500:]}"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{reason}\nwhich CI does not allow")
        pytest.skip(reason)
    return folder


def complaints(folder: Path, manifests: list[Manifest]) -> str:
    """Return what the types' compiler has to say of these objects; nothing where they fit."""
    lines = []
    for number, manifest in enumerate(manifests):
        group, _, version = manifest["apiVersion"].partition("/")
        kind = manifest["kind"]
        place = f"@kubernetes-models/{PACKAGES[group]}/{group}/{version}/{kind}"
        lines.append(f'import type {{ I{kind} as Type{number} }} from "{place}";')
        lines.append(f"export const object{number}: Type{number} = {json.dumps(manifest)};")
    (folder / "check.ts").write_text("\n".join(lines))
    compiler = folder / "node_modules" / ".bin" / "tsc"
    done = subprocess.run([compiler], cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_custom_resources_have_the_fields_that_their_operators_define(
    custom: list[Manifest], folder: Path
) -> None:
    groups = {manifest["apiVersion"].partition("/")[0] for manifest in custom}
    assert groups == PACKAGES.keys(), "each is in use"
    assert complaints(folder, custom) == ""


def test_a_field_that_no_operator_defines_is_complained_of(
    custom: list[Manifest], folder: Path
) -> None:
    ones = [
        next(m for m in custom if m["apiVersion"].startswith(f"{group}/")) for group in PACKAGES
    ]
    wrong = [one | {"spec": one["spec"] | {"nonsense": 1}} for one in ones]
    told = complaints(folder, wrong).splitlines()
    assert len([line for line in told if "nonsense" in line]) == len(PACKAGES)
