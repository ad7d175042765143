"""A service that hangs is told from one that is slow, and found again when it is back."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from itertools import chain, repeat

import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry
from starlette.types import Receive, Scope, Send

from sharezync_shared.calls import breaker as breaker_module
from sharezync_shared.calls.breaker import (
    Breaker,
    Breakers,
    CircuitOpen,
    ServiceHeartbeat,
    State,
    ping,
)
from sharezync_testkit.serving import plain_asgi, serving
from sharezync_testkit.waiting import wait_until

NO = ConnectionError("no")


class Pulse:
    """Answers pings as told, the last one for ever."""

    def __init__(self) -> None:
        self.answers = repeat(True)
        self.asked = 0

    def will(self, *answers: bool) -> None:
        self.answers = chain(answers, repeat(answers[-1]))  # type: ignore[assignment]  # an iterator as well

    async def __call__(self) -> bool:
        self.asked += 1
        return next(self.answers)


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_QUIET_SECONDS", "_PING_SECONDS", "_EVERY_SECONDS"):
        monkeypatch.setattr(breaker_module, name, 0.02)
    monkeypatch.setattr(breaker_module, "_FIRST_SECONDS", 0.02)


@pytest.fixture
def pulse() -> Pulse:
    return Pulse()


@pytest_asyncio.fixture
async def breaker(pulse: Pulse) -> AsyncGenerator[Breaker]:
    breaker = Breaker("chat")
    watching = ServiceHeartbeat(breaker, pulse)
    breaker.look = watching.look
    yield breaker
    await watching.aclose()


async def hangs(breaker: Breaker, pulse: Pulse) -> None:
    pulse.will(False)
    breaker.enter()
    await wait_until(lambda: breaker.state is State.OPEN)


async def test_calls_that_a_hung_service_holds_are_ended_and_new_ones_refused(
    breaker: Breaker, pulse: Pulse
) -> None:
    pulse.will(False)
    with pytest.raises(TimeoutError):
        async with breaker.attempt(OSError):
            await asyncio.Event().wait()
    assert breaker.state is State.OPEN
    with pytest.raises(CircuitOpen):
        breaker.enter()


async def test_a_call_that_moves_bytes_goes_on(breaker: Breaker, pulse: Pulse) -> None:
    upload = breaker.enter(None)
    await hangs(breaker, pulse)
    pulse.will(True)
    await wait_until(lambda: breaker.state is State.HALF_OPEN)
    breaker.succeeded(upload)


async def test_a_service_that_is_slow_and_lives_is_waited_for(
    breaker: Breaker, pulse: Pulse
) -> None:
    async with breaker.attempt(OSError):
        await wait_until(lambda: pulse.asked >= 3 * breaker_module._PINGS)
    assert breaker.state is State.CLOSED


async def test_one_of_several_replicas_that_hangs_opens_nothing(
    breaker: Breaker, pulse: Pulse
) -> None:
    pulse.answers = chain.from_iterable(repeat((False, False, True)))  # type: ignore[assignment]  # as above
    async with breaker.attempt(OSError):
        await wait_until(lambda: pulse.asked >= 4 * breaker_module._PINGS)
    assert breaker.state is State.CLOSED


async def test_time_limits_of_calls_say_nothing_where_it_lives(
    breaker: Breaker, pulse: Pulse
) -> None:
    searches = [breaker.enter() for _ in range(20)]
    await wait_until(lambda: pulse.asked)
    for search in searches:
        breaker.failed(search, TimeoutError())
    assert breaker.state is State.CLOSED


async def test_it_is_found_again_without_a_call(breaker: Breaker, pulse: Pulse) -> None:
    await hangs(breaker, pulse)
    asked = pulse.asked
    await wait_until(lambda: pulse.asked > asked + 3)
    with pytest.raises(CircuitOpen):
        breaker.enter()
    pulse.will(True)
    await wait_until(lambda: breaker.state is State.HALF_OPEN)
    async with breaker.attempt(OSError):
        with pytest.raises(CircuitOpen):
            breaker.enter()
    assert breaker.state is State.CLOSED


async def test_a_probe_that_is_slow_lets_the_others_in_when_the_service_lives(
    breaker: Breaker, pulse: Pulse
) -> None:
    await hangs(breaker, pulse)
    pulse.will(True)
    await wait_until(lambda: breaker.state is State.HALF_OPEN)
    breaker.enter()
    await wait_until(lambda: breaker.state is State.CLOSED)


async def test_calls_that_fail_open_it_though_it_lives(breaker: Breaker, pulse: Pulse) -> None:
    for _ in range(5):
        breaker.failed(breaker.enter(), NO)
    assert breaker.state is State.OPEN
    await wait_until(lambda: breaker.state is State.HALF_OPEN)
    breaker.failed(breaker.enter(), NO)
    assert breaker.state is State.OPEN


async def test_nobody_is_asked_while_nothing_waits(breaker: Breaker, pulse: Pulse) -> None:
    for _ in range(20):
        async with breaker.attempt(OSError):
            await asyncio.sleep(0)
    await wait_until(lambda: all(not t.get_name().startswith("heart") for t in asyncio.all_tasks()))
    assert not pulse.asked


async def test_life_is_an_answer_of_any_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker_module, "_PING_SECONDS", 20)
    async with serving(plain_asgi(http=refuse)) as served:
        assert await ping(f"{served.http}/")
    assert not await ping(served.http), "it has gone"
    monkeypatch.setattr(breaker_module, "_PING_SECONDS", 0.05)
    # As a process that was stopped: the kernel takes the connection, and nobody answers.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert not await ping(f"http://127.0.0.1:{silent.getsockname()[1]}")


async def refuse(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 503, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def test_all_ways_to_a_service_share_one_breaker() -> None:
    breakers = Breakers(CollectorRegistry(), {"chat": "http://127.0.0.1:1"})
    assert breakers.for_service("chat") is breakers.for_service("chat")
    assert breakers.for_service("chat") is not breakers.for_service("auth")
    assert breakers.for_service("chat").look is not None
    assert breakers.for_service("auth").look is None
    await breakers.aclose()
