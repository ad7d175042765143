"""Serving and leaving: in one loop where that shows it, in a process of its own for signals."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import IO

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter
from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from sharezync_shared.server import ServerSettings, http_protocol, make_server
from sharezync_shared.server.server import metrics_server
from sharezync_shared.server.server_context import Draining
from sharezync_testkit.serving import plain_asgi, serving
from sharezync_testkit.waiting import GIVE_UP_SECONDS, wait_until


class Slow:
    """Answers when it is allowed to."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/slow":
            self.asked.set()
            await self.may_answer.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


async def test_draining_begins_before_anything_is_closed() -> None:
    draining = Draining()
    seen: list[tuple[bool, int]] = []
    async with serving(plain_asgi(http=Slow()), draining=draining) as served:
        assert draining.staying

        async def look(seconds: float) -> None:
            async with httpx.AsyncClient() as client:
                answer = await client.get(served.http)
            seen.append((draining.staying, answer.status_code))

        draining.add("look", look)
        await served.stop()
    assert seen == [(False, 200)]


async def test_sockets_can_be_told_goodbye_by_a_step() -> None:
    draining = Draining()
    app = plain_asgi(websocket=echo)
    async with serving(app, draining=draining) as served, connect(served.ws) as client:

        async def goodbye(seconds: float) -> None:
            await client.send("bye")
            assert await client.recv() == "bye"

        draining.add("goodbye", goodbye)
        await served.stop()
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 1012  # whom nobody told is told by uvicorn


async def test_steps_run_in_order_and_those_after_requests_wait_for_the_last_answer() -> None:
    draining, slow, told = Draining(), Slow(), list[str]()

    def step(name: str) -> object:
        async def hook(seconds: float) -> None:
            assert 0 < seconds <= 5
            told.append(name)
            slow.may_answer.set()

        return hook

    async with serving(plain_asgi(http=slow), draining=draining) as served:
        draining.add("flush", step("flush"), after_requests=True)  # type: ignore[arg-type]
        draining.add("one", step("one"))  # type: ignore[arg-type]
        draining.add("two", step("two"))  # type: ignore[arg-type]
        async with httpx.AsyncClient() as client:

            async def ask() -> int:
                answer = await client.get(served.http + "/slow")
                told.append("answered")
                return answer.status_code

            asking = asyncio.create_task(ask())
            await slow.asked.wait()
            await served.stop()
            assert await asking == 200
    assert told[:2] == ["one", "two"]
    assert sorted(told[2:]) == ["answered", "flush"]


async def test_a_request_in_flight_is_answered_and_new_ones_are_refused() -> None:
    slow = Slow()
    async with serving(plain_asgi(http=slow)) as served, httpx.AsyncClient() as client:
        asking = asyncio.create_task(client.get(served.http + "/slow"))
        await slow.asked.wait()
        stopping = asyncio.create_task(served.stop())
        await wait_until(lambda: served.draining.active)
        refused = False
        async with asyncio.timeout(GIVE_UP_SECONDS):
            while not refused:
                try:
                    await client.get(served.http + "/")
                except httpx.ConnectError:
                    refused = True
        slow.may_answer.set()
        assert (await asking).text == "done"
        await stopping


async def test_a_step_that_fails_does_not_stop_the_next_one_and_one_that_hangs_is_cut_off() -> None:
    draining, told = Draining(), list[str]()

    async def fails(seconds: float) -> None:
        raise RuntimeError("no")

    async def hangs(seconds: float) -> None:
        await asyncio.Event().wait()

    async def works(seconds: float) -> None:
        told.append("worked")

    draining.add("fails", fails)
    draining.add("works", works)
    draining.add("hangs", hangs)
    async with serving(plain_asgi(http=Slow()), draining=draining, drain_seconds=0.2) as served:
        await served.stop()
    assert told == ["worked"]


async def test_the_drain_takes_no_longer_than_it_may() -> None:
    slow = Slow()
    loop = asyncio.get_running_loop()
    app = plain_asgi(http=slow)
    async with serving(app, drain_seconds=0.2) as served, httpx.AsyncClient() as client:
        asking = asyncio.create_task(client.get(served.http + "/slow"))
        await slow.asked.wait()
        started = loop.time()
        await served.stop()
        assert loop.time() - started < 4  # the drain, and uvicorn's own last second
        asking.cancel()
        with contextlib.suppress(asyncio.CancelledError, httpx.HTTPError):
            await asking


async def test_heads_over_the_limit_are_refused_with_a_problem() -> None:
    async with serving(plain_asgi(http=Slow())) as served, httpx.AsyncClient() as client:
        answer = await client.get(served.http, headers={"x-long": "x" * 20_000})
        assert answer.status_code == 200
        answer = await client.get(served.http, headers={"x-long": "x" * 300_000})
        assert answer.status_code == 431
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "head-too-large"


