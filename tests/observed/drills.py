"""How each alert was made to happen, against the real product."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final

import aio_pika
import asyncpg
import httpx

from tests.blackbox.people import Person, Socket
from tests.blackbox.test_files import upload
from tests.observed.conftest import Observed

Drill = Callable[[Observed, Callable[[], Awaitable[None]]], Awaitable[None]]
"""Brings it about, awaits its second argument (the alerts), and mends it again."""


async def _sql(observed: Observed, *statements: str) -> None:
    connection = await asyncpg.connect(observed.database_url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def _signal(observed: Observed, name: str, number: int, *signals: signal.Signals) -> None:
    for each in signals:
        observed.fleet.replicas[name][number].signal(each)


@asynccontextmanager
async def _meanwhile(act: Callable[[], Awaitable[object]]) -> AsyncGenerator[None]:
    """Do something again and again while the block runs, whatever becomes of it."""

    async def again() -> None:
        while True:
            with suppress(httpx.HTTPError, AssertionError, OSError):
                await act()
            await asyncio.sleep(0.05)

    task = asyncio.create_task(again())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def chat_is_killed(observed: Observed, alerts: Callable[[], Awaitable[None]]) -> None:
    person = await Person.register(observed.fleet.url, "caller")
    observed.fleet.kill("chat")
    async with _meanwhile(lambda: person.http.get("/v1/memberships")):
        await alerts()
    await asyncio.to_thread(observed.fleet.restart, "chat")
    await person.aclose()


async def the_loop_stands_still(observed: Observed, alerts: Callable[[], Awaitable[None]]) -> None:
    async def halt() -> None:
        _signal(observed, "transfer", 0, signal.SIGSTOP)
        await asyncio.sleep(0.4)
        _signal(observed, "transfer", 0, signal.SIGCONT)

    async with _meanwhile(halt):
        await alerts()
    _signal(observed, "transfer", 0, signal.SIGCONT)


async def a_gateway_stands_still(observed: Observed, alerts: Callable[[], Awaitable[None]]) -> None:
    """One of two hangs for some seconds at a time, while people on the other one write."""
    speaker = await Person.register(observed.fleet.urls["gateway"][0], "speaker")
    channel = await speaker.channel()
    listener = speaker.at(observed.fleet.urls["gateway"][1])
    async with (
        speaker.connected("speaker") as mouth,
        listener.connected("a"),
        listener.connected("b"),
        listener.connected("c"),
    ):

        async def halt() -> None:
            _signal(observed, "gateway", 1, signal.SIGSTOP)
            await _say(mouth, channel, 60)
            await asyncio.sleep(1)
            _signal(observed, "gateway", 1, signal.SIGCONT)
            await asyncio.sleep(1)

        async with _meanwhile(halt):
            await alerts()
        _signal(observed, "gateway", 1, signal.SIGCONT)


async def _say(mouth: Socket, channel: str, times: int) -> None:
    for number in range(times):
        await mouth.command("send_message", channel_id=channel, text=str(number))


async def a_table_is_missing(observed: Observed, alerts: Callable[[], Awaitable[None]]) -> None:
    person = await Person.register(observed.fleet.url, "writer")
    channel = await person.channel()
    await _sql(observed, "ALTER TABLE chat.outbox RENAME TO outbox_away")
    async with _meanwhile(lambda: person.say(channel, "lost?")):
        await alerts()
    await _sql(observed, "ALTER TABLE chat.outbox_away RENAME TO outbox")
    await person.aclose()


async def the_broker_hangs(observed: Observed, alerts: Callable[[], Awaitable[None]]) -> None:
    person = await Person.register(observed.fleet.url, "writer")
    channel = await person.channel()
    pid = observed.broker.pid()
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    async with _meanwhile(lambda: person.say(channel, "later")):
        await alerts()
    os.kill(pid, signal.SIGCONT)
    await person.aclose()


async def facts_go_astray(observed: Observed, alerts: Callable[[], Awaitable[None]]) -> None:
    """One that can't be read, and one that nobody wants."""
    connection = await aio_pika.connect(observed.amqp_url)
    async with connection, connection.channel() as channel:
        exchange = await channel.get_exchange("sharezync.events")
        for key in ("auth.user.deleted.v1", "nobody.listens.v1"):
            await exchange.publish(aio_pika.Message(b"nonsense"), key)
    await alerts()


async def the_broker_is_out_of_memory(
    observed: Observed, alerts: Callable[[], Awaitable[None]]
) -> None:
    observed.broker.control("set_vm_memory_high_watermark", "0.00001")
    await alerts()
    observed.broker.control("set_vm_memory_high_watermark", "0.4")


