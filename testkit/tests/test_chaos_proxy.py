"""The proxy that other tests rely on to misbehave."""

import asyncio
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from sharezync_testkit.chaos import ChaosProxy
from sharezync_testkit.waiting import wait_until

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Echo:
    """A server that answers what it is told, and knows how its connections ended."""

    def __init__(self) -> None:
        self.open = 0
        self.resets = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            while chunk := await reader.read(64 * 1024):
                writer.write(chunk)
        except ConnectionResetError:
            self.resets += 1
        finally:
            self.open -= 1
            writer.close()


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture(params=["tcp", "unix"])
async def proxy(
    request: pytest.FixtureRequest, echo: Echo, tmp_path: Path
) -> AsyncGenerator[ChaosProxy]:
    target: tuple[str, int] | str
    if request.param == "tcp":
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        target = ("127.0.0.1", server.sockets[0].getsockname()[1])
    else:
        target = str(tmp_path / "echo")
        server = await asyncio.start_unix_server(echo, target)
    async with server, ChaosProxy(target) as proxy:
        yield proxy
    await wait_until(lambda: echo.open == 0)


async def ask(proxy: ChaosProxy, connection: Connection | None = None) -> bytes:
    reader, writer = connection or await connect(proxy)
    try:
        writer.write(b"hello\n")
        return await reader.readline()
    finally:
        if connection is None:
            writer.transport.abort()


async def connect(proxy: ChaosProxy) -> Connection:
    return await asyncio.open_connection(proxy.host, proxy.port)


async def test_it_passes_everything_on_and_both_ends_may_end(proxy: ChaosProxy) -> None:
    reader, writer = await connect(proxy)
    writer.write(b"x" * 500_000 + b"\n")
    writer.write_eof()
    assert len(await reader.read(-1)) == 500_001
    writer.close()
    await wait_until(lambda: proxy.connections == 0)


async def test_a_reset_is_a_reset_and_new_connections_work(proxy: ChaosProxy) -> None:
    reader, writer = connection = await connect(proxy)
    assert await ask(proxy, connection) == b"hello\n"
    proxy.reset()
    with pytest.raises(ConnectionResetError):
        await reader.readline()
    writer.close()
    assert await ask(proxy) == b"hello\n"


async def test_refusing_lasts_until_it_is_healed(proxy: ChaosProxy) -> None:
    proxy.refuse()
    with pytest.raises(ConnectionResetError):
        await ask(proxy)
    proxy.heal()
    assert await ask(proxy) == b"hello\n"


async def test_a_black_hole_says_nothing_and_loses_nothing(proxy: ChaosProxy) -> None:
    reader, writer = connection = await connect(proxy)
    assert await ask(proxy, connection) == b"hello\n"
    proxy.black_hole()
    writer.write(b"are you there?\n")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await reader.readline()
    proxy.heal()
    assert await reader.readline() == b"are you there?\n"
    writer.transport.abort()


async def test_latency_holds_back_both_directions(proxy: ChaosProxy) -> None:
    proxy.latency(0.05)
    began = time.monotonic()
    assert await ask(proxy) == b"hello\n"
    assert time.monotonic() - began >= 0.1


async def test_an_abandoned_server_believes_in_its_connection(
    proxy: ChaosProxy, echo: Echo
) -> None:
    reader, writer = connection = await connect(proxy)
    assert await ask(proxy, connection) == b"hello\n"
    await proxy.abandon()
    with pytest.raises(ConnectionResetError):
        await reader.readline()
    writer.close()
    assert await ask(proxy) == b"hello\n"
    await wait_until(lambda: echo.open == 1)
    assert echo.resets == 0
