"""One upload against a model, whatever several clients do with it at once.

MODEL_EXAMPLES asks for as many stories as one has time for; without it there are a few, the same
in every run.
"""

import asyncio
import os
from typing import Final

import hypothesis
import pytest
from hypothesis.stateful import run_state_machine_as_test

from services.storage.tests.support import Person, World
from services.storage.tests.upload_machine import Uploading, stalls_when_told
from sharezync_storage.usecases.writers import Writer

STORIES: Final = int(os.environ.get("MODEL_EXAMPLES", "0"))


@pytest.mark.timeout(180 + 10 * STORIES)
async def test_an_upload_is_what_the_model_says_whatever_its_clients_do(
    world: World, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Who was fenced off is told so when it records something, and not by the clock.
    monkeypatch.setattr("sharezync_storage.usecases.writers._RENEW_SECONDS", 3600)
    monkeypatch.setattr(Writer, "stalled", property(stalls_when_told))
    bounds = hypothesis.settings(
        max_examples=STORIES or 10,
        stateful_step_count=30,
        derandomize=not STORIES,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate, *([hypothesis.Phase.shrink] if STORIES else [])],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    loop = asyncio.get_running_loop()

    class Story(Uploading):
        def __init__(self) -> None:
            super().__init__(world, alice, loop)

    # Hypothesis can't await: it runs in a thread, and the loop serves the service meanwhile.
    await asyncio.to_thread(run_state_machine_as_test, Story, settings=bounds)
