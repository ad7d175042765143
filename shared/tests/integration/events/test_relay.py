"""What a commit put into the outbox is told: soon, at least once, whatever goes away meanwhile."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import msgspec
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.tests.integration.events.outboxes import SCHEMA, LetterSent, Outbox
from shared.tests.integration.events.world import RabbitMQWorld, Taken, frames_of
from sharezync_shared.db.database import Database
from sharezync_shared.events.attempts import RetryPolicy
from sharezync_shared.events.bus import PermanentError, TransientError
from sharezync_shared.events.local import LocalBus
from sharezync_shared.events.outbox import OutboxRow
from sharezync_shared.events.relay import Relay
from sharezync_testkit.chaos import ChaosProxy
from sharezync_testkit.waiting import GIVE_UP_SECONDS, wait_until


@pytest.fixture
async def relay(outbox: Outbox) -> AsyncGenerator[Relay]:
    relay = outbox.relay()
    await relay.start()
    yield relay
    await relay.aclose()


async def until_left(outbox: Outbox, count: int) -> None:
    async with asyncio.timeout(GIVE_UP_SECONDS):
        while await outbox.left() != count:  # noqa: ASYNC110 - the relay's doing
            await asyncio.sleep(0.02)


def ids(rows: list[OutboxRow]) -> list[object]:
    return [row.id for row in rows]


# --------------------------------------------------------------------- straight after the commit


async def test_what_is_announced_is_told_at_once_and_forgotten(outbox: Outbox) -> None:
    relay = outbox.relay()  # not started: there is no sweep to help
    frames = frames_of("channel:1", 2)
    rows = await outbox.commit(3, frames=frames)

    relay.announce(rows, frames)

    assert await relay.flush(GIVE_UP_SECONDS)
    assert outbox.told() == ids(rows[:3])
    assert [each.subject for each in outbox.bus.published] == [row.subject for row in rows[:3]]
    assert outbox.bus.frames == frames
    assert await outbox.left() == 0


async def test_a_fact_is_told_as_it_was_committed(outbox: Outbox, relay: Relay) -> None:
    rows = await outbox.commit(1)
    relay.announce(rows, [])
    await relay.flush(GIVE_UP_SECONDS)
    (announced,) = outbox.bus.published

    await outbox.commit(1, age_seconds=5)
    await wait_until(lambda: len(outbox.bus.published) == 2)

    swept = outbox.bus.published[1]
    assert (announced.source, announced.type) == ("/post", LetterSent.type)
    assert (swept.source, swept.type) == ("/post", LetterSent.type)
    assert announced.time == rows[0].occurred_at
    assert str(LetterSent.decode(swept).letter_id) == swept.subject


async def test_frames_leave_in_the_order_of_their_announcements(outbox: Outbox) -> None:
    relay = outbox.relay()
    frames = frames_of("channel:1", 50)
    for frame in frames:
        relay.announce(await outbox.commit(0, frames=[frame]), [frame])
        relay.signal([frames_of("channel:1", 1)[0]])

    assert await relay.flush(GIVE_UP_SECONDS)
    assert [frame for frame in outbox.bus.frames if frame.seq > 1] == frames[1:]
    assert len(outbox.bus.frames) == 100
    assert await outbox.left() == 0


async def test_signals_that_find_no_bus_are_lost_and_leave_no_trace(outbox: Outbox) -> None:
    relay = outbox.relay()
    outbox.bus.away = True
    relay.signal(frames_of("channel:1", 1))
    assert await relay.flush(GIVE_UP_SECONDS)
    outbox.bus.away = False
    assert await relay.flush(GIVE_UP_SECONDS)
    assert outbox.bus.frames == []


# --------------------------------------------------------------------------------- the sweep


async def test_what_a_dead_process_committed_is_told_by_the_sweep(
    outbox: Outbox, relay: Relay
) -> None:
    frames = frames_of("channel:1", 3)
    rows = await outbox.commit(2, frames=frames)  # and nobody announces it

    await until_left(outbox, 0)

    assert sorted(outbox.told()) == sorted(row.id for row in rows[:2])
    assert outbox.bus.frames == frames


async def test_rows_are_left_to_their_own_process_at_first(outbox: Outbox) -> None:
    relay = outbox.relay(settle_seconds=60)
    await relay.start()
    old = await outbox.commit(1, age_seconds=61)
    await outbox.commit(1)

    await until_left(outbox, 1)
    assert outbox.told() == ids(old)
    await relay.aclose()


async def test_what_comes_into_hand_while_the_sweep_looks_is_left_alone(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow unit commits rows that are old already, and announces them at the same moment."""
    sweep = outbox.relay()._sweep
    claim, in_hand = sweep._claim, set[UUID]()
    await outbox.commit(2, age_seconds=5)

    async def claim_slowly(
        connection: AsyncConnection, settle_seconds: float, skip: set[UUID]
    ) -> list[OutboxRow]:
        claimed = await claim(connection, settle_seconds, skip)
        in_hand.add(claimed[0].id)
        return claimed

    monkeypatch.setattr(sweep, "_claim", claim_slowly)
    await sweep.once(settle_seconds=1, skip=in_hand)
    assert not in_hand & set(outbox.told()), "it was told by two at once"
    assert (len(outbox.told()), await outbox.left()) == (1, 1)


