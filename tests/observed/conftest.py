"""A fleet with Prometheus beside it, both real; the broker has its own plugin."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from sharezync_embedded.compose import CombinedApp, migrate
from sharezync_shared.asgi.lifespan import running
from sharezync_shared.server.loop_lag import LoopLag
from sharezync_testkit.drilled_fleet import DrilledFleet
from sharezync_testkit.prometheus import Job, PrometheusServer
from sharezync_testkit.servers import Databases
from tests.conftest import GENEROUS
from tests.observed.broker import MeasuredBroker
from tests.observed.families import ELSEWHERE, SAME_IN_ALL, Family, families_in

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "observability" / "rules"
SECRET_KEY = "Wc7kP2vRx9LmZt4QhB8nYs6DfJg3Ue5a"
IN_A_HURRY = {
    "LOGIN_FREE_FAILURES": "100000",
    "LOGIN_FREE_FAILURES_PER_ADDRESS": "100000",
    "JWKS_LIFESPAN_SECONDS": "1",
    "KEY_ROTATION_DAYS": "365",
    "DATABASE_POOL_SIZE": "3",
}
DEPLOYED = yaml.safe_load((ROOT / "deploy/observability/prometheus.yml").read_text())


@dataclass(frozen=True)
class Observed:
    """What runs, and who looks at it."""

    fleet: DrilledFleet
    broker: MeasuredBroker
    prometheus: PrometheusServer
    amqp_url: str
    database_url: str
    folder: Path


def hurried(text: str) -> str:
    """Return rules of which none waits for more than some seconds, that of old JWKS included."""
    text = text.replace("(sharezync_jwks_age_seconds) > 900", "(sharezync_jwks_age_seconds) > 5")
    rules: dict[str, Any] = yaml.safe_load(text)
    for group in rules["groups"]:
        for rule in group["rules"]:
            if "for" in rule:
                rule["for"] = "3s"
    return yaml.safe_dump(rules)


def jobs(fleet: DrilledFleet, broker: MeasuredBroker) -> list[Job]:
    """Return what prometheus.yml has, with the ports of this fleet."""
    (queues,) = (c for c in DEPLOYED["scrape_configs"] if c["job_name"] == "rabbitmq-queues")
    at = [f"127.0.0.1:{broker.metrics_port}"]
    return [
        *(
            Job(name, [f"127.0.0.1:{replica.metrics_port}" for replica in replicas])
            for name, replicas in fleet.replicas.items()
        ),
        Job("rabbitmq", at),
        Job("rabbitmq-queues", at, queues["metrics_path"], queues["params"]),
    ]


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep these tests on one worker: the product is started once to say what it shows."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("observed"))


@pytest.fixture(scope="session")
def registry(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> CollectorRegistry:
    """All that the five services show, once they have been started in one process."""
    url = databases.new()
    folder = tmp_path_factory.mktemp("shown")

    async def start_once() -> CollectorRegistry:
        await migrate(url)
        product = CombinedApp(database_url=url, secret_key=SECRET_KEY, data_dir=folder)
        async with running(product.app):
            LoopLag(product.registry)  # the server's, and there is none here
        return product.registry

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)  # away from anybody's .env
        return asyncio.run(start_once())


@pytest.fixture(scope="session")
def families(registry: CollectorRegistry) -> list[Family]:
    return families_in(registry)


@pytest.fixture(scope="session")
def known(families: list[Family]) -> dict[str, frozenset[str]]:
    """What queries may name, with its labels: of ours, of others, and what is recorded."""
    recorded = {
        rule["record"]: frozenset[str]()
        for group in rule_groups()
        for rule in group["rules"]
        if "record" in rule
    }
    ours = {name: labels for family in families for name, labels in family.samples().items()}
    return {**ELSEWHERE, **recorded, **ours}


@pytest.fixture(scope="session")
def same(families: list[Family]) -> frozenset[str]:
    """The metrics that every replica shows alike."""
    return frozenset(family.name for family in families if SAME_IN_ALL in family.about)


def rule_groups() -> Iterator[dict[str, Any]]:
    for path in sorted(RULES.glob("*.yml")):
        yield from yaml.safe_load(path.read_text())["groups"]


@pytest.fixture(scope="session")
def observed(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Observed]:
    folder = tmp_path_factory.mktemp("observed")
    for path in RULES.glob("*.yml"):
        (folder / path.name).write_text(hurried(path.read_text()))
    broker = MeasuredBroker(folder / "broker")
    amqp_url = broker.start()
    try:
        database_url = databases.new()
        fleet = DrilledFleet(
            folder / "fleet",
            counts={"gateway": 2},
            amqp_url=amqp_url,
            database_url=database_url,
            environment=GENEROUS | IN_A_HURRY,
        )
        with (
            fleet,
            PrometheusServer(
                folder / "prometheus", jobs(fleet, broker), sorted(folder.glob("*.yml"))
            ) as prometheus,
        ):
            yield Observed(fleet, broker, prometheus, amqp_url, database_url, folder / "fleet")
    finally:
        broker.stop(force=True)
