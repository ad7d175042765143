"""Fixtures for the proxy: one gateway over each adapter, for all tests of a module."""

from collections.abc import AsyncGenerator, Generator

import pytest
import pytest_asyncio

from services.gateway.tests.api.proxy.rig import Adapter, Rig, gateway


@pytest.fixture(scope="module", params=["http", "asgi"])
def adapter(request: pytest.FixtureRequest) -> Adapter:
    kind: Adapter = request.param
    return kind


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig_of_module(adapter: Adapter) -> AsyncGenerator[Rig]:
    async with gateway(adapter) as made:
        yield made


@pytest.fixture
def rig(rig_of_module: Rig) -> Generator[Rig]:
    """The module's gateway, with nothing left of the last test."""
    rig_of_module.reset()
    yield rig_of_module
    rig_of_module.reset()
