"""Memory of the gateway while a receiver reads nothing and its sender sends at full speed.

    python bench/stalled.py                        60 s on a fleet: the gateway's own memory
    python bench/stalled.py --ways embedded --seconds 20

The receiver accepts, and then reads nothing more from its socket, so that every buffer on the way
to it fills. Measured is what the process has at most, above what it had after a transfer that went
well. Goal 11 of performance.md, and the exit status: growth under the window + 10 MiB.
"""

import argparse
import asyncio
import hashlib
import json
import os
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import httpx
import psutil

sys.path.insert(0, str(Path(__file__).parent))

from files import running_in_one_process
from load.product import Person, Running, people, running_fleet
from load.results import keep, show
from load.transfer_ends import HEADER, Wire
from transfer import measure, random_file

MIB = 2**20
ALLOWED_BYTES = 10 * MIB
FILE_BYTES = 5 * 1024 * MIB
"""The largest that is taken by default. What is left of it when the time is over is not sent."""
_SAMPLE_SECONDS = 0.1


class Watch:
    """The most memory that a process has had since."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.before = self.most = self._process.memory_info().rss
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(_SAMPLE_SECONDS):
            self.most = max(self.most, self._process.memory_info().rss)


def send_beside_a_stalled_receiver(
    url: str, pair: list[Person], pid: int, seconds: float
) -> dict[str, Any]:
    """Send for so long to somebody who accepts and then reads nothing; return what it took."""
    receiver = Wire(url, "stalls", pair[1].token)
    sender = Wire(url, "sends", pair[0].token)
    sender.say(
        type="file_transfer_start",
        id=1,
        recipients=[{"user_id": pair[1].id}],
        files=[{"name": "large.bin", "size": FILE_BYTES}],
    )
    transfer = sender.until("reply")["data"]
    receiver.say(type="transfer_accept", id=1, transfer_id=transfer["id"])
    receiver.until("reply")
    chunk_bytes, window = transfer["chunk_size_bytes"], transfer["window_bytes"]
    payload = memoryview(bytearray(os.urandom(chunk_bytes)))
    sent = acknowledged = 0
    with Watch(pid) as watch:
        began = time.monotonic()
        until = began + seconds
        while time.monotonic() < until and sent < FILE_BYTES:
            while sent - acknowledged + chunk_bytes > window:
                acknowledged = sender.until("chunk_ack")["next"] * chunk_bytes
            payload[:8] = sent.to_bytes(8, "big")
            digest = hashlib.sha256(payload).digest()
            place = (0, sent // chunk_bytes)
            header = HEADER.pack(1, 1, 0, UUID(transfer["id"]).bytes, *place, chunk_bytes, digest)
            sender.send_chunk(header, payload)
            sent += chunk_bytes
        took = time.monotonic() - began
    sender.say(type="transfer_cancel", id=2, transfer_id=transfer["id"])
    sender.until("reply")
    return {
        "seconds": took,
        "sent_mib": sent / MIB,
        "window_mib": window / MIB,
        "before_mib": watch.before / MIB,
        "grown_mib": (watch.most - watch.before) / MIB,
    }


def run(way: str, product: Running, seconds: float) -> dict[str, Any]:
    """Measure one way to run the product."""
    pair = asyncio.run(_pair(product.url))
    [pid] = product.pids["gateway" if way == "fleet" else way]
    with random_file(64 * MIB) as little:
        for _ in range(2):  # allocators, pools and caches have by now what they keep
            measure("warming up", product, pair, little)
    row = {"system": way, **send_beside_a_stalled_receiver(product.url, pair, pid, seconds)}
    print(json.dumps(row), flush=True)
    return row


async def _pair(url: str) -> list[Person]:
    async with httpx.AsyncClient(base_url=url, timeout=60) as http:
        return await people(http, 2)


def main() -> None:
    """Run what was asked for; the exit status tells whether the goal was met."""
    parser = argparse.ArgumentParser(description="Memory under a stalled receiver")
    parser.add_argument("--ways", nargs="*", default=["fleet"], choices=["embedded", "fleet"])
    parser.add_argument("--seconds", type=float, default=60)
    asked = parser.parse_args()
    os.environ["QUOTA_BYTES"] = str(4 * FILE_BYTES)  # what we start inherits it
    rows = []
    for way in asked.ways:
        with ExitStack() as stack:
            running = running_in_one_process() if way == "embedded" else running_fleet()
            rows.append(run(way, stack.enter_context(running), asked.seconds))
    show("a stalled receiver", rows, ["sent_mib", "window_mib", "before_mib", "grown_mib"])
    print(f"\nkept in {keep('stalled', rows)}")
    if any(row["grown_mib"] * MIB >= row["window_mib"] * MIB + ALLOWED_BYTES for row in rows):
        raise SystemExit("memory has grown by more than the window and 10 MiB")


if __name__ == "__main__":
    main()