async def test_frames_that_the_log_no_longer_holds_need_no_telling(
    outbox: Outbox, relay: Relay
) -> None:
    await outbox.commit(0, frames=frames_of("channel:1", 2))
    outbox.log.clear()

    await until_left(outbox, 0)
    assert outbox.bus.frames == []


async def test_a_backlog_goes_in_batches_without_waiting_in_between(outbox: Outbox) -> None:
    rows = await outbox.commit(1000, age_seconds=60)
    relay = outbox.relay()
    await relay.start()

    await until_left(outbox, 0)

    assert sorted(outbox.told()) == sorted(row.id for row in rows)
    await relay.aclose()


async def test_replicas_share_a_backlog(outbox: Outbox) -> None:
    rows = await outbox.commit(600, age_seconds=60)
    relays = [outbox.relay() for _ in range(3)]
    await asyncio.gather(*(relay.start() for relay in relays))

    await until_left(outbox, 0)

    assert sorted(outbox.told()) == sorted(row.id for row in rows)  # each of them once
    for relay in relays:
        await relay.aclose()


async def test_a_commit_that_comes_late_is_not_stepped_over(outbox: Outbox, relay: Relay) -> None:
    pool = await outbox.database.pool()
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(
            f"INSERT INTO {SCHEMA}.outbox (id, kind, type, subject, body, occurred_at) "
            "VALUES (gen_random_uuid(), 'fact', 'late.v1', '', '{}', now() - interval '1 minute')"
        )
        later = await outbox.commit(1, age_seconds=30)
        await wait_until(lambda: outbox.told() == ids(later))
        await transaction.commit()

    await until_left(outbox, 0)
    assert outbox.bus.published[1].type == "late.v1"


# ------------------------------------------------------------------------------------- outages


async def test_while_the_bus_is_away_rows_wait_and_then_go(outbox: Outbox, relay: Relay) -> None:
    outbox.bus.away = True
    frames = frames_of("channel:1", 1)
    rows = await outbox.commit(2, frames=frames)
    relay.announce(rows, frames)
    assert not await relay.flush(0.5)
    assert await outbox.left() == 3

    outbox.bus.away = False

    assert await relay.flush(GIVE_UP_SECONDS)
    assert sorted(outbox.told()) == sorted(row.id for row in rows[:2])
    assert outbox.bus.frames == frames
    assert await outbox.left() == 0


async def test_only_what_was_confirmed_is_forgotten(outbox: Outbox) -> None:
    relay = outbox.relay()
    rows = await outbox.commit(3)
    outbox.bus.refused = {rows[1].id}
    relay.announce(rows, [])

    assert not await relay.flush(0.5)
    assert await outbox.left() == 1

    outbox.bus.refused.clear()
    assert await relay.flush(GIVE_UP_SECONDS)
    assert await outbox.left() == 0
    assert len(outbox.told()) == 3


async def test_a_row_that_chokes_the_bus_harms_no_other(outbox: Outbox, relay: Relay) -> None:
    rows = await outbox.commit(5)
    outbox.bus.choked_by = {rows[2].id}
    relay.announce(rows, [])
    swept = await outbox.commit(3, age_seconds=60)
    unreadable = OutboxRow.of_frames(frames_of("channel:1", 1), datetime.now(UTC))
    await outbox.insert([msgspec.structs.replace(unreadable, body=b"\xc1")])

    await until_left(outbox, 2)

    assert set(outbox.told()) == {row.id for row in rows + swept} - {rows[2].id}
    await until_attempted(outbox)


async def until_attempted(outbox: Outbox) -> None:
    """Return once every row that is left has failed at least once."""
    async with asyncio.timeout(GIVE_UP_SECONDS), outbox.database.engine.connect() as connection:
        while (  # noqa: ASYNC110 - the relay's doing
            await connection.scalar(select(func.min(outbox.table.c.attempts))) == 0
        ):
            await asyncio.sleep(0.02)


async def test_more_than_the_bus_confirms_does_not_starve_what_comes_after(
    outbox: Outbox, relay: Relay
) -> None:
    stuck = await outbox.commit(250, age_seconds=60)  # more than one batch
    outbox.bus.refused = {row.id for row in stuck}
    fresh = await outbox.commit(3, age_seconds=30)

    await wait_until(lambda: sorted(outbox.told()) == sorted(row.id for row in fresh))
    assert await outbox.left() == 250


