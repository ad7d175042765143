"""What a hostile peer costs the product, and an innocent beside it.

    make hostile                        every attack, against one process and against a fleet
    python bench/hostile.py --ways embedded --attacks pongs trailers --seconds 5

Each attack (`load/attacks.py`) runs for a bounded time against the product with its own limits.
Beside it one user reads their profile and posts messages. Printed is what the product has grown by
in memory at most and some seconds after, its file descriptors and CPU, memory that the kernel holds
for sockets, and how long the innocent waited, before and during. Goal 12 of performance.md, and the
exit status: at most 64 MiB grown, and given back; the innocent's p99 at most five times the quiet
one (under 20 ms nobody counts).
"""

import argparse
import asyncio
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles
from typing import Any, Final, Self
from urllib.parse import urlsplit

import httpx
import psutil

sys.path.insert(0, str(Path(__file__).parent))

from load.attack import Target
from load.attacks import ATTACKS
from load.product import Person, people, room
from load.results import keep, show
from load.socket_attacks import REPLAYING

from sharezync_embedded.fleet import Fleet
from sharezync_embedded.one_process import OneProcess

MIB: Final = 2**20
ALLOWED_MIB: Final = 64
ALLOWED_FACTOR: Final = 5
NOTICED_MS: Final = 20.0
"""An innocent's p99 under this is no wait, whatever the quiet one was."""
_EVERY_SECONDS: Final = 0.04
_QUIET_SECONDS: Final = 6.0
_AFTER_SECONDS: Final = 4.0
_SAMPLE_SECONDS: Final = 0.2
_LONG_CHANNELS: Final = 8
_LONG_MESSAGES: Final = 240


@contextmanager
def running(way: str) -> Iterator[tuple[str, list[int], Path]]:
    """Run the product with its own limits; yields its URL, processes and log folder."""
    environment = {"LOG_LEVEL": "info", "LOG_FORMAT": "json", "ACCESS_LOG": "false"}
    with tempfile.TemporaryDirectory(prefix="sharezync-hostile-") as folder:
        data_dir = Path(folder)
        if way == "embedded":
            before = {child.pid for child in psutil.Process().children()}
            one = OneProcess(data_dir, environment=environment)
            one.start()
            try:
                started = {child.pid for child in psutil.Process().children()} - before
                yield one.url, sorted(started), data_dir
            finally:
                one.stop()
        else:
            with Fleet(data_dir, environment=environment) as fleet:
                pids = [
                    each.sighting.pid
                    for replicas in fleet.replicas.values()
                    for each in replicas
                    if each.sighting is not None
                ]
                yield fleet.url, pids, data_dir


class Meter:
    """Our processes' memory, descriptors and CPU; the database and the broker are not ours."""

    def __init__(self, pids: list[int]) -> None:
        self._processes = [psutil.Process(pid) for pid in pids]
        self.most_mib = self.memory_mib()
        self.most_fds = self.fds()
        self.most_kernel_mib = kernel_mib()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def memory_mib(self) -> float:
        """Return the memory of all, what several share counted once (PSS)."""
        return sum(float(each.memory_full_info().pss) for each in self._processes) / MIB

    def fds(self) -> int:
        """Return how many descriptors are open."""
        return sum(each.num_fds() for each in self._processes)

    def cpu_seconds(self) -> float:
        """Return the CPU time used so far."""
        times = [each.cpu_times() for each in self._processes]
        return sum(t.user + t.system for t in times)

    def _look(self) -> None:
        while not self._over.wait(_SAMPLE_SECONDS):
            self.most_mib = max(self.most_mib, self.memory_mib())
            self.most_fds = max(self.most_fds, self.fds())
            self.most_kernel_mib = max(self.most_kernel_mib, kernel_mib())


def kernel_mib() -> float:
    """Return what the kernel holds for TCP sockets of the whole machine (proc(5), sockstat)."""
    for line in Path("/proc/net/sockstat").read_text().splitlines():
        if line.startswith("TCP:"):
            fields = line.split()
            return int(fields[fields.index("mem") + 1]) * os.sysconf("SC_PAGE_SIZE") / MIB
    return 0.0


