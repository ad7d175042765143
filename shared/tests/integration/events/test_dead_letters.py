"""Events that were given up: they can be looked at, replayed and dropped."""

from shared.tests.integration.events.world import (
    QUICK,
    SENT,
    RabbitMQWorld,
    Taken,
    fact,
    publish,
    until_dead,
)
from sharezync_shared.events.bus import PermanentError, TransientError

GIVE_UP = [TransientError(f"failure {number}") for number in range(QUICK.max_attempts)]


async def test_a_dead_letter_says_what_it_was_and_why_it_was_given_up(
    rabbitmq: RabbitMQWorld,
) -> None:
    bus = await rabbitmq.bus()
    taken = Taken([PermanentError("no such thing"), *GIVE_UP])
    await bus.consume("chat.events", [SENT], taken)
    said = fact()

    await bus.publish([said])
    await until_dead(rabbitmq, "chat.events", 1)
    await bus.publish([fact()])
    await until_dead(rabbitmq, "chat.events", 2)

    letter, other = await rabbitmq.dead_letters.show("chat.events")
    assert (letter.id, letter.type, letter.subject) == (said.id, said.type, said.subject)
    assert (letter.reason, letter.attempts) == ("permanent", 1)
    assert letter.error == "PermanentError: no such thing"
    assert letter.dead_at is not None
    assert letter.dead_at >= said.time
    assert (other.reason, other.attempts) == ("exhausted", QUICK.max_attempts)


async def test_dead_letters_can_be_replayed(rabbitmq: RabbitMQWorld) -> None:
    bus = await rabbitmq.bus()
    taken = Taken([PermanentError("a bug"), PermanentError("a bug")])
    await bus.consume("chat.events", [SENT], taken)
    first, second = fact(), fact()
    await bus.publish([first, second])
    await until_dead(rabbitmq, "chat.events", 2)

    assert await rabbitmq.dead_letters.replay("chat.events", ids=[second.id]) == 1
    assert await taken.until(1) == [second]
    assert [letter.id for letter in await rabbitmq.dead_letters.show("chat.events")] == [first.id]

    assert await rabbitmq.dead_letters.replay("chat.events") == 1
    assert (await taken.until(2))[1] == first
    assert await rabbitmq.dead_letters.show("chat.events") == []


async def test_a_replayed_event_gets_all_its_attempts_again(rabbitmq: RabbitMQWorld) -> None:
    bus = await rabbitmq.bus()
    taken = Taken([*GIVE_UP, *GIVE_UP[1:]])
    await bus.consume("chat.events", [SENT], taken)
    said = fact()
    await publish(bus, said)
    await until_dead(rabbitmq, "chat.events", 1)

    await rabbitmq.dead_letters.replay("chat.events")

    assert await taken.until(1) == [said]


async def test_dead_letters_can_be_dropped(rabbitmq: RabbitMQWorld) -> None:
    bus = await rabbitmq.bus()
    taken = Taken([PermanentError("one"), PermanentError("two"), PermanentError("three")])
    await bus.consume("chat.events", [SENT], taken)
    said = [fact(), fact(), fact()]
    await bus.publish(said)
    await until_dead(rabbitmq, "chat.events", 3)

    assert await rabbitmq.dead_letters.drop("chat.events", ids=[said[0].id]) == 1
    assert await rabbitmq.dead_letters.drop("chat.events", limit=1) == 1
    assert len(await rabbitmq.dead_letters.show("chat.events")) == 1
    assert await rabbitmq.dead_letters.drop("chat.events") == 1
    assert await rabbitmq.dead_letters.show("chat.events") == []
    assert taken.envelopes == []
