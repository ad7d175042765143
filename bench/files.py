"""Files under load: up and down through the gateway, to a folder, beside peers.

    python bench/files.py                              256 MiB, and 1,000 x 64 KiB on 8 connections
    python bench/files.py --ways fleet --doors tus --only large --runs 3
    python bench/files.py --peers nginx tus --harness ../shared/bench/peers --runs 3

The work is the one that peers are measured by (their generator does the same): a file in memory
goes out by sendfile(2), a download is read and dropped. Whatever a door asks for per file (create,
parts, finish) is inside the measured time. `tus` sends 8 MiB a request, `tus-1patch` the whole in
one, as tus-js-client does by default. In every round each of ours and each of the peers (their
servers must run: see the harness) has its turn, as machines drift. Goals 5 and 6 of performance.md.
"""

import argparse
import asyncio
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

sys.path.insert(0, str(Path(__file__).parent))

from load.http import LeanHttp, Source
from load.meters import Servers, percentile
from load.product import GENEROUS, Person, Running, people, running_fleet
from load.results import keep, show

from sharezync_testkit.one_process import OneProcess

MIB = 2**20
LARGE_BYTES, SMALL_BYTES = 256 * MIB, 64 * 1024
SMALL_COUNT, CONNECTIONS = 1000, 8
PATCH_BYTES = 8 * MIB
TUS = {"Tus-Resumable": "1.0.0"}
BOUNDARY = "sharezync-bench-0123456789"
WHAT = ["up 256 MiB", "down 256 MiB", "up 64 KiB x8", "down 64 KiB x8"]
COLUMNS = ["mib_s", "files_s", "cpu_s_per_gib", "cpu_ms_per_file", "p50_ms", "p99_ms"]

Put = Callable[[LeanHttp, Source], str]
"""Uploads a file; returns its id."""