class Innocent:
    """Somebody who reads their profile and posts, twenty-five times a second."""

    def __init__(self, http: httpx.AsyncClient, channel_id: str) -> None:
        self._http = http
        self._channel = f"/v1/channels/{channel_id}/messages"
        self.waits_ms: list[float] = []
        self.refused = 0

    async def live(self, until: asyncio.Event) -> None:
        """Go on until told to stop."""
        asked: set[asyncio.Task[None]] = set()
        number = 0
        while not until.is_set():
            number += 1
            asked.add(task := asyncio.create_task(self._ask(number)))
            task.add_done_callback(asked.discard)
            await asyncio.sleep(_EVERY_SECONDS)
        await asyncio.gather(*asked)

    async def _ask(self, number: int) -> None:
        began = time.perf_counter()
        try:
            if number % 2:
                answer = await self._http.get("/v1/users/me")
            else:
                answer = await self._http.post(self._channel, json={"text": "a few words"})
            self.refused += answer.is_error
        except httpx.HTTPError:
            self.refused += 1
        self.waits_ms.append((time.perf_counter() - began) * 1000)

    def take(self) -> tuple[float, float, int]:
        """Return p50 and p99 in milliseconds and how many were refused, since the last time."""
        waits, self.waits_ms = self.waits_ms, []
        refused, self.refused = self.refused, 0
        if len(waits) < 2:
            return 0.0, 0.0, refused
        cut = quantiles(waits, n=100, method="inclusive")
        return cut[49], cut[98], refused


