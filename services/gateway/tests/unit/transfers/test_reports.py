"""Reports of progress: two a second at most, the last one at once, and none lost."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any
from uuid import UUID

import pytest

from services.gateway.tests.unit.transfers.fakes import FakeCalls, FakeStore
from sharezync_gateway.transfers.core.calls import Caller
from sharezync_gateway.transfers.core.reports import BETWEEN_SECONDS, Reporter
from sharezync_shared.background import TaskSupervisor
from sharezync_shared.contracts.transfer import Standing
from sharezync_shared.ranges import Ranges
from sharezync_testkit.waiting import wait_until

TRANSFER = UUID("01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10")


class SlowCalls(FakeCalls):
    """Calls of which each report takes so many seconds."""

    report_seconds = 0.0

    async def report(self, *where: Any, **what: Any) -> Standing:
        standing = await super().report(*where, **what)
        await asyncio.sleep(self.report_seconds)
        return standing


class Scene:
    def __init__(self) -> None:
        self.calls = SlowCalls(FakeStore())
        self.tasks = TaskSupervisor()
        self.reporter = Reporter(self.calls, self.tasks, TRANSFER, Caller("ada"))

    @property
    def times(self) -> list[float]:
        return [report[0] for report in self.calls.reports]


@pytest.fixture
async def scene() -> AsyncGenerator[Scene]:
    scene = Scene()
    yield scene
    await scene.tasks.wind_down(1)


async def test_what_comes_together_is_reported_together(scene: Scene) -> None:
    for total in range(1, 51):
        scene.reporter.stored(0, total)
        await asyncio.sleep(0)
    scene.reporter.stored(1, 7)
    await wait_until(lambda: scene.times)
    assert scene.calls.reports[0][1] == {0: 50, 1: 7}
    scene.reporter.stored(0, 60)
    scene.reporter.stored(0, 70)
    await wait_until(lambda: len(scene.times) == 2)
    assert scene.calls.reports[1][1] == {0: 70}
    assert scene.times[1] - scene.times[0] >= BETWEEN_SECONDS * 0.9


async def test_what_is_urgent_does_not_wait(scene: Scene) -> None:
    scene.reporter.received(0, Ranges([(0, 0)]))
    await wait_until(lambda: scene.times)
    scene.reporter.received(0, Ranges([(2, 3)]))
    scene.reporter.received(0, Ranges([(1, 1)]), urgent=True)
    await wait_until(lambda: len(scene.times) == 2)
    assert scene.calls.reports[1][2] == {0: [(1, 3)]}
    assert scene.times[1] - scene.times[0] < BETWEEN_SECONDS


async def test_what_could_not_be_said_is_said_when_transfer_is_back(scene: Scene) -> None:
    scene.calls.away = 1
    scene.reporter.received(0, Ranges([(0, 4)]))
    await wait_until(lambda: scene.times)
    assert scene.calls.reports[0][2] == {0: [(0, 4)]}


async def test_totals_never_go_back(scene: Scene) -> None:
    scene.calls.away = 1
    scene.reporter.stored(0, 5)
    scene.reporter.stored(0, 3)
    await wait_until(lambda: scene.times)
    assert scene.calls.reports[-1][1] == {0: 5}


async def test_nothing_runs_when_there_is_nothing_to_say(scene: Scene) -> None:
    scene.reporter.stored(0, 5)
    await wait_until(lambda: scene.times)
    await wait_until(lambda: not len(scene.tasks))


async def test_reports_that_take_long_come_less_often(scene: Scene) -> None:
    scene.calls.report_seconds = 0.05
    scene.reporter.stored(0, 1)
    await wait_until(lambda: scene.times)
    scene.reporter.stored(0, 2)
    await wait_until(lambda: len(scene.times) == 2)
    assert scene.times[1] - scene.times[0] >= 0.7
