"""What counts for readiness, and what is only told of."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from sharezync_shared.health import Dependency, DependencyDown, Health
from sharezync_testkit.waiting import giving_up

LABELS = {"service": "things", "dependency": "store"}


class Store:
    """A dependency that does what it is told."""

    def __init__(self) -> None:
        self.raises: Exception | None = None
        self.hangs = False
        self.asked = 0

    async def check(self) -> bool:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.raises is not None:
            raise self.raises
        return True


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def store() -> Store:
    return Store()


def health_of(
    store: Store,
    registry: CollectorRegistry,
    *,
    gates: dict[str, Callable[[], bool]] | None = None,
    needed_to_start: bool = False,
    every_seconds: float = 5.0,
) -> Health:
    needed = Dependency(check=store.check, degraded="No files", needed_to_start=needed_to_start)
    return Health("things", {"store": needed}, registry, gates=gates, every_seconds=every_seconds)


async def test_what_goes_away_is_told_and_measured_and_does_not_count(
    store: Store, registry: CollectorRegistry
) -> None:
    health = health_of(store, registry, needed_to_start=True)
    assert (await health.readiness()).status == "ok"
    assert registry.get_sample_value("sharezync_dependency_up", LABELS) == 1
    store.raises = DependencyDown("the bucket is gone")
    await health.check()
    found = await health.readiness()
    assert (found.ready, found.status, found.blocked_by) == (True, "degraded", [])
    assert found.dependencies["store"].degraded == "No files"
    assert found.dependencies["store"].detail == "the bucket is gone"
    assert registry.get_sample_value("sharezync_dependency_up", LABELS) == 0


async def test_what_was_never_there_keeps_a_new_process_from_getting_requests(
    store: Store, registry: CollectorRegistry
) -> None:
    store.raises = OSError("postgresql://secret@host")
    health = health_of(store, registry, needed_to_start=True)
    found = await health.readiness()
    assert (found.ready, found.status, found.blocked_by) == (False, "not_ready", ["store"])
    assert found.dependencies["store"].detail == "OSError", "no text that may have secrets"
    store.raises = None
    await health.check()
    assert (await health.readiness()).ready


async def test_what_is_not_needed_to_start_may_be_away_from_the_beginning(
    store: Store, registry: CollectorRegistry
) -> None:
    store.raises = OSError()
    assert (await health_of(store, registry).readiness()).status == "degraded"


async def test_a_gate_of_the_process_itself_counts_at_once(
    store: Store, registry: CollectorRegistry
) -> None:
    staying = [True]
    health = health_of(store, registry, gates={"draining": lambda: staying[0]})
    assert (await health.readiness()).ready
    staying[0] = False
    assert (await health.readiness()).blocked_by == ["draining"]


async def test_an_answer_does_not_wait_for_a_dependency_that_hangs(
    store: Store, registry: CollectorRegistry
) -> None:
    health = health_of(store, registry, every_seconds=0.01)
    async with health.running():
        await until(health.readiness, "ok")
        store.hangs = True
        asked = store.asked
        async with giving_up(lambda: "another check"):
            while store.asked == asked:  # noqa: ASYNC110 - the check runs by itself
                await asyncio.sleep(0.005)
        async with asyncio.timeout(1):  # half of what a check may take
            assert (await health.readiness()).status == "ok"
        await until(health.readiness, "degraded")
    assert registry.get_sample_value("sharezync_dependency_up", LABELS) == 0


async def until(ask: Callable[[], Awaitable[object]], status: str) -> None:
    async with giving_up(lambda: status):
        while getattr(await ask(), "status", None) != status:  # noqa: ASYNC110 - checks run by themselves
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("from_memory", [True, False], ids=["its own link", "asked"])
async def test_what_a_process_has_just_begun_to_connect_to_is_no_warning_yet(
    store: Store, registry: CollectorRegistry, *, from_memory: bool
) -> None:
    broker = Dependency(check=store.check, degraded="Late events", from_memory=from_memory)
    health = Health("things", {"store": broker}, registry)
    store.raises = DependencyDown("not connected")
    with capture_logs() as told:
        await health.check()
        first = [each["event"] for each in told]
        await health.check()
        await health.check()
        store.raises = None
        await health.check()
    assert first == ([] if from_memory else ["dependency_down"])
    assert [each["event"] for each in told] == ["dependency_down", "dependency_up"]
