"""What services publish and consume is used, and their READMEs name it."""

import importlib
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from sharezync_gateway.asyncapi.facts import contracts
from sharezync_shared.events.contracts import Event
from sharezync_shared.streams.declared import StreamEvent
from sharezync_shared.work import Consumer

SERVICES = Path(__file__).parents[1] / "services"
CONTRACTS = sorted(contracts(), key=lambda fact: fact.type)


def section(service: str, title: str) -> str:
    text = (SERVICES / service / "README.md").read_text()
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def names(text: str) -> set[str]:
    """Return what is quoted; `.deleted` after `message.created` is `message.deleted`."""
    found: set[str] = set()
    before = ""
    for name in re.findall(r"`([a-z_.0-9]+)`", text):
        before = before.partition(".")[0] + name if name.startswith(".") else name
        found.add(before)
    return found


@pytest.mark.parametrize("fact", CONTRACTS, ids=lambda fact: fact.type)
def test_a_fact_is_published_by_its_service_which_says_so(fact: type[Event]) -> None:
    service = fact.source.strip("/")
    sources = (SERVICES / service / "src").rglob("*.py")
    makes = re.compile(rf"(?<!class )\b{fact.__name__}\(|['\"]{re.escape(fact.type)}['\"]")
    assert any(makes.search(path.read_text()) for path in sources), f"{service} never emits it"
    assert fact.type in names(section(service, "Publishes"))


@pytest.mark.parametrize("service", ["auth", "chat", "transfer", "storage"])
def test_the_facts_that_a_service_consumes_are_those_of_its_readme(service: str) -> None:
    consumers: Mapping[type[Event], Consumer] = importlib.import_module(
        f"sharezync_{service}.consumers"
    ).CONSUMERS
    rows = re.findall(r"(?m)^(?:\| |- )(`.*?)(?: \||: )", section(service, "Consumes"))
    assert names(" ".join(rows)) == {fact.type for fact in consumers}


@pytest.mark.parametrize("service", ["auth", "chat", "transfer"])
def test_the_events_that_clients_hear_are_in_the_readme_of_their_service(service: str) -> None:
    events: tuple[StreamEvent, ...] = importlib.import_module(
        f"sharezync_{service}.usecases.events"
    ).EVENTS
    assert {event.type for event in events} <= names(section(service, "Publishes"))