async def test_what_is_not_http_is_refused_with_a_problem() -> None:
    async with serving(plain_asgi(http=Slow())) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(b"\x16\x03\x01 what is this\r\n\r\n")
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b'"code":"malformed"' in answer
        writer.close()


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHos"])
async def test_a_connection_whose_head_never_ends_is_cut_off(
    sent: bytes,
) -> None:
    async with serving(plain_asgi(http=Slow()), head_seconds=0.05) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(sent)
        async with asyncio.timeout(GIVE_UP_SECONDS):
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
        writer.close()


async def test_a_slow_second_head_is_cut_off_and_an_idle_connection_is_not() -> None:
    request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    async with serving(plain_asgi(http=Slow()), head_seconds=0.5) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        for _ in range(2):
            writer.write(request)
            async with asyncio.timeout(GIVE_UP_SECONDS):
                await reader.readuntil(b"done")
                await reader.readuntil(b"0\r\n\r\n")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.7):
                    await reader.read(1)
        writer.write(request[:-4])
        async with asyncio.timeout(GIVE_UP_SECONDS):
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
        writer.close()


async def test_metrics_are_served_on_their_own_port() -> None:
    registry = CollectorRegistry()
    Counter("sharezync_seen", "Seen", registry=registry).inc()
    async with metrics_server("127.0.0.1", 0, registry) as port, httpx.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{port}/metrics")
        assert "sharezync_seen_total 1.0" in answer.text
    with pytest.raises(httpx.ConnectError):
        async with httpx.AsyncClient() as client:
            await client.get(f"http://127.0.0.1:{port}/metrics")


async def test_a_loop_that_stood_still_is_seen() -> None:
    registry = CollectorRegistry()
    server = make_server(
        plain_asgi(), ServerSettings(port=0), draining=Draining(), registry=registry
    )

    def over(seconds: str) -> float:
        name = "sharezync_event_loop_lag_seconds"
        slow = registry.get_sample_value(f"{name}_bucket", {"le": seconds}) or 0
        return (registry.get_sample_value(f"{name}_count") or 0) - slow

    await server.on_tick(1)
    await asyncio.sleep(0.1)
    await server.on_tick(2)
    assert over("30.0") == 0
    time.sleep(0.4)  # noqa: ASYNC251 - this is what it is about
    await server.on_tick(3)
    assert over("0.25") >= 1


PROGRAM = """
    import asyncio
    from sharezync_shared.server.server_context import Draining
    from sharezync_shared.server import ServerSettings, run, serve
    from sharezync_testkit.serving import plain_asgi

    async def main():
        draining = Draining()

        async def goodbye(seconds):
            print("draining", flush=True)
            await asyncio.sleep(HOOK_SECONDS)
            print("drained", flush=True)

        draining.add("goodbye", goodbye)
        await serve(
            plain_asgi(http=None), ServerSettings(drain_seconds=30), draining=draining,
            on_listening=lambda port: print("listening", type(asyncio.get_running_loop()).__module__, flush=True),
        )
        print("put away", flush=True)

    run(main())
"""  # noqa: E501 - a program


class Program:
    """`PROGRAM` in a process of its own."""

    def __init__(self, hook_seconds: float) -> None:
        code = textwrap.dedent(PROGRAM).replace("HOOK_SECONDS", str(hook_seconds))
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(http_protocol.__file__).parents[2])},
        )
        assert self.process.stdout
        self.out: IO[str] = self.process.stdout

    async def says(self, words: str) -> str:
        """Read on to the line that starts with `words`."""
        async with asyncio.timeout(30):
            while line := await asyncio.to_thread(self.out.readline):
                if line.startswith(words):
                    return line.strip()
        raise AssertionError(f"it ended without saying {words!r}")

    async def exit_status(self) -> int:
        return await asyncio.to_thread(self.process.wait, 10)


@pytest.fixture
def start(request: pytest.FixtureRequest) -> type[Program]:
    class Started(Program):
        def __init__(self, hook_seconds: float) -> None:
            super().__init__(hook_seconds)
            request.addfinalizer(self._end)

        def _end(self) -> None:
            self.process.kill()
            self.process.wait(10)
            self.out.close()

    return Started


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_and_the_caller_puts_away_the_rest(
    start: type[Program], number: signal.Signals
) -> None:
    program = start(0.0)
    assert (await program.says("listening")).endswith("uvloop")
    program.process.send_signal(number)
    await program.says("drained")
    await program.says("put away")
    assert await program.exit_status() == 0


async def test_a_second_signal_ends_the_drain(start: type[Program]) -> None:
    program = start(25.0)
    await program.says("listening")
    program.process.send_signal(signal.SIGTERM)
    await program.says("draining")
    program.process.send_signal(signal.SIGTERM)
    await program.says("put away")
    assert await program.exit_status() == 0


async def test_wait_until_gives_up() -> None:
    with pytest.raises(AssertionError, match=r"0.02 s: .*wait_until\(lambda: False"):
        await wait_until(lambda: False, within_seconds=0.02)
