"""A transfer against a model, whatever its three ends do, and whatever is repeated or lost.

MODEL_EXAMPLES asks for as many stories as one has time for; without it there are a few.
"""

import pytest
from hypothesis.stateful import run_state_machine_as_test

from services.transfer.tests.api.transfer_machine import Transferring
from services.transfer.tests.support.stage import Stage
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_testkit.run_setup import asked_examples, model_settings
from sharezync_testkit.threads import LoopThread
from sharezync_transfer.settings import TransferSettings


@pytest.mark.timeout(600 + 10 * asked_examples())
async def test_a_transfer_goes_as_the_model_says(
    settings: TransferSettings, issuer: TokenIssuer
) -> None:
    loop = LoopThread()
    bounds = model_settings(10, stateful_step_count=25)
    async with Stage.set(settings, issuer) as stage:

        class Story(Transferring):
            def __init__(self) -> None:
                super().__init__(stage, loop)

        await loop.aside(lambda: run_state_machine_as_test(Story, settings=bounds))
