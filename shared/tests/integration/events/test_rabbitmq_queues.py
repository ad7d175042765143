"""What lies on the broker: queues that are deleted, mismatched, misused, or just looked at."""

import asyncio
import os
import socket
import sys
from typing import Any

import aio_pika
import pytest

from shared.tests.integration.events.world import (
    DELETED,
    SENT,
    Ear,
    RabbitMQWorld,
    Taken,
    fact,
    frames_of,
    publish,
    until_dead,
)
from sharezync_shared.events.attempts import RetryPolicy
from sharezync_shared.events.bus import BusUnavailable, PermanentError, TransientError
from sharezync_shared.events.contracts import ChannelDeleted, MemberJoined
from sharezync_shared.events.dead_letters import RabbitMQDeadLetters
from sharezync_shared.streams.frames import Frame
from sharezync_testkit.waiting import wait_until


async def test_a_deleted_queue_is_declared_again_and_consumed(rabbitmq: RabbitMQWorld) -> None:
    bus = await rabbitmq.bus()
    taken = Taken()
    await bus.consume("chat.events", [SENT], taken)

    await rabbitmq.delete_queue(rabbitmq.names.queue("chat.events"))
    await wait_until(lambda: not bus.ready)
    await wait_until(lambda: bus.ready)

    said = fact()
    await bus.publish([said])
    assert await taken.until(1) == [said]


async def test_a_deleted_rung_of_the_ladder_costs_no_event(rabbitmq: RabbitMQWorld) -> None:
    bus = await rabbitmq.bus()
    taken = Taken([TransientError("busy")])
    await bus.consume("chat.events", [SENT], taken)
    await rabbitmq.delete_queue(rabbitmq.names.retry("chat.events", 0.05))

    said = fact()
    await bus.publish([said])

    assert await taken.until(1) == [said]


async def test_unrouted_facts_are_kept_to_be_looked_at(rabbitmq: RabbitMQWorld) -> None:
    bus = await rabbitmq.bus()

    await bus.publish([fact("nobody.wants.this.v1")])

    assert await rabbitmq.depth(rabbitmq.names.unrouted) == 1


async def test_facts_that_may_be_missed_are_no_unrouted_ones(rabbitmq: RabbitMQWorld) -> None:
    publishes = (MemberJoined, ChannelDeleted)
    bus = rabbitmq.bus_at(rabbitmq.url, publishes=publishes)
    await bus.start()

    await bus.publish([fact(each.type) for each in publishes])
    assert await rabbitmq.depth(rabbitmq.names.unrouted) == 1  # what nobody may miss
    assert await rabbitmq.depth(rabbitmq.names.ignored) == 0

    taken = Taken()  # somebody who wants it after all
    await bus.consume("transfer.events", [MemberJoined.type], taken)
    said = fact(MemberJoined.type)
    await bus.publish([said])
    assert await taken.until(1) == [said]


async def test_a_queue_of_unrouted_facts_with_a_limit_of_its_own_is_taken_as_it_is(
    rabbitmq: RabbitMQWorld,
) -> None:
    connection = await aio_pika.connect(rabbitmq.url)
    async with connection, connection.channel() as channel:
        arguments: dict[str, Any] = {"x-queue-type": "quorum", "x-max-length": 10_000}
        await channel.declare_queue(rabbitmq.names.unrouted, durable=True, arguments=arguments)
    bus = rabbitmq.new_bus()
    await bus.start()
    await wait_until(lambda: bus.ready)
    await bus.publish([fact("nobody.wants.this.v1")])
    assert await rabbitmq.depth(rabbitmq.names.unrouted) == 1

    await rabbitmq.delete_queue(rabbitmq.names.unrouted)
    await publish(bus, fact("nobody.wants.this.v1"))
    assert await rabbitmq.depth(rabbitmq.names.unrouted) == 1


