"""What metrics of several parts of one process have in common.

Names and help follow Prometheus' conventions (`promtool check metrics` finds nothing); labels have
few values: routes' templates, kinds and outcomes, never ids.
"""

import platform
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeVar

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

Metric = TypeVar("Metric", bound=Collector)

FAST: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Bounds in seconds for what somebody waits for."""
SLOW: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600)
"""Bounds in seconds for what nobody waits for, and outages delay."""


def shared_metric(
    registry: CollectorRegistry,
    make: Callable[..., Metric],
    name: str,
    documentation: str,
    labels: Sequence[str],
    **options: Any,  # noqa: ANN401 - those of `make`
) -> Metric:
    """Return the metric `name` of `registry`, made on the first call.

    Embedded, five services have a relay each over one registry, which takes a name only once.
    """
    # No public way to ask a registry for what it holds; the attribute is as old as the class.
    known = registry._names_to_collectors.get(name)  # noqa: SLF001
    if known is not None:
        return known  # type: ignore[return-value]  # same name, same arguments, same class
    return make(name, documentation, labels, registry=registry, **options)


def show_build(registry: CollectorRegistry, service: str, version: str) -> None:
    """Show which version of a service this process runs, as a series that is always 1."""
    shared_metric(
        registry,
        Gauge,
        "sharezync_build_info",
        "Which version of which service runs here, on which Python; always 1",
        ("service", "version", "python"),
    ).labels(service, version, platform.python_version()).set(1)


class Observations:
    """One series of a `BatchHistogram`."""

    __slots__ = ("_bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """Count `value` so many times."""
        self.counts[bisect_left(self._bounds, value)] += times
        self.sum += value * times


class BatchHistogram(Collector):
    """A histogram that counts a value any number of times at once, without a lock.

    `prometheus_client`'s takes two locks for each value (some 1.5 µs); where one frame goes to a
    thousand sockets, that would be a thousand times. Observe on one thread alone; it is read on
    any, at most a moment behind.
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Sequence[str],
        *,
        registry: CollectorRegistry,
        buckets: Sequence[float] = FAST,
    ) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = labels
        self._bounds = tuple(map(float, buckets))
        self._series: dict[tuple[str, ...], Observations] = {}
        registry.register(self)

    def labels(self, *values: str) -> Observations:
        """Return the series of these values, in the order of the labels."""
        found = self._series.get(values)
        if found is None:
            found = self._series[values] = Observations(self._bounds)
        return found

    def describe(self) -> Iterable[HistogramMetricFamily]:
        """Return what it is called: a registry takes each name once."""
        return [HistogramMetricFamily(self._name, self._documentation, labels=self._labels)]

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """Return all series."""
        (family,) = self.describe()
        for values, series in list(self._series.items()):
            total, buckets = 0, []
            for bound, count in zip((*self._bounds, "+Inf"), list(series.counts), strict=True):
                total += count
                buckets.append((str(bound), float(total)))
            family.add_metric(values, buckets, series.sum)
        return [family]
