"""A file from user to user, stored on the way: two clients in processes of their own.

    python bench/transfer.py                         256 MiB through one process and through a fleet
    python bench/transfer.py --ways embedded --runs 3
    python bench/transfer.py --peer --harness ../shared/bench/peers --harness-python …/bin/python

The clock runs from the start of both programs (their interpreter and handshakes included, as with
the peer) to the end of both: the receiver has every byte, checked and written, and both have heard
`transfer_completed`. From there `first_byte_ms` is counted, too; `offer_to_first_ms` is from the
offer, as people wait for it whose apps are connected.

With `--peer` each round has a turn of magic-wormhole through its relay, whose servers must run (see
the harness); it encrypts and stores nothing, ours stores durably and does not encrypt: TLS does.
Goals 7 and 12 of performance.md. Files lie in /dev/shm at both ends.
"""

import argparse
import asyncio
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).parent))

from files import running_in_one_process
from load.product import Person, Running, people, running_fleet
from load.results import keep, show

MIB = 2**20
COLUMNS = [
    "mib_s", "mib_s_moving", "first_byte_ms", "offer_to_first_ms", "cut_through_ms",
    "cpu_s_per_gib", "sender_cpu_s_per_gib", "receiver_cpu_s_per_gib", "rss_mib",
]  # fmt: skip
_ENDS = Path(__file__).parent / "load" / "transfer_ends.py"
_SHM = "/dev/shm"  # memory: the disks of client and server are not one
_LONGEST_SECONDS = 600


def measure(system: str, product: Running, pair: list[Person], source: Path) -> dict[str, Any]:
    """Send one file from the first to the second; return what it took."""
    size = source.stat().st_size
    with tempfile.TemporaryDirectory(dir=_SHM) as folder:
        into = Path(folder) / "f.bin"
        cpu, began = product.servers.cpu_seconds(), time.monotonic()
        receiving = _end(pair[1], "receive", product.url, "receiver", str(into))
        sending = _end(pair[0], "send", product.url, "sender", str(source), pair[1].id)
        sent, received = _told(sending), _told(receiving)
        wall = max(sent["ended_at"], received["ended_at"]) - began
        cpu = product.servers.cpu_seconds() - cpu
        if _digest(into) != _digest(source):
            raise SystemExit(f"{system}: that is not what was sent")
    gib = size / 2**30
    row = {
        "system": system,
        "size_mib": size / MIB,
        "mib_s": size / MIB / wall,
        "mib_s_moving": size / MIB / (received["kept_at"] - received["first_at"]),
        "first_byte_ms": (received["first_at"] - began) * 1e3,
        "offer_to_first_ms": (received["first_at"] - sent["offered_at"]) * 1e3,
        "cut_through_ms": (received["first_at"] - sent["first_at"]) * 1e3,
        "cpu_s_per_gib": cpu / gib,
        "sender_cpu_s_per_gib": sent["cpu_seconds"] / gib,
        "receiver_cpu_s_per_gib": received["cpu_seconds"] / gib,
        "rss_mib": product.servers.rss_mib(),
    }
    print(json.dumps(row), flush=True)
    return row


def measure_peer(harness: Path, python: str, size_mib: int) -> dict[str, Any]:
    """Return the same figures of magic-wormhole, from its own harness."""
    command = [python, str(harness / "relay.py"), "--runs", "1", "--size-mib", str(size_mib)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"magic-wormhole: {done.stderr[-500:]}")
    given = json.loads(done.stdout.splitlines()[-1])
    if not given["ok"]:
        raise SystemExit("magic-wormhole did not bring the file whole")
    row = {
        "system": "magic-wormhole",
        "size_mib": size_mib,
        "mib_s": given["mib_s_end_to_end"],
        "mib_s_moving": given["mib_s_transfer"],
        "first_byte_ms": given["start_to_first_byte_s"] * 1e3,
        "cpu_s_per_gib": given["relay_cpu_s_per_gib"],
        "sender_cpu_s_per_gib": given["sender_cpu_s_per_gib"],
        "receiver_cpu_s_per_gib": given["receiver_cpu_s_per_gib"],
        "rss_mib": given["relay_rss_mib"],
    }
    print(json.dumps(row), flush=True)
    return row


def _end(person: Person, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        # Isolated and without site: the standard library is all that it needs.
        [sys.executable, "-I", "-S", str(_ENDS), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TOKEN": person.token},
    )


def _told(process: "subprocess.Popen[str]") -> dict[str, Any]:
    try:
        output, _ = process.communicate(timeout=_LONGEST_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    if process.returncode:
        raise SystemExit("one end has failed")
    return dict(json.loads(output.splitlines()[-1]))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def random_file(size: int) -> Iterator[Path]:
    """Yield a file of random bytes in memory."""
    with tempfile.NamedTemporaryFile(dir=_SHM) as file:
        for _ in range(size // MIB):
            file.write(os.urandom(MIB))
        file.flush()
        yield Path(file.name)


async def _pair(url: str) -> list[Person]:
    async with httpx.AsyncClient(base_url=url, timeout=60) as http:
        return await people(http, 2)


def main() -> None:
    """Run what was asked for, and print it."""
    parser = argparse.ArgumentParser(description="A file from user to user")
    parser.add_argument("--ways", nargs="*", default=["embedded", "fleet"])
    parser.add_argument("--size-mib", type=int, default=256)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--peer", action="store_true", help="magic-wormhole takes turns with us")
    parser.add_argument("--harness", type=Path, help="folder of the peer's relay.py")
    parser.add_argument("--harness-python", default=sys.executable)
    asked = parser.parse_args()
    if asked.peer and not asked.harness:
        parser.error("--peer needs --harness")
    rows: list[dict[str, Any]] = []
    with ExitStack() as stack:
        ours = []
        for way in asked.ways:
            running = running_in_one_process() if way == "embedded" else running_fleet()
            product = stack.enter_context(running)
            pair = asyncio.run(_pair(product.url))
            with random_file(8 * MIB) as little:  # whatever is made at the first transfer, is made
                measure("warming up", product, pair, little)
            ours.append((f"sharezync {way}", product, pair))
        source = stack.enter_context(random_file(asked.size_mib * MIB))
        for _ in range(asked.runs):
            rows += [measure(system, product, pair, source) for system, product, pair in ours]
            if asked.peer:
                rows.append(measure_peer(asked.harness, asked.harness_python, asked.size_mib))
    show(f"{asked.size_mib} MiB from user to user", rows, COLUMNS)
    print(f"\nkept in {keep('transfer', rows)}")


if __name__ == "__main__":
    main()
