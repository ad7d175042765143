"""`make observe`: dashboards and alerts against a loaded fleet and a real Prometheus.

Not a part of `make test`: it takes minutes. With PICTURES set to a folder, each dashboard is drawn
there from what Prometheus answers.
"""

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest

from deploy.observability.dashboards.files import DASHBOARDS
from deploy.observability.dashboards.panels import WINDOW
from tests.observed.conftest import Observed
from tests.observed.drills import DRILLS, ENDING, Drill
from tests.observed.load import load

pytestmark = [pytest.mark.timeout(600), pytest.mark.asyncio(loop_scope="module")]

LOADED_SECONDS = float(os.environ.get("LOADED_SECONDS", "90"))
SHOWN = "30s"
RAISED_SECONDS = 150


async def test_every_query_of_every_panel_returns_something(observed: Observed) -> None:
    began = time.time()
    async with load(observed.fleet.url):
        await asyncio.sleep(LOADED_SECONDS)
        empty = [
            f"{dashboard.name}: {panel.title}: {query}"
            for dashboard in DASHBOARDS
            for panel in dashboard.panels
            for query in panel.queries.values()
            if not observed.prometheus.ask(query.replace(WINDOW, SHOWN))
        ]
    if folder := os.environ.get("PICTURES"):
        from tests.observed.pictures import draw  # noqa: PLC0415 - only this needs the library

        for dashboard in DASHBOARDS:
            draw(dashboard, observed.prometheus, Path(folder), (began, time.time()))
    assert empty == []


@pytest.mark.parametrize("drill", DRILLS, ids=lambda drill: drill.__name__)
async def test_what_alerts_tell_of_raises_them(drill: Drill, observed: Observed) -> None:
    waiting = set(DRILLS[drill])
    began = time.time()
    took: dict[str, float] = {}

    async def alerts() -> None:
        async with asyncio.timeout(RAISED_SECONDS):
            while waiting - took.keys():
                states = await asyncio.to_thread(observed.prometheus.alerts)
                for name in waiting - took.keys():
                    if states.get(name) == "firing":
                        took[name] = time.time() - began
                await asyncio.sleep(0.5)

    try:
        await drill(observed, alerts)
    finally:
        figures = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in took.items())
        sys.stdout.write(f"\n{drill.__name__}: {figures}\n")
    assert not waiting - took.keys()
    await _are_over(observed, waiting & ENDING)


async def _are_over(observed: Observed, names: set[str]) -> None:
    """Wait until alerts that look at the present alone are raised no more."""
    began = time.time()
    async with asyncio.timeout(RAISED_SECONDS):
        while names:
            states = await asyncio.to_thread(observed.prometheus.alerts)
            for name in sorted(names - states.keys()):
                sys.stdout.write(f"{name} was over after {time.time() - began:.0f} s\n")
            names = names & states.keys()
            await asyncio.sleep(0.5)
