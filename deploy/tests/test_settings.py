"""Every variable that deployment sets is one that the service it is given to reads."""

import importlib
import inspect
from typing import Any

import pytest
import yaml

from deploy.tests.fleet import PORTS, ROOT, Manifest, of_kind, pod_of, settings_of
from sharezync_shared.settings import Settings


def known(service: str) -> set[str]:
    """Return the variables that a service reads."""
    module = importlib.import_module(f"sharezync_{service}.settings")
    (settings,) = [
        value
        for _, value in inspect.getmembers(module, inspect.isclass)
        if issubclass(value, Settings) and value.__module__ == module.__name__
    ]
    return {name.upper() for name in settings.model_fields}


def shared() -> set[str]:
    """Return the variables that all services read."""
    return {name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize("service", PORTS)
def test_compose_sets_nothing_in_vain(service: str) -> None:
    document: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    assert set(document["services"][service]["environment"]) <= known(service)


@pytest.mark.parametrize("service", PORTS)
def test_the_cluster_sets_nothing_in_vain(manifests: list[Manifest], service: str) -> None:
    deployment = of_kind(manifests, "Deployment")[service]
    (container,) = pod_of(deployment)["containers"]
    secret = {variable["name"] for variable in container["env"]}
    assert secret <= known(service)
    assert set(settings_of(deployment, manifests)) <= known(service)


@pytest.mark.parametrize("service", PORTS)
def test_the_image_sets_nothing_in_vain(service: str) -> None:
    assert {"HOST", "PORT", "METRICS_PORT", "METRICS_HOST", "LOG_FORMAT", "DATA_DIR"} <= known(
        service
    )


def test_what_all_are_given_is_what_all_read(manifests: list[Manifest]) -> None:
    maps = of_kind(manifests, "ConfigMap")
    (common,) = [maps[name]["data"] for name in maps if "AUTH_URL" in maps[name]["data"]]
    assert set(common) <= shared()