async def a_token_is_stolen(observed: Observed, alerts: Callable[[], Awaitable[None]]) -> None:
    person = await Person.register(observed.fleet.url, "robbed")
    first = person.tokens["refresh_token"]

    async def refresh(token: str) -> httpx.Response:
        form = {"grant_type": "refresh_token", "refresh_token": token}
        return await person.http.post("/token", data=form)

    second = (await refresh(first)).json()["refresh_token"]
    assert (await refresh(second)).is_success
    assert (await refresh(first)).status_code == 400
    await alerts()
    await person.aclose()


async def auth_is_killed(observed: Observed, alerts: Callable[[], Awaitable[None]]) -> None:
    person = await Person.register(observed.fleet.url, "caller")
    await person.get("/v1/memberships")
    observed.fleet.kill("auth")
    async with _meanwhile(lambda: person.http.get("/v1/memberships")):
        await alerts()
    await asyncio.to_thread(observed.fleet.restart, "auth")
    await person.aclose()


async def the_key_grows_old(observed: Observed, alerts: Callable[[], Awaitable[None]]) -> None:
    move = "UPDATE auth.signing_keys SET state_since = state_since {} interval '50 days'"
    await _sql(observed, move.format("-") + " WHERE state = 'active'")
    await alerts()
    await _sql(observed, move.format("+") + " WHERE state = 'active'")


async def files_are_deleted_from_the_folder(
    observed: Observed, alerts: Callable[[], Awaitable[None]]
) -> None:
    person = await Person.register(observed.fleet.url, "owner")
    await upload(person, content=b"x" * 100_000)
    for path in (observed.folder / "files").rglob("*"):
        if path.is_file() and path.stat().st_size == 100_000:
            path.unlink()
    await alerts()
    await person.aclose()


async def a_user_keeps_much(observed: Observed, alerts: Callable[[], Awaitable[None]]) -> None:
    person = await Person.register(observed.fleet.url, "collector")
    await upload(person)
    used = f"UPDATE storage.usage SET used_bytes = {{}} WHERE user_id = '{person.id}'"
    await _sql(observed, used.format(10 * 2**30 - 1000))
    await alerts()
    await _sql(observed, used.format(300_000))
    await person.aclose()


async def a_table_is_locked(observed: Observed, alerts: Callable[[], Awaitable[None]]) -> None:
    people = [await Person.register(observed.fleet.url, f"waits{n}") for n in range(30)]
    connection = await asyncpg.connect(observed.database_url)

    async def ask() -> None:
        asked: list[asyncio.Future[httpx.Response]] = []
        try:
            async with connection.transaction():
                await connection.execute("LOCK TABLE chat.channels IN ACCESS EXCLUSIVE MODE")
                asked += [
                    asyncio.ensure_future(
                        p.http.post("/v1/channels", json={"name": "x", "kind": "private"})
                    )
                    for p in people
                ]
                await asyncio.sleep(3)
        finally:  # also when the alert is there, and nobody need ask any more
            await asyncio.gather(*asked, return_exceptions=True)

    async with _meanwhile(ask):
        await alerts()
    await connection.close()
    for person in people:
        await person.aclose()


DRILLS: Final[Mapping[Drill, tuple[str, ...]]] = {
    facts_go_astray: ("ShareZyncDeadLetters", "ShareZyncEventsUnrouted"),
    a_token_is_stolen: ("ShareZyncRefreshTokenReused",),
    the_key_grows_old: ("ShareZyncSigningKeyOld",),
    a_user_keeps_much: ("ShareZyncUsersNearQuota",),
    files_are_deleted_from_the_folder: ("ShareZyncContentMissing",),
    a_gateway_stands_still: (
        "ShareZyncDeliveryBudgetSpentFast",
        "ShareZyncDeliveryBudgetSpentSlowly",
    ),
    the_loop_stands_still: ("ShareZyncEventLoopLag",),
    a_table_is_locked: ("ShareZyncDatabasePoolFull",),
    chat_is_killed: (
        "ShareZyncProcessDown",
        "ShareZyncBreakerOpen",
        "ShareZyncNoConsumer",
        "ShareZyncRequestBudgetSpentFast",
        "ShareZyncRequestBudgetSpentSlowly",
    ),
    auth_is_killed: ("ShareZyncJwksStale",),
    a_table_is_missing: ("ShareZyncUnhandledExceptions", "ShareZyncBackgroundWorkFails"),
    the_broker_is_out_of_memory: ("ShareZyncBrokerAlarm",),
    the_broker_hangs: ("ShareZyncOutboxStalled",),
}
"""What was done, and the alerts that it raises."""
ENDING: Final = frozenset(
    {
        "ShareZyncProcessDown",
        "ShareZyncBreakerOpen",
        "ShareZyncNoConsumer",
        "ShareZyncBrokerAlarm",
        "ShareZyncOutboxStalled",
    }
)
"""Those that end with their cause; others look back over minutes or hours."""
