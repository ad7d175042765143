"""Counters and gauges that several buses and relays of one process may share."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

Metric = TypeVar("Metric", bound=MetricWrapperBase)


def shared_metric(
    registry: CollectorRegistry,
    make: Callable[..., Metric],
    name: str,
    documentation: str,
    labels: Sequence[str],
) -> Metric:
    """Return the metric `name` of `registry`, made on the first call.

    Embedded, five services have a relay each over one registry, which takes a name only once.
    """
    # No public way to ask a registry for what it holds; the attribute is as old as the class.
    known = registry._names_to_collectors.get(name)  # noqa: SLF001
    if known is not None:
        return known  # type: ignore[return-value]  # same name, same arguments, same class
    return make(name, documentation, labels, registry=registry)
