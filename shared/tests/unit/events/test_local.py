"""What only the bus in process does: confirm when handled, and refuse what does not fit."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from sharezync_shared.events.attempts import RetryPolicy
from sharezync_shared.events.bus import BusUnavailable, Envelope, TransientError
from sharezync_shared.events.contracts import UserDeleted
from sharezync_shared.events.local import LocalBus
from sharezync_shared.events.rabbitmq import RabbitMQBus
from sharezync_shared.ids import uuid7
from sharezync_testkit.waiting import wait_until


class Gate:
    """A handler that waits to be let through, or fails first."""

    def __init__(self, failures: int = 0) -> None:
        self.open = asyncio.Event()
        self.failures = failures
        self.calls = 0

    async def __call__(self, _: Envelope) -> None:
        self.calls += 1
        if self.calls <= self.failures:
            raise TransientError
        await self.open.wait()


def fact() -> Envelope:
    return UserDeleted(user_id=uuid7()).envelope()


@pytest.fixture
async def bus() -> AsyncGenerator[LocalBus]:
    bus = LocalBus(
        retries=RetryPolicy(delays_seconds=(0.05,), max_attempts=3),
        capacity=3,
        confirm_seconds=0.1,
    )
    await bus.start()
    yield bus
    await bus.aclose()


@pytest.fixture
async def patient() -> AsyncGenerator[LocalBus]:
    """One that no slow machine makes give up."""
    bus = LocalBus(capacity=3)
    await bus.start()
    yield bus
    await bus.aclose()


def test_frames_may_be_lost_on_a_network_only(bus: LocalBus) -> None:
    assert not bus.may_lose_frames
    assert RabbitMQBus("amqp://broker.example").may_lose_frames


async def test_publishing_returns_only_when_every_consumer_is_done(bus: LocalBus) -> None:
    one, other = Gate(), Gate()
    await bus.consume("one.events", [UserDeleted.type], one)
    await bus.consume("other.events", [UserDeleted.type], other)
    publishing = asyncio.create_task(bus.publish([fact()]))
    await wait_until(lambda: one.calls == other.calls == 1)

    one.open.set()
    await asyncio.sleep(0.01)
    assert not publishing.done()
    other.open.set()
    await publishing


async def test_what_takes_too_long_is_not_confirmed_until_it_is_done(bus: LocalBus) -> None:
    gate, said = Gate(), fact()
    await bus.consume("one.events", [UserDeleted.type], gate)
    with pytest.raises(BusUnavailable):
        await bus.publish([said])
    with pytest.raises(BusUnavailable):  # at once: it is still on its way
        await bus.publish([said])

    gate.open.set()
    await wait_until(lambda: not bus._open)

    await bus.publish([said])  # just the confirmation
    assert gate.calls == 1


async def test_what_rests_on_the_ladder_is_reported_without_waiting(bus: LocalBus) -> None:
    gate, said, quick = Gate(failures=1), fact(), fact()
    gate.open.set()
    await bus.consume("one.events", [UserDeleted.type], gate)

    with pytest.raises(BusUnavailable) as unavailable:
        await bus.publish([said, quick])

    assert unavailable.value.confirmed == {quick.id}
    await wait_until(lambda: gate.calls == 3)
    await wait_until(lambda: not bus._open)
    await bus.publish([said])
    assert gate.calls == 3


async def test_a_dead_letter_confirms_also_when_it_comes_late(bus: LocalBus) -> None:
    gate, said = Gate(failures=3), fact()
    await bus.consume("one.events", [UserDeleted.type], gate)
    with pytest.raises(BusUnavailable):
        await bus.publish([said])
    await wait_until(lambda: not bus._open)

    await bus.publish([said])

    assert gate.calls == 3


async def test_more_facts_than_fit_are_refused(patient: LocalBus) -> None:
    bus, gate = patient, Gate()
    await bus.consume("one.events", [UserDeleted.type], gate)
    said = [fact() for _ in range(5)]

    publishing = asyncio.create_task(bus.publish(said))
    await wait_until(lambda: gate.calls == 3)
    gate.open.set()
    with pytest.raises(BusUnavailable) as unavailable:
        await publishing

    assert unavailable.value.confirmed == {each.id for each in said[:3]}
    await bus.publish(said[3:])


async def test_closing_leaves_what_was_not_handled_unconfirmed(bus: LocalBus) -> None:
    gate = Gate(failures=1)
    await bus.consume("one.events", [UserDeleted.type], gate)
    with pytest.raises(BusUnavailable):
        await bus.publish([fact()])

    await bus.aclose()
    await asyncio.sleep(0.1)

    assert gate.calls == 1
