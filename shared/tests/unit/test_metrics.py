"""Histograms of batches: they say what prometheus_client's would, and cost less."""

from prometheus_client import CollectorRegistry, Histogram, generate_latest

from sharezync_shared.metrics import BatchHistogram, shared_metric, show_build

BOUNDS = (0.1, 1, 2.5)
VALUES = (0.0, 0.1, 0.10001, 1, 7, 7, 7)


def text_of(registry: CollectorRegistry) -> list[str]:
    return [
        line for line in generate_latest(registry).decode().splitlines() if "_created" not in line
    ]


def test_a_batch_histogram_says_what_the_usual_one_says() -> None:
    ours, usual = CollectorRegistry(), CollectorRegistry()
    batches = BatchHistogram("took_seconds", "Time", ("kind",), registry=ours, buckets=BOUNDS)
    each = Histogram("took_seconds", "Time", ("kind",), registry=usual, buckets=BOUNDS)
    for value in VALUES[:-3]:
        batches.labels("a").observe(value)
    batches.labels("a").observe(7, 3)
    batches.labels("b").observe(2)
    for value in VALUES:
        each.labels("a").observe(value)
    each.labels("b").observe(2)
    assert text_of(ours) == text_of(usual)


def test_parts_of_a_process_share_a_metric() -> None:
    registry = CollectorRegistry()
    one, other = (
        shared_metric(registry, BatchHistogram, "took_seconds", "Time", ("kind",)) for _ in "ab"
    )
    assert one is other


def test_all_services_of_a_process_say_which_version_they_are() -> None:
    registry = CollectorRegistry()
    for service in ("auth", "chat"):
        show_build(registry, service, "1.2.3")
    (family,) = registry.collect()
    assert {(s.labels["service"], s.labels["version"], s.value) for s in family.samples} == {
        ("auth", "1.2.3", 1),
        ("chat", "1.2.3", 1),
    }
