"""One upload against a model, whatever several clients do with it at once.

MODEL_EXAMPLES asks for as many stories as one has time for; without it there are a few.
"""

import asyncio

import pytest
from hypothesis.stateful import run_state_machine_as_test

from services.storage.tests.support import Person, World
from services.storage.tests.upload_machine import Uploading, stalls_when_told
from sharezync_storage.usecases.writers import Writer
from sharezync_testkit.run_setup import asked_examples, model_settings


@pytest.mark.timeout(180 + 10 * asked_examples())
async def test_an_upload_is_what_the_model_says_whatever_its_clients_do(
    world: World, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Who was fenced off is told so when it records something, and not by the clock.
    monkeypatch.setattr("sharezync_storage.usecases.writers._RENEW_SECONDS", 3600)
    monkeypatch.setattr(Writer, "stalled", property(stalls_when_told))
    bounds = model_settings(10, stateful_step_count=30)
    loop = asyncio.get_running_loop()

    class Story(Uploading):
        def __init__(self) -> None:
            super().__init__(world, alice, loop)

    # Hypothesis can't await: it runs in a thread, and the loop serves the service meanwhile.
    await asyncio.to_thread(run_state_machine_as_test, Story, settings=bounds)