def put_by_form(http: LeanHttp, source: Source) -> str:
    """POST a form."""
    before = (
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; "
        'name="file"; filename="f.bin"\r\nContent-Type: application/octet-stream\r\n\r\n'
    )
    answer = http.ask(
        "POST",
        "/v1/files",
        {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"},
        before=before.encode(),
        source=source,
        behind=f"\r\n--{BOUNDARY}--\r\n".encode(),
    )
    return str(json.loads(answer.body)["id"])


def put_by_tus(http: LeanHttp, source: Source, patch_bytes: int = PATCH_BYTES) -> str:
    """POST, and PATCH until all is there."""
    created = http.ask("POST", "/v1/uploads", {**TUS, "Upload-Length": source.size})
    path = created.headers["location"]
    offset = 0
    while offset < source.size:
        size = min(patch_bytes, source.size - offset)
        answer = http.ask(
            "PATCH",
            path,
            {
                **TUS,
                "Upload-Offset": offset,
                "Content-Type": "application/offset+octet-stream",
            },
            source=Source(source.fd, source.offset + offset, size),
        )
        offset += size
        if int(answer.headers["upload-offset"]) != offset:
            raise RuntimeError(f"{path} stands at {answer.headers['upload-offset']}")
    return path.rpartition("/")[2]


def put_by_one_patch(http: LeanHttp, source: Source) -> str:
    """POST, and one PATCH."""
    return put_by_tus(http, source, source.size)


DOORS: dict[str, Put] = {
    "tus": put_by_tus,
    "tus-1patch": put_by_one_patch,
    "form": put_by_form,
}


@contextmanager
def running_in_one_process() -> Iterator[Running]:
    """Run everything in one process."""
    with tempfile.TemporaryDirectory(prefix="sharezync-bench-") as folder:
        product = OneProcess(Path(folder), environment=GENEROUS)
        before = {child.pid for child in psutil.Process().children()}
        product.start()
        started = {child.pid for child in psutil.Process().children()} - before
        try:
            yield Running(
                product.url, Servers(Path(folder), started), {"embedded": sorted(started)}
            )
        finally:
            product.stop()


@contextmanager
def source_of(size: int) -> Iterator[tuple[Source, str]]:
    """Yield random bytes in memory, as an open file, and their SHA-256."""
    fd = os.memfd_create("sharezync-bench")
    try:
        data = os.urandom(size)
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        yield Source(fd, 0, size), hashlib.sha256(data).hexdigest()
    finally:
        os.close(fd)


def clock(jobs: list[list[Callable[[], object]]], servers: Servers, size: int) -> dict[str, Any]:
    """Do jobs, a list for each thread; return what they took. Each moves `size` bytes."""
    taken: list[float] = []
    failures: list[BaseException] = []

    def work(mine: list[Callable[[], object]]) -> None:
        try:
            for job in mine:
                began = time.perf_counter()
                job()
                taken.append(time.perf_counter() - began)
        except BaseException as error:  # noqa: BLE001 - the whole run fails, with its reason
            failures.append(error)

    threads = [threading.Thread(target=work, args=(mine,)) for mine in jobs]
    cpu, own, began = servers.cpu_seconds(), time.process_time(), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall = time.perf_counter() - began
    cpu, own = servers.cpu_seconds() - cpu, time.process_time() - own
    if failures:
        raise SystemExit(f"failed: {failures[0]!r}")
    moved = size * len(taken)
    return {
        "mib_s": moved / MIB / wall,
        "files_s": len(taken) / wall,
        "cpu_s_per_gib": cpu / (moved / 2**30),
        "cpu_ms_per_file": cpu / len(taken) * 1e3,
        "p50_ms": (percentile(taken, 0.5) or 0) * 1e3,
        "p99_ms": (percentile(taken, 0.99) or 0) * 1e3,
        "generator_cores": own / wall,
        "rss_mib": servers.rss_mib(),
    }


class Ours:
    """One way to run the product, and one door into it."""

    def __init__(self, way: str, door: str, product: Running, person: Person) -> None:
        self.system = f"sharezync {way} {door}"
        self._put = DOORS[door]
        self._servers = product.servers
        self._connections = [LeanHttp(product.url, person.token) for _ in range(CONNECTIONS)]

    def large(self, source: Source, digest: str) -> list[dict[str, Any]]:
        """Upload and download one large file; the content is compared once, unmeasured."""
        http, ids = self._connections[0], []
        up = clock([[lambda: ids.append(self._put(http, source))]], self._servers, source.size)
        path = f"/v1/files/{ids[0]}/content"
        if hashlib.sha256(http.ask("GET", path).body).hexdigest() != digest:
            raise SystemExit(f"{self.system}: that is not what was sent")
        down = clock([[lambda: http.ask("GET", path, drop=True)]], self._servers, source.size)
        http.ask("DELETE", f"/v1/files/{ids[0]}")
        http.close()  # until the next turn it would idle for longer than servers wait
        return [self._row(WHAT[0], up), self._row(WHAT[1], down)]

    def small(self, source: Source, count: int) -> list[dict[str, Any]]:
        """Upload and download many small ones, 8 at a time."""
        ids: list[list[str]] = [[] for _ in self._connections]
        each = range(count // CONNECTIONS)
        up = clock(
            [
                [lambda http=http, mine=mine: mine.append(self._put(http, source)) for _ in each]
                for http, mine in zip(self._connections, ids, strict=True)
            ],
            self._servers,
            source.size,
        )
        down = clock(
            [
                [
                    lambda http=http, i=i: http.ask("GET", f"/v1/files/{i}/content", drop=True)
                    for i in mine
                ]
                for http, mine in zip(self._connections, ids, strict=True)
            ],
            self._servers,
            source.size,
        )
        for http, mine in zip(self._connections, ids, strict=True):
            for file_id in mine:
                http.ask("DELETE", f"/v1/files/{file_id}")
            http.close()
        return [self._row(WHAT[2], up), self._row(WHAT[3], down)]

    def _row(self, what: str, figures: dict[str, Any]) -> dict[str, Any]:
        row = {"system": self.system, "what": what, **figures}
        print(json.dumps(row), flush=True)
        return row


def measure_peer(
    harness: Path, python: str, peer: str, size: str, count: int
) -> list[dict[str, Any]]:
    """Return the same figures of a peer, from its own generator."""
    command = [
        python, str(harness / "files.py"), "--peer", peer, "--runs", "1", "--only",
        "big" if size == "large" else "small", "--count", str(count),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{peer}: {done.stderr[-500:]}")
    names = {"up 256MiB": 0, "down 256MiB": 1, "up 64KiB x8": 2, "down 64KiB x8": 3}
    rows = []
    for line in done.stdout.splitlines():
        given = json.loads(line)
        row = {
            "system": peer if peer != "tus" else "@tus/server",
            "what": WHAT[names[given["what"]]],
            "mib_s": given["mib_s"],
            "files_s": given["ops_s"],
            "cpu_s_per_gib": given["srv_cpu_s_per_gib"],
            "cpu_ms_per_file": given["srv_cpu_ms_per_op"],
            "p50_ms": given["p50_ms"],
            "p99_ms": given["p99_ms"],
            "generator_cores": given["gen_cpu_share"],
            "rss_mib": given["rss_peak_mib"],
        }
        print(json.dumps(row), flush=True)
        rows.append(row)
    return rows


async def _somebody(url: str) -> Person:
    async with httpx.AsyncClient(base_url=url, timeout=60) as http:
        return (await people(http, 1))[0]


def main() -> None:
    """Run what was asked for, and print it."""
    parser = argparse.ArgumentParser(description="Files under load")
    parser.add_argument("--ways", nargs="*", default=["embedded", "fleet"])
    parser.add_argument("--doors", nargs="+", default=list(DOORS), choices=list(DOORS))
    parser.add_argument("--only", choices=["large", "small"])
    parser.add_argument("--count", type=int, default=SMALL_COUNT, help="how many small files")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--peers", nargs="*", default=[], help="names of the harness: nginx, tus")
    parser.add_argument("--harness", type=Path, help="folder of the peers' files.py")
    parser.add_argument("--harness-python", default=sys.executable)
    asked = parser.parse_args()
    if asked.peers and not asked.harness:
        parser.error("--peers needs --harness")
    rows: list[dict[str, Any]] = []
    with ExitStack() as stack:
        ours = []
        for way in asked.ways:
            running = running_in_one_process() if way == "embedded" else running_fleet()
            product = stack.enter_context(running)
            person = asyncio.run(_somebody(product.url))
            ours += [Ours(way, door, product, person) for door in asked.doors]
        large, digest = stack.enter_context(source_of(LARGE_BYTES))
        small, _ = stack.enter_context(source_of(SMALL_BYTES))
        for size in ["large", "small"] if asked.only is None else [asked.only]:
            for _ in range(asked.runs):
                for each in ours:
                    is_large = size == "large"
                    rows += (
                        each.large(large, digest) if is_large else each.small(small, asked.count)
                    )
                for peer in asked.peers:
                    rows += measure_peer(
                        asked.harness, asked.harness_python, peer, size, asked.count
                    )
    for what in WHAT:
        if some := [row for row in rows if row["what"] == what]:
            show(what, some, COLUMNS)
    print(f"\nkept in {keep('files', rows)}")


if __name__ == "__main__":
    main()
