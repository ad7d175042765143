from collections.abc import AsyncGenerator

import pytest

from shared.tests.integration.events.outboxes import SCHEMA, Outbox
from shared.tests.integration.events.world import LocalWorld, RabbitMQWorld, World
from sharezync_shared.db.database import Database


@pytest.fixture(params=["local", "rabbitmq"])
async def world(request: pytest.FixtureRequest) -> AsyncGenerator[World]:
    world: World
    if request.param == "local":
        world = LocalWorld()
    else:
        world = RabbitMQWorld(request.getfixturevalue("amqp_url"))
    yield world
    await world.close()


@pytest.fixture
async def rabbitmq(amqp_url: str) -> AsyncGenerator[RabbitMQWorld]:
    world = RabbitMQWorld(amqp_url)
    yield world
    await world.close()


@pytest.fixture
async def outbox(fresh_database_url: str) -> AsyncGenerator[Outbox]:
    outbox = Outbox(Database(fresh_database_url, SCHEMA, pool_size=8))
    await outbox.create()
    yield outbox
    await outbox.database.aclose()