async def test_even_the_queue_of_the_unrouted_may_be_deleted(rabbitmq: RabbitMQWorld) -> None:
    bus = await rabbitmq.bus()
    await rabbitmq.delete_queue(rabbitmq.names.unrouted)

    await publish(bus, fact("nobody.wants.this.v1"))

    assert await rabbitmq.depth(rabbitmq.names.unrouted) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"cloudEvents:id": "no uuid", "cloudEvents:source": "/x", "cloudEvents:type": SENT},
        {
            "cloudEvents:id": "0190163d-8694-739b-aea5-966c26f8ad91",
            "cloudEvents:source": "/x",
            "cloudEvents:type": SENT,
            "cloudEvents:time": "2026-11-21T17:00:00",
        },
    ],
    ids=["no attributes", "bad id", "no time zone"],
)
async def test_what_is_no_envelope_becomes_a_dead_letter_unseen(
    rabbitmq: RabbitMQWorld, headers: dict[str, str]
) -> None:
    bus = await rabbitmq.bus()
    taken = Taken()
    await bus.consume("chat.events", [SENT], taken)

    message = aio_pika.Message(b"\xff\x00", headers=dict(headers))
    await rabbitmq.put(rabbitmq.names.queue("chat.events"), message)
    await until_dead(rabbitmq, "chat.events", 1)

    (letter,) = await rabbitmq.dead_letters.show("chat.events")
    assert letter.id is None
    assert letter.reason == "undecodable"
    assert taken.calls == 0
    assert await rabbitmq.dead_letters.drop("chat.events") == 1


async def test_an_event_of_an_unwanted_type_climbs_the_ladder_for_a_newer_replica(
    rabbitmq: RabbitMQWorld,
) -> None:
    old, new = await rabbitmq.bus(), rabbitmq.bus_at(rabbitmq.url)
    of_old, of_new = Taken(), Taken()
    await new.start()
    await new.consume("chat.events", [SENT, DELETED], of_new, prefetch=1)
    await new.aclose()
    await old.consume("chat.events", [SENT], of_old)
    said = fact(DELETED)

    await old.publish([said])
    await until_dead(rabbitmq, "chat.events", 1)

    assert of_old.calls == 0
    newer = await rabbitmq.bus()
    await old.aclose()
    await newer.consume("chat.events", [SENT, DELETED], of_new)
    await rabbitmq.dead_letters.replay("chat.events")
    assert await of_new.until(1) == [said]


async def test_an_event_that_kills_its_consumer_each_time_is_given_up(
    rabbitmq: RabbitMQWorld,
) -> None:
    bus = rabbitmq.bus_at(rabbitmq.url)
    await bus.start()
    await bus.consume("chat.events", [SENT], Taken())
    await bus.aclose()
    await (await rabbitmq.bus()).publish([fact()])

    connection = await aio_pika.connect(rabbitmq.url)
    async with connection, connection.channel() as channel:
        queue = await channel.get_queue(rabbitmq.names.queue("chat.events"))
        for _ in range(21):
            message = await queue.get(fail=False)
            if message is not None:
                await message.reject(requeue=True)
    await until_dead(rabbitmq, "chat.events", 1)

    (letter,) = await rabbitmq.dead_letters.show("chat.events")
    assert (letter.reason, letter.error) == ("broker", "delivery_limit")


async def test_looking_at_dead_letters_never_loses_them(rabbitmq: RabbitMQWorld) -> None:
    bus = await rabbitmq.bus()
    await bus.consume("chat.events", [SENT], Taken([PermanentError("no")]))
    await bus.publish([fact()])
    await until_dead(rabbitmq, "chat.events", 1)

    for _ in range(25):  # beyond RabbitMQ 4's delivery limit
        assert len(await rabbitmq.dead_letters.show("chat.events")) == 1