async def attack(name: str, target: Target) -> dict[str, Any]:
    """Run one attack in a process of its own; return what the attacker saw."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "load.attacks", name,
        cwd=Path(__file__).parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    printed, _ = await process.communicate(json.dumps(dataclasses.asdict(target)).encode())
    return json.loads(printed) if printed else {}


def _errors(folder: Path) -> int:
    """Return how many ERROR records and tracebacks the logs hold."""
    count = 0
    for log in folder.rglob("*.log"):
        if "postgres" in str(log) or "rabbit" in str(log):
            continue
        text = log.read_text(errors="replace")
        count += text.count('"level":"error"') + text.count('"level": "error"')
        count += text.count("Traceback (most recent call last)")
    return count


async def measure(way: str, names: list[str], seconds: float) -> list[dict[str, Any]]:
    """Run the attacks one after the other against one running product."""
    rows = []
    with running(way) as (url, pids, folder):
        async with httpx.AsyncClient(base_url=url, timeout=60) as http:
            innocent_one, friend, attacker = await people(http, 3)
            channel = await room(http, [innocent_one, friend])
            lair = await room(http, [attacker, friend])
            await _long_texts(http, attacker.token, lair)
            needs_history = not REPLAYING.isdisjoint(names)
            long_channels = await _long_channels(http, attacker) if needs_history else []
            http.headers["Authorization"] = f"Bearer {innocent_one.token}"
            innocent = Innocent(http, channel)
            stop = asyncio.Event()
            life = asyncio.create_task(innocent.live(stop))
            await asyncio.sleep(2)
            innocent.take()
            await asyncio.sleep(_QUIET_SECONDS)
            quiet_p50, quiet_p99, _ = innocent.take()
            for name in names:
                parts = urlsplit(url)
                target = Target(
                    parts.hostname or "", parts.port or 80, seconds, attacker.token, lair,
                    attacker.id, friend.id, friend.token, long_channels,
                )  # fmt: skip
                errors = _errors(folder)
                with Meter(pids) as meter:
                    before_mib, before_cpu = meter.most_mib, meter.cpu_seconds()
                    before_fds, before_kernel = meter.most_fds, meter.most_kernel_mib
                    innocent.take()
                    seen = await attack(name, target)
                    p50, p99, refused = innocent.take()
                    cpu = meter.cpu_seconds() - before_cpu
                    await asyncio.sleep(_AFTER_SECONDS)
                    kept = meter.memory_mib() - before_mib
                row = {
                    "system": f"{way}: {name}",
                    "grown_mib": max(meter.most_mib - before_mib, 0),
                    "kept_mib": max(kept, 0),
                    "kernel_mib": max(meter.most_kernel_mib - before_kernel, 0),
                    "fds": meter.most_fds - before_fds,
                    "cpu_share": cpu / seconds,
                    "quiet_p50_ms": quiet_p50,
                    "quiet_p99_ms": quiet_p99,
                    "p50_ms": p50,
                    "p99_ms": p99,
                    "refused": refused,
                    "errors": _errors(folder) - errors,
                    "seen": seen,
                }
                rows.append(row)
                print(json.dumps(row), flush=True)
            stop.set()
            await life
    return rows


async def _long_texts(http: httpx.AsyncClient, token: str, channel_id: str) -> None:
    """Give searches something to read: 60 messages of 600 words."""
    headers = {"Authorization": f"Bearer {token}"}
    for number in range(60):
        text = " ".join(f"word{(number + each) % 40}" for each in range(600))
        answer = await http.post(
            f"/v1/channels/{channel_id}/messages", json={"text": text}, headers=headers
        )
        answer.raise_for_status()


async def _long_channels(http: httpx.AsyncClient, owner: Person) -> list[str]:
    """Make channels whose last events are nearly as much as may be replayed."""
    headers = {"Authorization": f"Bearer {owner.token}"}
    channels = [await room(http, [owner]) for _ in range(_LONG_CHANNELS)]

    async def fill(channel_id: str) -> None:
        for _ in range(_LONG_MESSAGES):
            answer = await http.post(
                f"/v1/channels/{channel_id}/messages", json={"text": "a" * 15_000}, headers=headers
            )
            answer.raise_for_status()

    await asyncio.gather(*map(fill, channels))
    return channels


def failures(rows: list[dict[str, Any]]) -> list[str]:
    """Return where a goal was missed, a line each."""
    missed = []
    for row in rows:
        limit_ms = max(ALLOWED_FACTOR * row["quiet_p99_ms"], NOTICED_MS)
        if row["grown_mib"] > ALLOWED_MIB:
            missed.append(f"{row['system']}: grown by {row['grown_mib']:.0f} MiB")
        if row["p99_ms"] > limit_ms:
            missed.append(f"{row['system']}: p99 {row['p99_ms']:.0f} ms of {limit_ms:.0f}")
        if row["refused"]:
            missed.append(f"{row['system']}: the innocent was refused {row['refused']} times")
        if row["errors"]:
            missed.append(f"{row['system']}: {row['errors']} errors or tracebacks in the logs")
    return missed


def main() -> None:
    """Run what was asked for; the exit status tells whether the goals were met."""
    parser = argparse.ArgumentParser(description="What a hostile peer costs")
    parser.add_argument("--ways", nargs="*", default=["embedded", "fleet"])
    parser.add_argument("--attacks", nargs="*", default=list(ATTACKS), choices=list(ATTACKS))
    parser.add_argument("--seconds", type=float, default=6)
    asked = parser.parse_args()
    rows = [
        row for way in asked.ways for row in asyncio.run(measure(way, asked.attacks, asked.seconds))
    ]
    columns = ["grown_mib", "kept_mib", "kernel_mib", "fds", "cpu_share", "p50_ms", "p99_ms"]
    show("under hostility", rows, [*columns, "refused", "errors"])
    print(f"\nquiet p50 / p99: {rows[0]['quiet_p50_ms']:.1f} / {rows[0]['quiet_p99_ms']:.1f} ms")
    print(f"kept in {keep('hostile', rows)}")
    if missed := failures(rows):
        raise SystemExit("\n".join(["goals missed:", *missed]))


if __name__ == "__main__":
    main()
