"""Which server to stand on: the same application under ours, uvicorn, Hypercorn, Granian, picows.

    python bench/servers.py --python ENV/bin/python [--runs 3] [--servers ours granian]

ENV is an environment with granian, hypercorn and picows; ours and plain uvicorn run in the
repository's. One process each, interleaved. CPU is that of the server process, user and system,
for each unit of work: a REST answer of one KiB (16 connections), a frame of 250 bytes delivered to
one of 500 sockets, a MiB up and down; memory is that of 1,000 idle sockets.
"""

import argparse
import asyncio
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import psutil
import uvloop

sys.path.insert(0, str(Path(__file__).parent))

from load.results import keep, show
from load.server_apps import PIECE, PIECES, SERVERS, TEXT

FOLDER: Final = Path(__file__).parent
REQUESTS, CONNECTIONS = 16_000, 16
MEMBERS, FRAMES = 500, 400
IDLE = 1_000
MIB = 2**20
_FRAME_BYTES: Final = len(TEXT) + 4
_SOCKET: Final = (
    b"GET /ws HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Measured:
    """One server process, and what it has used."""

    def __init__(self, name: str, python: str, port: int) -> None:
        self.name, self.port = name, port
        paths = [str(FOLDER), str(FOLDER.parent / "shared" / "src")]
        self._process = subprocess.Popen(
            [python, "-m", "load.server_apps", name, str(port)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def cpu_seconds(self) -> float:
        times = [each.cpu_times() for each in self._all()]
        return sum(t.user + t.system for t in times)

    def rss_kib(self) -> float:
        return sum(float(each.memory_info().rss) for each in self._all()) / 1024

    def _all(self) -> list[psutil.Process]:
        own = psutil.Process(self._process.pid)
        return [own, *own.children(recursive=True)]

    async def listening(self) -> None:
        async with asyncio.timeout(30):
            while True:
                try:
                    _, writer = await self.connect()
                except OSError:
                    await asyncio.sleep(0.1)
                else:
                    writer.close()
                    return

    async def connect(self) -> Streams:
        return await asyncio.open_connection("127.0.0.1", self.port, limit=4 * MIB)

    def stop(self) -> None:
        for each in reversed(self._all()):
            each.kill()
        self._process.wait()


async def rest(server: Measured) -> float:
    """Return microseconds of CPU for each answer."""

    async def one() -> None:
        reader, writer = await server.connect()
        for _ in range(REQUESTS // CONNECTIONS):
            writer.write(b"GET /json HTTP/1.1\r\nHost: bench\r\nAccept: */*\r\n\r\n")
            await _answer(reader)
        writer.close()

    before = server.cpu_seconds()
    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    return (server.cpu_seconds() - before) / REQUESTS * 1e6


async def _answer(reader: asyncio.StreamReader) -> bytes:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
    return await reader.readexactly(length)


async def upload(server: Measured) -> float:
    """Return milliseconds of CPU for each MiB."""
    reader, writer = await server.connect()
    total = len(PIECE) * PIECES
    before = server.cpu_seconds()
    writer.write(b"PUT /upload HTTP/1.1\r\nHost: bench\r\nContent-Length: %d\r\n\r\n" % total)
    for _ in range(PIECES):
        writer.write(PIECE)
        await writer.drain()
    if int(await _answer(reader)) != total:
        raise RuntimeError("the body did not come whole")
    writer.close()
    return (server.cpu_seconds() - before) / (total / MIB) * 1e3


async def download(server: Measured) -> float:
    """Return milliseconds of CPU for each MiB."""
    reader, writer = await server.connect()
    before = server.cpu_seconds()
    writer.write(b"GET /download HTTP/1.1\r\nHost: bench\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    left = len(PIECE) * PIECES
    while left:
        left -= len(await reader.read(MIB))
    writer.close()
    return (server.cpu_seconds() - before) / (len(PIECE) * PIECES / MIB) * 1e3


async def sockets(server: Measured, count: int) -> list[Streams]:
    opened = []
    for _ in range(count):
        reader, writer = await server.connect()
        writer.write(_SOCKET)
        await reader.readuntil(b"\r\n\r\n")
        opened.append((reader, writer))
    return opened


async def fan_out(server: Measured) -> float:
    """Return microseconds of CPU for each delivery."""
    opened = await sockets(server, MEMBERS)

    async def read_all(reader: asyncio.StreamReader) -> None:
        left = FRAMES * _FRAME_BYTES
        while left > 0:
            piece = await reader.read(MIB)
            if not piece:
                raise RuntimeError("a socket was closed")
            left -= len(piece)

    said = b"go %d" % FRAMES
    before = server.cpu_seconds()
    opened[0][1].write(bytes((0x81, 0x80 | len(said), 0, 0, 0, 0)) + said)
    await asyncio.gather(*(read_all(reader) for reader, _ in opened))
    cpu = server.cpu_seconds() - before
    for _, writer in opened:
        writer.close()
    return cpu / (FRAMES * MEMBERS) * 1e6


async def memory(server: Measured) -> float:
    """Return KiB for each idle socket."""
    warm = await sockets(server, 50)
    before = server.rss_kib()
    opened = await sockets(server, IDLE)
    grown = server.rss_kib() - before
    for _, writer in (*warm, *opened):
        writer.close()
    return grown / IDLE


async def measure(name: str, python: str) -> dict[str, Any]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Measured(name, python, port)
    row: dict[str, Any] = {"system": name}
    try:
        await server.listening()
        works = {"socket_kib": memory, "delivery_us": fan_out}
        if name != "picows":
            works |= {"rest_us": rest, "upload_ms_mib": upload, "download_ms_mib": download}
        for column, work in works.items():
            row[column] = await work(server)
            await asyncio.sleep(0.3)
    finally:
        server.stop()
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", required=True, help="interpreter that has the other servers")
    parser.add_argument("--servers", nargs="+", default=list(SERVERS), choices=list(SERVERS))
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    rows = []
    for _ in range(arguments.runs):
        for name in arguments.servers:
            python = sys.executable if name in {"ours", "uvicorn"} else arguments.python
            started = time.monotonic()
            rows.append(uvloop.run(measure(name, python)))
            print(rows[-1], f"{time.monotonic() - started:.0f} s", flush=True)
    columns = ["rest_us", "delivery_us", "socket_kib", "upload_ms_mib", "download_ms_mib"]
    show("CPU of the server for each unit of work; memory of an idle socket", rows, columns)
    print(f"\nkept in {keep('servers', rows)}")


if __name__ == "__main__":
    main()