async def test_the_relay_outlives_its_database(outbox: Outbox, fresh_database_url: str) -> None:
    async with ChaosProxy(socket_of(fresh_database_url)) as proxy:
        database = Database(through(proxy, fresh_database_url), SCHEMA, pool_size=3)
        relay = outbox.relay(database=database)
        await relay.start()
        first = await outbox.commit(1, age_seconds=60)
        await wait_until(lambda: outbox.told() == ids(first))

        proxy.refuse()
        announced = await outbox.commit(1)
        relay.announce(announced, [])  # it is told, but can't be forgotten now
        await wait_until(lambda: outbox.told()[1:] == ids(announced))
        swept = await outbox.commit(1, age_seconds=60)
        assert not await relay.flush(0.3)
        proxy.heal()

        await until_left(outbox, 0)
        assert set(outbox.told()) == set(ids(first + announced + swept))
        await relay.aclose()
        await database.aclose()


def socket_of(url: str) -> tuple[str, int] | str:
    """Return where a PostgreSQL listens: a socket's path, or a host and port."""
    parts = urlsplit(url)
    host = parse_qs(parts.query).get("host", [""])[0] or parts.hostname or ""
    port = int(parse_qs(parts.query).get("port", [0])[0] or parts.port or 5432)
    return f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port)


def through(proxy: ChaosProxy, url: str) -> str:
    """Return the URL of the same database by way of the proxy."""
    parts = urlsplit(url)
    login = f"{parts.username}:{parts.password or ''}" if parts.username else "postgres"
    return f"postgresql://{login}@{proxy.host}:{proxy.port}{parts.path}"


# ------------------------------------------------------------------------------ on a real bus


async def test_on_the_local_bus_a_row_lives_until_its_fact_was_handled(outbox: Outbox) -> None:
    bus = LocalBus(retries=RetryPolicy(delays_seconds=(0.2,), max_attempts=5))
    taken = Taken([TransientError("busy"), TransientError("busy")])
    await bus.consume("x.events", [LetterSent.type], taken)
    await bus.start()
    relay = outbox.relay(bus=bus)
    await relay.start()

    relay.announce(await outbox.commit(1), [])
    await wait_until(lambda: taken.calls == 1)
    await wait_until(lambda: relay._left_behind)
    assert await outbox.left() == 1  # a crash now would lose nothing
    relay.wake()

    await until_left(outbox, 0)
    assert taken.calls == 3
    await relay.aclose()
    await bus.aclose()


async def test_on_the_local_bus_a_dead_letter_ends_the_row(outbox: Outbox) -> None:
    bus, taken = LocalBus(), Taken([PermanentError("no")])
    await bus.consume("x.events", [LetterSent.type], taken)
    await bus.start()
    relay = outbox.relay(bus=bus)

    relay.announce(await outbox.commit(1), [])

    assert await relay.flush(GIVE_UP_SECONDS)
    assert await outbox.left() == 0
    assert taken.calls == 1
    await bus.aclose()


async def test_no_committed_fact_is_lost_while_the_brokers_connection_is_cut(
    outbox: Outbox, rabbitmq: RabbitMQWorld
) -> None:
    taken = Taken()
    near = await rabbitmq.bus()
    await near.consume("chat.events", [LetterSent.type], taken)
    url = urlsplit(rabbitmq.url)
    async with ChaosProxy((url.hostname or "", url.port or 5672)) as proxy:
        login = url.netloc.rpartition("@")[0]
        place = f"{login}@{proxy.host}:{proxy.port}" if login else f"{proxy.host}:{proxy.port}"
        far = rabbitmq.bus_at(url._replace(netloc=place).geturl(), connect_seconds=2)
        await far.start()
        relay = outbox.relay(bus=far)
        await relay.start()

        committed = []
        for turn in range(60):
            rows = await outbox.commit(5)
            relay.announce(rows, [])
            committed += rows
            if turn % 15 == 7:
                proxy.reset()

        await until_left(outbox, 0)
        expected = {row.id for row in committed}
        await wait_until(lambda: {each.id for each in taken.envelopes} == expected)
        await relay.aclose()


# ------------------------------------------------------------------------------------- gauges


async def test_the_gauges_tell_how_much_waits_and_how_long(outbox: Outbox) -> None:
    outbox.bus.away = True
    await outbox.commit(4, age_seconds=100)
    relay = outbox.relay()
    await relay.start()

    await wait_until(lambda: outbox.metric("sharezync_outbox_pending") == 4)
    assert 99 < outbox.metric("sharezync_outbox_oldest_seconds") < 200
    result = outbox.metric("sharezync_events_published_total", result="unconfirmed")
    assert result >= 4
    await relay.aclose()


async def test_relays_of_several_services_share_a_registry(outbox: Outbox) -> None:
    registry = CollectorRegistry()
    relay = outbox.relay(registry=registry)
    outbox.relay(registry=registry)

    relay.announce(await outbox.commit(2), [])
    await relay.flush(GIVE_UP_SECONDS)

    labels = {"service": SCHEMA, "result": "confirmed"}
    assert registry.get_sample_value("sharezync_events_published_total", labels) == 2