async def test_a_queue_that_differs_from_ours_stops_its_consumer_alone(
    rabbitmq: RabbitMQWorld,
) -> None:
    connection = await aio_pika.connect(rabbitmq.url)
    async with connection, connection.channel() as channel:
        await channel.declare_queue(rabbitmq.names.queue("chat.events"), durable=True)
    bus = rabbitmq.bus_at(rabbitmq.url, connect_seconds=1)
    chat, transfer = Taken(), Taken()
    await bus.consume("transfer.events", [SENT], transfer)
    await bus.consume("chat.events", [SENT], chat)
    await bus.start()
    assert not bus.ready
    first, second = fact(), fact()
    await bus.publish([first])
    assert await transfer.until(1) == [first]

    await rabbitmq.delete_queue(rabbitmq.names.queue("chat.events"))

    await wait_until(lambda: bus.ready)
    await bus.publish([second])
    assert await chat.until(1) == [second]


async def test_undecodable_frames_are_skipped(rabbitmq: RabbitMQWorld) -> None:
    bus, ear = await rabbitmq.bus(), Ear()
    await bus.receive_frames(ear.on_frames, ear.on_gap)
    connection = await aio_pika.connect(rabbitmq.url)
    async with connection, connection.channel() as channel:
        exchange = await channel.get_exchange(rabbitmq.names.realtime)
        await exchange.publish(aio_pika.Message(b"{}"), "shard.0")

    await bus.send_frames(frames_of("channel:1", 1))

    await wait_until(lambda: ear.frames == frames_of("channel:1", 1))


async def test_frames_too_large_for_one_message_go_in_several_in_order(
    rabbitmq: RabbitMQWorld,
) -> None:
    bus, ear = await rabbitmq.bus(), Ear()
    await bus.receive_frames(ear.on_frames, ear.on_gap)
    frames = [Frame("channel:1", "e", seq, bytes(1_500_000)) for seq in range(1, 8)]

    await bus.send_frames(frames)

    await wait_until(lambda: len(ear.frames) == 7)
    assert [frame.seq for frame in ear.frames] == list(range(1, 8))


async def test_long_rests_have_queues_of_their_own(rabbitmq: RabbitMQWorld) -> None:
    bus = rabbitmq.bus_at(rabbitmq.url, retries=RetryPolicy(delays_seconds=(90.0,)))
    taken = Taken([TransientError("not now")])
    await bus.start()
    await bus.consume("chat.events", [SENT], taken)
    await bus.publish([fact()])

    rung = f"{rabbitmq.names.queue('chat.events')}.retry.90s"
    await wait_until(lambda: taken.calls == 1)
    for _ in range(100):
        if await rabbitmq.depth(rung) == 1:
            break
    else:
        pytest.fail("the event never came to rest")
    await rabbitmq.delete_queue(rung)


# -------------------------------------------------------------------------------- the command


async def test_the_command_lists_replays_and_drops(rabbitmq: RabbitMQWorld) -> None:
    bus = await rabbitmq.bus()
    taken = Taken([PermanentError("no such thing")])
    await bus.consume("chat.events", [SENT], taken)
    said = fact()
    await bus.publish([said])
    await until_dead(rabbitmq, "chat.events", 1)

    listed = await command(rabbitmq, "list")
    assert '"reason":"permanent"' in listed
    assert str(said.id) in listed
    assert await command(rabbitmq, "--id", str(fact().id), "replay") == "0\n"
    assert await command(rabbitmq, "replay") == "1\n"
    assert await taken.until(1) == [said]
    assert await command(rabbitmq, "drop") == "0\n"


async def command(rabbitmq: RabbitMQWorld, *words: str) -> str:
    """Run the command as an operator does; return what it prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "sharezync_shared.events.dead_letters",
        *("--queue", "chat.events", "--prefix", rabbitmq.prefix, *words),
        env={**os.environ, "AMQP_URL": rabbitmq.url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def test_an_unreachable_broker_is_said_so() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        letters = RabbitMQDeadLetters(f"amqp://127.0.0.1:{nobody.getsockname()[1]}/")
        with pytest.raises(BusUnavailable):
            await letters.show("chat.events")
