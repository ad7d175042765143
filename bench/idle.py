"""What an idle socket costs: memory of the gateway that holds thousands of them.

    python bench/idle.py
    python bench/idle.py --sockets 1000 --sockets-per-user 10 --watched 10

So many authenticated sockets, told `ready`, on one gateway process of a whole fleet, presence on.
Everybody is in one channel with nine others. First the gateway's memory with the sockets merely
open, then once each of them watches the presence of some of those nine. A few hundred sockets
come before, so that what a process learns once is not counted. Goal 8 of performance.md: at most
25 KiB, 5,000 on one process.

One user may have 20 connections. A process needs a file for each socket: see `ulimit -n`.
"""

import argparse
import asyncio
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
import uvloop

sys.path.insert(0, str(Path(__file__).parent))

from load.product import Person, Running, people, room, running_fleet
from load.results import keep, show
from load.sockets import LeanSocket

ROOM = 10
WARM_UP = 200
_AT_ONCE = 16
_ATTEMPTS = 6
_SPARE_FILES = 500
_SETTLE_SECONDS = 5.0


class Crowd:
    """People, and their sockets on one gateway."""

    def __init__(self, product: Running, persons: list[Person]) -> None:
        self._product = product
        self._persons = persons
        self._gateway = psutil.Process(product.pids["gateway"][0])
        self._sockets: list[LeanSocket] = []
        self._owners: list[int] = []

    def rss_kib(self) -> float:
        """Return the gateway's resident memory."""
        return self._gateway.memory_info().rss / 1024

    async def connect(self, count: int, *, first_person: int, per_user: int) -> None:
        """Open so many sockets, so many for each person; return when all were told `ready`."""
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(number: int) -> LeanSocket:
            token = self._persons[first_person + number // per_user].token
            async with gate:
                return await _connected(self._product.url, f"/ws/idle-{number % per_user}", token)

        self._sockets += await asyncio.gather(*(one(number) for number in range(count)))
        self._owners += [first_person + number // per_user for number in range(count)]

    def watch(self, count: int) -> None:
        """Have each socket watch the presence of so many people of its owner's room."""
        for socket, owner in zip(self._sockets, self._owners, strict=True):
            start = owner - owner % ROOM
            others = [n for n in range(start, min(start + ROOM, len(self._persons))) if n != owner]
            users = [self._persons[number].id for number in others[:count]]
            socket.send({"type": "subscribe", "users": users})

    def lost(self) -> int:
        """Return how many sockets are closed."""
        return sum(socket.lost for socket in self._sockets)

    def close(self) -> None:
        """Hang up everywhere."""
        for socket in self._sockets:
            socket.close()


async def _connected(url: str, path: str, token: str) -> LeanSocket:
    """Open a socket as a client does: who is told to come again later comes again later."""
    for attempt in range(_ATTEMPTS):
        try:
            return await LeanSocket.connect(url, path, token, _nothing)
        except ConnectionError as error:
            if "try later" not in str(error) or attempt == _ATTEMPTS - 1:
                raise
            await asyncio.sleep(1 + attempt)
    raise AssertionError("the last attempt returns or raises")


def _nothing(_marks: int) -> None:
    """Nobody says anything here."""


async def measure(product: Running, asked: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of one run."""
    per_user = asked.sockets_per_user
    warm_people = -(-WARM_UP // per_user)
    warm_people += -warm_people % ROOM  # rooms are not shared with those that count
    count = warm_people + -(-asked.sockets // per_user)
    async with httpx.AsyncClient(base_url=product.url, timeout=60) as http:
        persons = await people(http, count)
        for start in range(0, count, ROOM):
            await room(http, persons[start : start + ROOM])
    crowd = Crowd(product, persons)
    await crowd.connect(WARM_UP, first_person=0, per_user=per_user)
    crowd.watch(asked.watched)
    await asyncio.sleep(_SETTLE_SECONDS)
    before = crowd.rss_kib()
    began = time.monotonic()
    await crowd.connect(asked.sockets, first_person=warm_people, per_user=per_user)
    wall = time.monotonic() - began
    await asyncio.sleep(_SETTLE_SECONDS)
    opened = crowd.rss_kib()
    crowd.watch(asked.watched)
    await asyncio.sleep(_SETTLE_SECONDS)
    watching = crowd.rss_kib()
    lost = crowd.lost()
    crowd.close()
    if lost:
        raise SystemExit(f"{lost} sockets are lost")
    return {
        "system": "sharezync",
        "sockets": asked.sockets,
        "users": count - warm_people,
        "watched": asked.watched,
        "kib_per_socket": (opened - before) / asked.sockets,
        "kib_watching": (watching - before) / asked.sockets,
        "gateway_mib": watching / 1024,
        "connects_s": asked.sockets / wall,
    }


def main() -> None:
    """Run what was asked for, and print it."""
    parser = argparse.ArgumentParser(description="Memory of idle sockets")
    parser.add_argument("--sockets", type=int, default=5000)
    parser.add_argument("--sockets-per-user", type=int, default=10)
    parser.add_argument("--watched", type=int, default=9, help="people whose presence each watches")
    asked = parser.parse_args()
    if not 1 <= asked.sockets_per_user <= 20:
        parser.error("one user may have 20 connections")
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = asked.sockets + WARM_UP + _SPARE_FILES
    if files < needed:
        if most != resource.RLIM_INFINITY and most < needed:
            parser.error(f"{needed} open files are needed, {most} allowed: see `ulimit -n`")
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, most))  # the fleet inherits it
    with running_fleet() as product:
        row = uvloop.run(measure(product, asked))
    print(json.dumps(row))
    columns = ["kib_per_socket", "kib_watching", "gateway_mib", "connects_s"]
    show(f"{asked.sockets} sockets of {row['users']} users", [row], columns)
    print(f"\nkept in {keep('idle', [row])}")


if __name__ == "__main__":
    main()
