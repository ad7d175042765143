"""Whose turn it is: many connections that have something to say, and one beside them."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from functools import partial

from starlette.types import Receive, Scope, Send

from shared.tests.api.server.wire import Echo
from sharezync_shared.server.turns import Turns
from sharezync_testkit.serving import plain_asgi, serving
from sharezync_testkit.waiting import wait_until

MANY = "127.0.0.2"
ONE = "127.0.0.1"


class Passes:
    """Counts the passes of the event loop."""

    def __init__(self) -> None:
        self.count = 0
        self._loop = asyncio.get_running_loop()
        self._loop.call_soon(self._tick)

    def _tick(self) -> None:
        self.count += 1
        self._loop.call_soon(self._tick)


async def test_addresses_take_turns_and_a_pass_has_one() -> None:
    loop, turns, passes = asyncio.get_running_loop(), Turns(), Passes()
    taken: list[tuple[str, int]] = []

    def take(name: str) -> None:
        taken.append((name, passes.count))

    assert turns.take_now(loop)
    assert not turns.take_now(loop), "somebody has this pass"
    queued = [turns.soon(loop, partial(take, f"many {n}"), MANY) for n in range(3)]
    turns.soon(loop, partial(take, "one"), ONE)
    queued[1].cancel()
    await wait_until(lambda: len(taken) == 3)
    assert [name for name, _ in taken] == ["many 0", "one", "many 2"]
    assert len({at for _, at in taken}) == 3
    await wait_until(lambda: turns.take_now(loop))


async def test_who_asks_again_and_again_goes_behind() -> None:
    loop, turns = asyncio.get_running_loop(), Turns()
    taken: list[str] = []

    def again() -> None:
        taken.append("many")
        turns.soon(loop, again, MANY)

    turns.soon(loop, again, MANY)
    turns.soon(loop, partial(taken.append, "one"), ONE)
    await wait_until(lambda: len(taken) >= 5)
    assert taken[:3] == ["many", "one", "many"]


async def test_a_turn_that_fails_takes_nobody_else_s() -> None:
    loop, turns = asyncio.get_running_loop(), Turns()
    told: list[object] = []
    loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
    taken: list[str] = []
    error = ValueError("of the parser")

    def fail() -> None:
        raise error

    turns.soon(loop, fail, MANY)
    turns.soon(loop, partial(taken.append, "one"), ONE)
    await wait_until(lambda: taken)
    assert told == [error]


async def test_who_has_left_takes_nobody_s_turn() -> None:
    loop, turns, passes = asyncio.get_running_loop(), Turns(), Passes()
    taken: list[int] = []

    def leave() -> bool:
        taken.append(passes.count)
        return False

    for _ in range(40):
        turns.soon(loop, leave, MANY)
    await wait_until(lambda: len(taken) == 40)
    most = max(Counter(taken).values())
    assert 1 < most < 40, "several in a pass, and not all"


async def test_a_hundred_requests_at_once_go_one_by_one_and_others_go_between() -> None:
    echo, passes = Echo(), Passes()
    begun: list[tuple[str, int]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        begun.append((scope["client"][0], passes.count))
        await echo(scope, receive, send)

    async with serving(plain_asgi(http=app)) as served, AsyncExitStack() as stack:

        async def connect(address: str) -> asyncio.StreamWriter:
            _, writer = await asyncio.open_connection(
                "127.0.0.1", served.port, local_addr=(address, 0)
            )
            stack.callback(writer.close)
            return writer

        writers = [await connect(MANY) for _ in range(100)] + [await connect(ONE)]
        await wait_until(lambda: served.server.connections.open == 101)
        for writer in writers:  # before the server is in turn again
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await wait_until(lambda: len(begun) == 101)
    # One is parsed as it is read, one has its turn among the callbacks.
    assert max(Counter(at for _, at in begun).values()) <= 2
    assert [address for address, _ in begun].index(ONE) < 10
