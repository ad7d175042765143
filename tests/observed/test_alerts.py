"""Alerts: Prometheus reads them, they are tried, and somebody has written what to do."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from tests.observed.conftest import DEPLOYED, ROOT, RULES, rule_groups
from tests.observed.families import faults_of
from tests.observed.test_metrics import promtool

RUNBOOKS = ROOT / "docs" / "operations" / "runbooks"
ALERTS = {r["alert"]: r for group in rule_groups() for r in group["rules"] if "alert" in r}
HEADINGS = ["## What it means", "## How to see", "## What to do", "## How it was made to happen"]


def tried() -> dict[str, list[list[Any]]]:
    """Return what is expected of each alert, at all times at which it is looked for."""
    found: dict[str, list[list[Any]]] = {}
    for path in (RULES / "tests").glob("*.yml"):
        for test in yaml.safe_load(path.read_text())["tests"]:
            for each in test["alert_rule_test"]:
                found.setdefault(each["alertname"], []).append(each["exp_alerts"])
    return found


def test_prometheus_reads_the_rules() -> None:
    assert promtool("check", "rules", *sorted(RULES.glob("*.yml"))) == ""


def test_alerts_are_raised_when_they_should_be_and_not_else() -> None:
    assert promtool("test", "rules", *sorted((RULES / "tests").glob("*.yml"))) == ""


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_is_tried_both_ways(alert: str) -> None:
    expected = tried()[alert]
    assert any(expected), "nothing raises it"
    assert not all(expected), "nothing leaves it silent"


def test_every_query_asks_for_what_there_is(
    known: Mapping[str, frozenset[str]], same: frozenset[str]
) -> None:
    faults = {
        rule.get("alert") or rule["record"]: found
        for group in rule_groups()
        for rule in group["rules"]
        if (found := faults_of(rule["expr"], known, same))
    }
    assert faults == {}


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_how_urgent_it_is_and_leads_to_its_runbook(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in {"page", "ticket"}
    page = (ROOT / rule["annotations"]["runbook"]).read_text()
    assert f"`{alert}`" in page
    assert re.findall(r"(?m)^## .*$", page) == HEADINGS


def test_no_runbook_is_left_over_and_the_index_has_all() -> None:
    wanted = {rule["annotations"]["runbook"].rpartition("/")[2] for rule in ALERTS.values()}
    pages = {path.name for path in RUNBOOKS.iterdir()} - {"README.md"}
    assert pages == wanted
    index = (RUNBOOKS / "README.md").read_text()
    assert all(f"({page})" in index for page in pages)
    assert all(f"`{alert}`" in index for alert in ALERTS)


def test_the_operator_has_the_same_rules() -> None:
    path = ROOT / "deploy/k8s/components/prometheus-operator/rules.yaml"
    document = yaml.safe_load(path.read_text())
    assert document["kind"] == "PrometheusRule"
    assert document["spec"]["groups"] == list(rule_groups()), "make dashboards"


def test_jobs_are_named_as_queries_have_them() -> None:
    names = {config["job_name"] for config in DEPLOYED["scrape_configs"]}
    asked = {
        name
        for rule in ALERTS.values()
        for jobs in re.findall(r'job=~?"([a-z|]+)"', rule["expr"])
        for name in jobs.split("|")
    }
    assert asked <= names
