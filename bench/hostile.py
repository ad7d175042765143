"""What a hostile peer costs the product, and an innocent beside it.

    make hostile                        every attack, against one process and against a fleet
    python bench/hostile.py --ways embedded --attacks pongs trailers --seconds 5

Each attack (`load/attacks.py`) runs for a bounded time against the product with its own limits.
Beside it one user reads their profile and posts messages (`load/innocent.py`). Printed is what the
product has grown by in memory at most and some seconds after, its file descriptors, CPU for each
process, what waits in the kernel, what was logged as an error, and how long the innocent waited:
during the attack and right before it, for as long. Goal 12 of performance.md, and the exit status:
at most 64 MiB grown, and given back; the innocent's p99 at most five times the quiet one (under
20 ms nobody counts). An attack that misses a goal is run again, and the medians of all its rounds
count: a machine that is busy with other things can spoil one round.
"""

import argparse
import asyncio
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

sys.path.insert(0, str(Path(__file__).parent))

from load.attack import Target
from load.attacks import ATTACKS
from load.innocent import InnocentProcess
from load.product import Person, people, room
from load.results import keep, show
from load.socket_attacks import REPLAYING
from load.watching import Meter, check_that_errors_count, errors

from sharezync_embedded.fleet import Fleet
from sharezync_testkit.one_process import OneProcess

ALLOWED_MIB: Final = 64
ALLOWED_KEPT_MIB: Final = 16
"""Python's allocator and the caches of what was used for the first time keep a little."""
ALLOWED_FACTOR: Final = 5
NOTICED_MS: Final = 20.0
"""An innocent's p99 under this is no wait, whatever the quiet one was."""
_AFTER_SECONDS: Final = 12.0
_FIRST_SECONDS: Final = 3.0
_LONG_CHANNELS: Final = 8
_LONG_MESSAGES: Final = 240
_ENVIRONMENT: Final = {
    "LOG_LEVEL": "info",
    "LOG_FORMAT": "json",
    "ACCESS_LOG": "false",
    "ACCESS_TOKEN_EXPIRE_MINUTES": "120",  # nobody here logs in again
}
"""All other settings are those that the product has."""


@contextmanager
def running(way: str) -> Iterator[tuple[str, dict[str, int], Path]]:
    """Run the product with its own limits; yields its URL, its processes and its folder."""
    with tempfile.TemporaryDirectory(prefix="sharezync-hostile-") as folder:
        data_dir = Path(folder)
        if way == "embedded":
            one = OneProcess(data_dir, environment=_ENVIRONMENT)
            one.start()
            try:
                yield one.url, {"all": one.pid}, data_dir
            finally:
                one.stop()
        else:
            with Fleet(data_dir, environment=_ENVIRONMENT) as fleet:
                pids = {
                    each.label: each.identity.pid
                    for replicas in fleet.replicas.values()
                    for each in replicas
                    if each.identity is not None
                }
                yield fleet.url, pids, data_dir


