"""Fixtures of the socket tests."""

from collections.abc import AsyncGenerator

import pytest

from services.gateway.tests.api.realtime.world import Node, User, World


@pytest.fixture
async def world() -> AsyncGenerator[World]:
    world = World()
    yield world
    await world.bus.aclose()


@pytest.fixture
async def node(world: World) -> AsyncGenerator[Node]:
    async with world.node() as node:
        yield node


@pytest.fixture
def ada(world: World) -> User:
    return world.user()


@pytest.fixture
def bob(world: World) -> User:
    return world.user()
