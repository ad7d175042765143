"""Fixtures of the tests of transfers on sockets."""

from collections.abc import AsyncGenerator

import pytest

from services.gateway.tests.api.realtime.transfer.scene import Replica, Scene
from services.gateway.tests.api.realtime.world import World


@pytest.fixture
def scene(world: World) -> Scene:
    return Scene(world)


@pytest.fixture
async def replica(scene: Scene) -> AsyncGenerator[Replica]:
    async with scene.replica() as replica:
        yield replica
