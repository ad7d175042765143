"""All dashboards, and the files that are written of them and of the rules."""

import json
from pathlib import Path
from typing import Final

import yaml

from deploy.observability.dashboards.panels import Dashboard
from deploy.observability.dashboards.services import service_dashboard
from deploy.observability.dashboards.subjects import (
    BROKER,
    DATABASE,
    DELIVERY,
    OVERVIEW,
    TRANSFERS,
)
from sharezync_shared.settings import SERVICES

_HERE: Final = Path(__file__).parents[1]

FOLDER: Final = _HERE / "grafana" / "dashboards"
RULES: Final = _HERE / "rules"
OPERATOR_RULES: Final = _HERE.parent / "k8s" / "components" / "prometheus-operator" / "rules.yaml"
DASHBOARDS: Final = (
    OVERVIEW,
    *map(service_dashboard, SERVICES),
    DELIVERY,
    TRANSFERS,
    BROKER,
    DATABASE,
)


def text_of(dashboard: Dashboard) -> str:
    """Return the file of a dashboard."""
    return json.dumps(dashboard.document(), indent=2) + "\n"


def operator_rules() -> str:
    """Return all rules as the Prometheus operator takes them."""
    groups = [
        group
        for path in sorted(RULES.glob("*.yml"))
        for group in yaml.safe_load(path.read_text())["groups"]
    ]
    labels = {"app.kubernetes.io/part-of": "sharezync"}
    document = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "sharezync", "labels": labels},
        "spec": {"groups": groups},
    }
    return "# Written by `make dashboards` from deploy/observability/rules.\n" + yaml.safe_dump(
        document, sort_keys=False, width=100
    )
