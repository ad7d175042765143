"""One socket over lines that break: everything once, in order."""

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from clients.python.tests.support.people import Login, channel_of
from sharezync import Client, Connected, MemoryTokens, Problem, Session, Socket, StreamEventFrame
from sharezync_testkit.chaos import ChaosProxy

LogIn = Callable[..., Awaitable[Login]]
pytestmark = pytest.mark.timeout(120)


def over(line: ChaosProxy, login: Login) -> Client:
    """The same login over a line that can be cut."""
    store = MemoryTokens(login.session.renewal.tokens)
    return Client(f"http://{line.host}:{line.port}", tokens=store)


async def heard(socket: Socket, stream: str, count: int) -> list[StreamEventFrame]:
    """Wait for so many events of a stream."""
    found: list[StreamEventFrame] = []
    async with asyncio.timeout(60):
        async for incoming in socket:
            if isinstance(incoming, StreamEventFrame) and incoming.stream == stream:
                found.append(incoming)
                if len(found) == count:
                    return found
    raise AssertionError


async def say(session: Session, channel_id: str, texts: list[str]) -> None:
    for text in texts:
        await session.chat.send(channel_id, text)


async def test_nothing_is_lost_doubled_or_out_of_order_while_the_line_is_cut(
    log_in: LogIn, line: ChaosProxy
) -> None:
    ada, bob = await log_in("ada"), await log_in("bob")
    channel_id = await channel_of(ada, bob)
    texts = [f"number {n}" for n in range(60)]

    async def cut(socket: Socket, times: int) -> None:
        for _ in range(times):
            before = socket.connections
            line.reset()
            async with asyncio.timeout(60):
                while socket.connections == before:  # noqa: ASYNC110 - nobody else asks
                    await asyncio.sleep(0.01)

    async with over(line, bob) as client, client.session().socket("phone") as socket:
        hearing = asyncio.create_task(heard(socket, f"channel:{channel_id}", len(texts)))
        await asyncio.gather(say(ada.session, channel_id, texts), cut(socket, 4))
        events = await hearing
        connections = socket.connections

    assert [event.data["text"] for event in events] == texts
    assert [b.seq - a.seq for a, b in itertools.pairwise(events)] == [1] * 59
    assert connections >= 5


async def test_a_new_socket_goes_on_where_an_earlier_one_stopped(log_in: LogIn) -> None:
    ada, bob = await log_in("ada"), await log_in("bob")
    channel_id = await channel_of(ada, bob)
    stream = f"channel:{channel_id}"
    async with bob.session.socket("phone") as socket:
        await say(ada.session, channel_id, ["one"])
        first = await heard(socket, stream, 1)
        cursors = socket.cursors
    await say(ada.session, channel_id, ["two", "three"])
    async with bob.session.socket("laptop", cursors=cursors) as socket:
        rest = await heard(socket, stream, 2)
    assert [event.data["text"] for event in first + rest] == ["one", "two", "three"]


async def test_a_command_is_carried_out_once_however_often_its_answer_is_lost(
    log_in: LogIn, line: ChaosProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else ten short connections in a row have it wait longer and longer.
    monkeypatch.setattr("sharezync.realtime.socket._LIVED_SECONDS", 0)
    ada = await log_in("ada")
    channel_id = await channel_of(ada)
    async with over(line, ada) as client, client.session().socket("phone") as socket:
        for number in range(10):
            message = asyncio.create_task(
                socket.command(
                    "send_message",
                    channel_id=channel_id,
                    text=f"number {number}",
                    client_message_id=f"key-{number}",
                )
            )
            await asyncio.sleep(0)
            line.reset()
            async with asyncio.timeout(30):
                assert (await message)["text"] == f"number {number}"
    history = await ada.session.chat.history(channel_id)
    assert [message.text for message in history] == [f"number {n}" for n in range(10)]


async def test_a_message_over_rest_is_said_once_while_the_line_is_cut(
    log_in: LogIn, line: ChaosProxy
) -> None:
    ada = await log_in("ada")
    channel_id = await channel_of(ada)
    texts = [f"number {n}" for n in range(20)]
    chance = random.Random(20261122)
    async with over(line, ada) as client:
        for text in texts:
            saying = asyncio.create_task(client.session().chat.send(channel_id, text))
            for _ in range(2):  # somewhere between before the request and after the answer
                await asyncio.sleep(chance.uniform(0, 0.03))
                line.reset()
            assert (await saying).text == text
    history = await ada.session.chat.history(channel_id)
    assert [message.text for message in history] == texts


async def test_a_socket_brings_a_fresh_token_before_the_old_one_ends(log_in: LogIn) -> None:
    ada = await log_in("ada")
    renewal = ada.session.renewal
    old = renewal.tokens
    soon = msgspec.structs.replace(old, expires_at=time.time() + 3, lives_seconds=5.0)
    store = MemoryTokens(soon)
    async with (
        Client(ada.client.base_url, tokens=store) as client,
        client.session().socket("phone") as socket,
    ):
        channel_id = await channel_of(ada)
        await heard(socket, f"channel:{channel_id}", 1)
        async with asyncio.timeout(30):
            while store.load() == soon:  # noqa: ASYNC110 - a store has no event
                await asyncio.sleep(0.05)
        await say(ada.session, channel_id, ["still here"])
        await heard(socket, f"channel:{channel_id}", 1)
        assert socket.connections == 1


async def test_a_refused_command_is_a_problem(log_in: LogIn) -> None:
    ada = await log_in("ada")
    async with ada.session.socket("phone") as socket:
        with pytest.raises(Problem) as refused:
            await socket.command(
                "transfer_accept", transfer_id="01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10"
            )
        connected = await anext(aiter(socket))
    assert refused.value.code == "not-found"
    assert isinstance(connected, Connected)
    assert connected.user_id == ada.id
