"""A transfer over sockets, whatever is dropped, repeated, damaged or started again meanwhile.

MODEL_EXAMPLES asks for as many stories as one has time for; without it there are a few.
"""

from pathlib import Path

import pytest
from hypothesis.stateful import run_state_machine_as_test

from sharezync_testkit.run_setup import asked_examples, model_settings
from sharezync_testkit.servers import Databases
from sharezync_testkit.threads import LoopThread
from tests.conftest import GENEROUS
from tests.transfer_machine import Transferring
from tests.transfer_stage import House


@pytest.mark.slow
@pytest.mark.timeout(180 + 20 * asked_examples())
async def test_a_file_arrives_whatever_befalls_its_ends_and_the_server(
    databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The least there is: two thirds of the file.
    for name, value in {**GENEROUS, "TRANSFER_WINDOW_BYTES": str(2**20)}.items():
        monkeypatch.setenv(name, value)
    loop = LoopThread()
    bounds = model_settings(5, stateful_step_count=20)
    async with House.opened(databases.new(), tmp_path) as house:
        ada, bob = await house.register("ada"), await house.register("bob")

        class Story(Transferring):
            def __init__(self) -> None:
                super().__init__(house, ada, bob, loop)

        await loop.aside(lambda: run_state_machine_as_test(Story, settings=bounds))