async def attack(name: str, target: Target) -> dict[str, Any]:
    """Run one attack in a process of its own; return what the attacker saw."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "load.attacks", name,
        cwd=Path(__file__).parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    printed, _ = await process.communicate(json.dumps(dataclasses.asdict(target)).encode())
    return json.loads(printed) if printed else {}


@dataclasses.dataclass(frozen=True)
class Stage:
    """A product that runs, whom it is attacked by, and the innocent."""

    way: str
    pids: dict[str, int]
    folder: Path
    target: Target
    innocent: InnocentProcess

    async def measure(self, name: str) -> dict[str, Any]:
        """Run one attack after a quiet time that is as long; return what it cost."""
        seconds = self.target.seconds
        await self.innocent.take()
        await asyncio.sleep(seconds)
        quiet = await self.innocent.take()
        load = os.getloadavg()[0]
        logged = errors(self.folder)
        with Meter(self.pids, self.target.port, self.folder) as meter:
            mib, fds, kernel = meter.most_mib, meter.most_fds, meter.most_kernel_mib
            cpu = meter.cpu_seconds()
            seen = await attack(name, self.target)
            used = {each: now - cpu[each] for each, now in meter.cpu_seconds().items()}
            during = await self.innocent.take()
            kept = await _kept(meter, mib)
        shares = {each: round(value / seconds, 3) for each, value in used.items()}
        return {
            "system": f"{self.way}: {name}",
            "grown_mib": max(meter.most_mib - mib, 0),
            "kept_mib": kept,
            "kernel_mib": max(meter.most_kernel_mib - kernel, 0),
            "fds": meter.most_fds - fds,
            "cpu_share": sum(value for each, value in shares.items() if each != "postgres"),
            "cpu_of_each": shares,
            "quiet_p50_ms": quiet["p50_ms"],
            "quiet_p99_ms": quiet["p99_ms"],
            "quiet_late_p99_ms": quiet["late_p99_ms"],
            "p50_ms": during["p50_ms"],
            "p99_ms": during["p99_ms"],
            "late_p99_ms": during["late_p99_ms"],
            "asked": during["asked"],
            "refused": during["refused"],
            "errors": errors(self.folder) - logged,
            "load": load,
            "seen": seen,
        }


async def _kept(meter: Meter, before_mib: float) -> float:
    """Return what memory is still held, as soon as that is little, and some seconds after else."""
    until = asyncio.get_running_loop().time() + _AFTER_SECONDS
    while True:
        await asyncio.sleep(_FIRST_SECONDS)
        kept = max(meter.memory_mib() - before_mib, 0)
        if kept < ALLOWED_KEPT_MIB or asyncio.get_running_loop().time() > until:
            return kept


async def measure(way: str, names: list[str], seconds: float, rounds: int) -> list[dict[str, Any]]:
    """Run the attacks one after the other against one running product."""
    rows = []
    with running(way) as (url, pids, folder):
        async with httpx.AsyncClient(base_url=url, timeout=60) as http:
            somebody, friend, attacker = await people(http, 3)
            channel = await room(http, [somebody, friend])
            lair = await room(http, [attacker, friend])
            await _long_texts(http, attacker.token, lair)
            needs_history = not REPLAYING.isdisjoint(names)
            long_channels = await _long_channels(http, attacker) if needs_history else []
        parts = urlsplit(url)
        target = Target(
            parts.hostname or "", parts.port or 80, seconds, attacker.token, lair, attacker.id,
            friend.id, friend.token, long_channels,
        )  # fmt: skip
        innocent = await InnocentProcess.start(url, somebody.token, channel)
        await asyncio.sleep(_FIRST_SECONDS)  # the first of everything is slow
        stage = Stage(way, pids, folder, target, innocent)
        for name in names:
            of_this: list[dict[str, Any]] = []
            while not of_this or (failures(of_this) and len(of_this) < rounds):
                of_this.append(await stage.measure(name))
                print(json.dumps(of_this[-1]), flush=True)
            rows += of_this
        await innocent.stop()
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
    """Return where a goal was missed, a line each: by the median of an attack's rounds.

    What must never be, a refusal of the innocent or an error in the logs, is missed by one round.
    """
    missed = []
    for system in dict.fromkeys(row["system"] for row in rows):
        rounds = [row for row in rows if row["system"] == system]
        grown, kept = (median(row[each] for row in rounds) for each in ("grown_mib", "kept_mib"))
        factor = median(
            row["p99_ms"] / max(row["quiet_p99_ms"], NOTICED_MS / ALLOWED_FACTOR) for row in rounds
        )
        if grown > ALLOWED_MIB:
            missed.append(f"{system}: grown by {grown:.0f} MiB")
        if kept > ALLOWED_KEPT_MIB:
            missed.append(f"{system}: {kept:.0f} MiB kept")
        if factor > ALLOWED_FACTOR:
            missed.append(f"{system}: the innocent's p99 is {factor:.1f} times the quiet one")
        if refused := sum(row["refused"] for row in rounds):
            missed.append(f"{system}: the innocent was refused {refused} times")
        if logged := sum(row["errors"] for row in rounds):
            missed.append(f"{system}: {logged} errors or tracebacks in the logs")
    return missed


def main() -> None:
    """Run what was asked for; the exit status tells whether the goals were met."""
    parser = argparse.ArgumentParser(description="What a hostile peer costs")
    parser.add_argument("--ways", nargs="*", default=["embedded", "fleet"])
    parser.add_argument("--attacks", nargs="*", default=list(ATTACKS), choices=list(ATTACKS))
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--rounds", type=int, default=3, help="of an attack that misses a goal")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        check_that_errors_count(Path(folder))
    rows: list[dict[str, Any]] = []
    for way in asked.ways:
        rows += asyncio.run(measure(way, asked.attacks, asked.seconds, asked.rounds))
        keep("hostile", rows)
    columns = ["grown_mib", "kept_mib", "kernel_mib", "fds", "cpu_share", "quiet_p50_ms"]
    columns += ["quiet_p99_ms", "p50_ms", "p99_ms", "refused", "errors"]
    show("under hostility", rows, columns)
    print(f"kept in {keep('hostile', rows)}")
    if missed := failures(rows):
        raise SystemExit("\n".join(["goals missed:", *missed]))


if __name__ == "__main__":
    main()
