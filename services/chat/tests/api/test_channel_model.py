"""A channel against a model, whatever people do in it and whatever befalls their devices.

MODEL_EXAMPLES asks for as many stories as one has time for; without it there are a few, the same
in every run.
"""

import asyncio
import os
from typing import Final

import hypothesis
import pytest
from hypothesis.stateful import run_state_machine_as_test

from services.chat.tests.support.channel_machine import Talking
from services.chat.tests.support.world import World

STORIES: Final = int(os.environ.get("MODEL_EXAMPLES", "0"))


@pytest.mark.timeout(120 + 10 * STORIES)
async def test_every_device_ends_with_what_the_model_says(world: World) -> None:
    bounds = hypothesis.settings(
        max_examples=STORIES or 16,
        stateful_step_count=40,
        derandomize=not STORIES,
        database=None,
        deadline=None,
        # Making a story shorter takes minutes, which only who asked for many has.
        phases=[hypothesis.Phase.generate, *([hypothesis.Phase.shrink] if STORIES else [])],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    loop = asyncio.get_running_loop()

    class Story(Talking):
        def __init__(self) -> None:
            super().__init__(world, loop)

    # Hypothesis can't await: it runs in a thread, and the loop serves the service meanwhile.
    await asyncio.to_thread(run_state_machine_as_test, Story, settings=bounds)
