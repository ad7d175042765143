"""Refresh tokens against a model, whatever people, thieves and time do, in any order.

MODEL_EXAMPLES asks for as many stories as one has time for; without it there are a few.
"""

import pytest
from hypothesis.stateful import run_state_machine_as_test

from services.auth.tests.api.conftest import Auth
from services.auth.tests.api.refresh_machine import IDLE, LONGEST, Refreshing
from sharezync_auth.settings import AuthSettings
from sharezync_testkit.run_setup import asked_examples, model_settings
from sharezync_testkit.threads import LoopThread


@pytest.fixture
def settings(settings: AuthSettings) -> AuthSettings:
    """Nobody waits, keys stay: all that is not the matter here."""
    lifespans = {"session_idle_days": IDLE.days, "session_max_days": LONGEST.days}
    others = {"key_rotation_days": 36_500, "login_free_failures": 1_000_000}
    return settings.model_copy(update={**lifespans, **others})


@pytest.mark.timeout(600 + 10 * asked_examples())
async def test_sessions_live_and_end_as_the_model_says(auth: Auth) -> None:
    loop = LoopThread()
    bounds = model_settings(40, stateful_step_count=30)

    class Story(Refreshing):
        def __init__(self) -> None:
            super().__init__(auth, loop)

    try:
        await loop.aside(lambda: run_state_machine_as_test(Story, settings=bounds))
    finally:
        # Failures of a time that is yet to come would keep others of this address waiting.
        await auth.rows("DELETE FROM auth.throttles")
