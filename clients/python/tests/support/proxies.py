"""Proxies as companies have them: one lets no socket through, one changes what it passes on."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

HEAD_END = b"\r\n\r\n"
REFUSAL = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

Serve = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def no_sockets(base_url: str, *, asked: list[str]) -> AsyncGenerator[str]:
    """A proxy that refuses upgrades. Notes the paths of the upgrades that were asked for."""

    async def serve(
        head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if b"\r\nupgrade: websocket" in head.lower():
            asked.append(head.split(b" ", 2)[1].decode())
            writer.write(REFUSAL)
            return
        await _pass_on(base_url, head, reader, writer, _as_it_is)

    async with _serving(serve) as url:
        yield url


@asynccontextmanager
async def one_bad_byte(base_url: str, *, damaged: list[str]) -> AsyncGenerator[str]:
    """A proxy that changes one byte of the first content of a file that it passes on."""

    async def serve(
        head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        passed = 0

        def change(piece: bytes) -> bytes:
            nonlocal passed
            passed += len(piece)
            if damaged or passed < 200_000:
                return piece
            damaged.append(head.split(b" ", 2)[1].decode())
            return piece[:-1] + bytes([piece[-1] ^ 1])

        await _pass_on(base_url, head, reader, writer, change)

    async with _serving(serve) as url:
        yield url


def _as_it_is(piece: bytes) -> bytes:
    return piece


@asynccontextmanager
async def _serving(serve: Serve) -> AsyncGenerator[str]:
    connections: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await serve(await reader.readuntil(HEAD_END), reader, writer)
                await writer.drain()
        finally:
            connections.discard(task)
            writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


async def _pass_on(
    base_url: str,
    head: bytes,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    change: Callable[[bytes], bytes],
) -> None:
    host, _, port = base_url.removeprefix("http://").partition(":")
    up_reader, up_writer = await asyncio.open_connection(host, int(port))

    async def pump(
        source: asyncio.StreamReader,
        to: asyncio.StreamWriter,
        change: Callable[[bytes], bytes] = _as_it_is,
    ) -> None:
        while piece := await source.read(64 * 1024):
            to.write(change(piece))
            await to.drain()

    up_writer.write(head)
    pumps = [
        asyncio.create_task(pump(reader, up_writer)),
        asyncio.create_task(pump(up_reader, writer, change)),
    ]
    try:
        # Either end's closing ends both: nothing here half-closes.
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    finally:
        up_writer.close()  # before anything is awaited: that may be where we are cancelled
        for each in pumps:
            each.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
