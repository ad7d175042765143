"""Dashboards: what is committed is what is declared, and every query asks for what there is."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard as GrafanaDashboard

from deploy.observability.dashboards.files import DASHBOARDS, FOLDER, text_of
from deploy.observability.dashboards.panels import SCHEMA_VERSION, WINDOW, Dashboard
from sharezync_shared.settings import SERVICES
from tests.observed.conftest import ROOT
from tests.observed.families import faults_of

OPERATIONS = ROOT / "docs" / "operations"


def named(dashboard: Dashboard) -> str:
    return dashboard.name


def read_by_grafana(document: dict[str, Any]) -> Any:
    """Return what Grafana's own model keeps of a document."""
    register_default_plugins()
    kept = GrafanaDashboard.from_json(document)
    return json.loads(JSONEncoder(sort_keys=True).encode(kept))


def lost(document: Any, kept: Any, path: str = "") -> list[str]:
    """Return the places of a document that are missing, or another, in what was kept."""
    if isinstance(document, dict):
        return [
            place
            for name, value in document.items()
            for place in (
                lost(value, kept[name], f"{path}/{name}")
                if isinstance(kept, dict) and name in kept
                else [f"{path}/{name}"]
            )
        ]
    if isinstance(document, list) and isinstance(kept, list) and len(document) == len(kept):
        pairs = enumerate(zip(document, kept, strict=True))
        return [place for n, (one, other) in pairs for place in lost(one, other, f"{path}/{n}")]
    return [] if document == kept else [path]


def test_there_is_one_for_all_one_for_each_service_and_for_each_subject() -> None:
    assert [d.name for d in DASHBOARDS] == [
        "overview", *SERVICES, "delivery", "transfers", "broker", "database"
    ]  # fmt: skip


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=named)
def test_the_file_is_what_is_declared(dashboard: Dashboard) -> None:
    assert (FOLDER / f"{dashboard.name}.json").read_text() == text_of(dashboard), "make dashboards"


def test_no_file_is_left_over() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == {d.name for d in DASHBOARDS}


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=named)
def test_grafana_knows_every_field(dashboard: Dashboard) -> None:
    document = dashboard.document()
    assert document["schemaVersion"] == SCHEMA_VERSION
    assert lost(document, read_by_grafana(document)) == []


def test_a_field_that_grafana_does_not_know_is_noticed() -> None:
    document = DASHBOARDS[0].document()
    document["panels"][0]["nonsense"] = True
    assert lost(document, read_by_grafana(document)) == ["/panels/0/nonsense"]


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=named)
def test_queries_ask_for_what_there_is(
    dashboard: Dashboard, known: Mapping[str, frozenset[str]], same: frozenset[str]
) -> None:
    faults = {
        f"{panel.title}: {query}": found
        for panel in dashboard.panels
        for query in panel.queries.values()
        if (found := faults_of(query.replace(WINDOW, "5m"), known, same))
    }
    assert faults == {}


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("rate(sharezync_ws_connections[5m]", "it can't be read"),
        ("sharezync_nothing", "there is no sharezync_nothing"),
        ('sharezync_ws_connections{user="x"}', "sharezync_ws_connections has no label user"),
        ("sum by (user) (sharezync_ws_connections)", "nothing here has a label user"),
        ("sum(sharezync_outbox_pending)", "sharezync_outbox_pending is the same in every replica"),
        ("sharezync_outbox_pending", "sharezync_outbox_pending is shown once for each replica"),
    ],
)
def test_a_query_that_is_wrong_is_noticed(
    query: str, fault: str, known: Mapping[str, frozenset[str]], same: frozenset[str]
) -> None:
    assert [each[: len(fault)] for each in faults_of(query, known, same)] == [fault]


def test_grafana_is_told_where_they_are() -> None:
    provisioning = ROOT / "deploy" / "observability" / "grafana" / "provisioning"
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "sharezync.yml").read_text())[
        "providers"
    ]
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())[
        "datasources"
    ]
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["grafana"]
    mounted = [volume.split(":")[1] for volume in compose["volumes"]]
    assert provider["options"]["path"] in mounted
    assert source["type"] == "prometheus"


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=named)
def test_there_is_a_picture(dashboard: Dashboard) -> None:
    picture = OPERATIONS / "dashboards" / f"{dashboard.name}.png"
    assert picture.stat().st_size < 250_000
    assert f"dashboards/{picture.name}" in (OPERATIONS / "observe.md").read_text()
