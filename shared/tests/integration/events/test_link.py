"""What lives on a connection to the broker is set up, watched, and set up again."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
import structlog
from aio_pika.abc import AbstractConnection

from sharezync_shared.events.amqp.link import AmqpLink, LinkUser
from sharezync_testkit.waiting import GIVE_UP_SECONDS, wait_until


class Waiting(LinkUser):
    """A tenant whose question the broker answers when the test says so."""

    name = "consume chat.events"

    def __init__(self) -> None:
        super().__init__()
        self.answered = asyncio.Event()
        self.set_up = 0

    async def serve(self, connection: AbstractConnection) -> None:
        self.set_up += 1
        await self.answered.wait()
        self.serving.set()
        await asyncio.Event().wait()


@pytest.fixture
async def tenant() -> Waiting:
    return Waiting()


@pytest.fixture
async def link(amqp_url: str, tenant: Waiting) -> AsyncGenerator[AmqpLink]:
    link = AmqpLink(amqp_url, "test", connect_seconds=10, heartbeat_seconds=10, settle_seconds=0.05)
    link.add(tenant)
    yield link
    await link.aclose()


async def test_a_broker_that_does_not_answer_is_told_of_and_waited_for(
    link: AmqpLink, tenant: Waiting
) -> None:
    with structlog.testing.capture_logs() as logs:
        link.start()
        await wait_until(lambda: [each["log_level"] for each in logs].count("warning") >= 2)
        tenant.answered.set()
        async with asyncio.timeout(GIVE_UP_SECONDS):
            await link.until_serving()
        told = [each for each in logs if each["log_level"] == "warning"]
        await asyncio.sleep(0.15)
        assert [each for each in logs if each["log_level"] == "warning"] == told
    assert {(each["event"], each["tenant"]) for each in told} == {
        ("broker_not_responding", "consume chat.events")
    }
    assert [each["seconds"] for each in told[:2]] == [0.05, 0.1]
    assert (tenant.set_up, link.serving) == (1, True)


async def test_a_broker_that_answers_is_not_told_of(link: AmqpLink, tenant: Waiting) -> None:
    tenant.answered.set()
    with structlog.testing.capture_logs() as logs:
        link.start()
        async with asyncio.timeout(GIVE_UP_SECONDS):
            await link.until_serving()
        await asyncio.sleep(0.15)
    assert [each["event"] for each in logs] == ["broker_connected"]
