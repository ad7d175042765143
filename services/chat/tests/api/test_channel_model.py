"""A channel against a model, whatever people do in it and whatever befalls their devices.

MODEL_EXAMPLES asks for as many stories as one has time for; without it there are a few.
"""

import asyncio

import pytest
from hypothesis.stateful import run_state_machine_as_test

from services.chat.tests.support.channel_machine import Talking
from services.chat.tests.support.world import World
from sharezync_testkit.run_setup import asked_examples, model_settings


@pytest.mark.timeout(120 + 10 * asked_examples())
async def test_every_device_ends_with_what_the_model_says(world: World) -> None:
    bounds = model_settings(16, stateful_step_count=40)
    loop = asyncio.get_running_loop()

    class Story(Talking):
        def __init__(self) -> None:
            super().__init__(world, loop)

    # Hypothesis can't await: it runs in a thread, and the loop serves the service meanwhile.
    await asyncio.to_thread(run_state_machine_as_test, Story, settings=bounds)
