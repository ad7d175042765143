"""Which metrics there are, with which labels; and which of them a query names."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import promql_parser
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from sharezync_shared.metrics import BatchHistogram

SAME_IN_ALL: Final = "the same in"
"""Stands in the help of a gauge that every replica takes from the database, or from a shared disk:
a sum of them is wrong."""
TARGET: Final = frozenset({"job", "instance"})

ELSEWHERE: Final[Mapping[str, frozenset[str]]] = {
    # Prometheus itself, its client, blackbox_exporter.
    "up": frozenset(),
    "process_cpu_seconds_total": frozenset(),
    "process_resident_memory_bytes": frozenset(),
    "process_open_fds": frozenset(),
    "process_max_fds": frozenset(),
    "probe_ssl_earliest_cert_expiry": frozenset(),
    # RabbitMQ's plugin; `make observe` asks a real one.
    "rabbitmq_detailed_queue_messages": frozenset({"queue", "vhost"}),
    "rabbitmq_detailed_queue_consumers": frozenset({"queue", "vhost"}),
    "rabbitmq_process_resident_memory_bytes": frozenset(),
    "rabbitmq_alarms_memory_used_watermark": frozenset(),
    "rabbitmq_alarms_free_disk_space_watermark": frozenset(),
}
"""What we ask for and don't show, by name, with its labels."""


@dataclass(frozen=True)
class Family:
    """A metric."""

    name: str
    kind: str
    labels: Sequence[str]
    about: str

    def samples(self) -> Mapping[str, frozenset[str]]:
        """Return what queries may name of it, with its labels."""
        labels = frozenset(self.labels)
        if self.kind == "histogram":
            return {
                f"{self.name}_bucket": labels | {"le"},
                f"{self.name}_count": labels,
                f"{self.name}_sum": labels,
            }
        return {self.shown_name: labels}

    @property
    def shown_name(self) -> str:
        """As Prometheus has it."""
        return f"{self.name}_total" if self.kind == "counter" else self.name


def families_in(registry: CollectorRegistry) -> list[Family]:
    """Return the metrics of ours, by name."""
    found = []
    for collector in registry._collector_to_names:
        if isinstance(collector, MetricWrapperBase):
            (family,) = collector.describe()
            labels = collector._labelnames
        elif isinstance(collector, BatchHistogram):
            (family,) = collector.describe()
            labels = tuple(collector._labels)
        else:
            continue
        found.append(Family(family.name, family.type, labels, family.documentation))
    return sorted(found, key=lambda each: each.name)


def faults_of(query: str, known: Mapping[str, frozenset[str]], same: frozenset[str]) -> list[str]:
    """Return what is wrong with a query, in sentences: names, labels, sums of what is the same."""
    try:
        parsed = promql_parser.parse(query)
    except ValueError as error:
        return [f"it can't be read: {error}"]
    faults = []
    names: list[str] = []
    for selector in _selectors(parsed):
        name = selector.name or ""
        names.append(name)
        if name not in known:
            faults.append(f"there is no {name}")
            continue
        allowed = known[name] | TARGET
        strange = {matcher.name for matcher in selector.matchers.matchers} - allowed
        faults += [f"{name} has no label {label}" for label in sorted(strange)]
    grouped = {label for each in _aggregates(parsed) for label in _grouping(each)}
    allowed = TARGET.union(*(known.get(name, frozenset()) for name in names))
    faults += [f"nothing here has a label {label}" for label in sorted(grouped - allowed)]
    for each in _aggregates(parsed):
        summed = {s.name for s in _selectors(each)} & same
        if summed and str(each.op) not in {"max", "min"}:
            faults.append(f"{', '.join(map(str, summed))} is the same in every replica")
    for selector in _selectors(parsed):
        if selector.name in same and not any(
            selector.name in {s.name for s in _selectors(each)} for each in _aggregates(parsed)
        ):
            faults.append(f"{selector.name} is shown once for each replica")
    return faults


def _grouping(aggregate: promql_parser.AggregateExpr) -> list[str]:
    return list(aggregate.modifier.labels) if aggregate.modifier else []


def _selectors(expression: promql_parser.Expr) -> Iterator[promql_parser.VectorSelector]:
    for each in _parts(expression):
        if isinstance(each, promql_parser.VectorSelector):
            yield each


def _aggregates(expression: promql_parser.Expr) -> Iterator[promql_parser.AggregateExpr]:
    for each in _parts(expression):
        if isinstance(each, promql_parser.AggregateExpr):
            yield each


def _parts(expression: promql_parser.Expr) -> Iterator[promql_parser.Expr]:
    yield expression
    for name in ("expr", "lhs", "rhs", "vector_selector"):
        if (part := getattr(expression, name, None)) is not None:
            yield from _parts(part)
    for part in getattr(expression, "args", ()):
        yield from _parts(part)
