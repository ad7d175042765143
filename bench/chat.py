"""Chat under load: one room, every message persisted, through the gateway, on a real broker.

    python bench/chat.py                         50 and 500 members, 20 senders; latency at 10/s
    python bench/chat.py --members 50 --runs 3
    python bench/chat.py --peer ejabberd-pg --harness ../shared/bench/peers

The work is the one that peers are measured by: 200-byte messages; 20 senders who each keep 8
unacknowledged; deliveries are counted at all members, the sender included; the clock runs from the
first send to the last delivery. With `--peer`, each run of ours is followed by one of the peer's
(its server must run: see the harness), as machines drift. Goals 1 to 3 of performance.md.
"""

import argparse
import asyncio
import gc
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import uvloop

sys.path.insert(0, str(Path(__file__).parent))

from load.meters import percentile
from load.product import Person, Running, people, room, running_fleet
from load.results import keep, show
from load.sockets import MARK, LeanSocket

SIZE_BYTES = 200
WINDOW = 8
_FILLER = ("lorem ipsum dolor sit amet consectetur adipiscing elit sed do " * 4)[: SIZE_BYTES - 20]
_STAMP_HEX = 16
_MARK = MARK.decode()

COLUMNS = [
    "messages_s", "deliveries_s", "p50_ms", "p99_ms", "ack_p50_ms", "cpu_us_per_delivery", "rss_mib"
]  # fmt: skip


class Load:
    """One run: who sends, what was counted."""

    def __init__(self, members: list[LeanSocket], senders: int, channel_id: str) -> None:
        self._members = members
        self._senders = members[:senders]
        self._channel_id = channel_id
        self.sent = self.acknowledged = self.deliveries = 0
        self.latencies_ms: list[float] = []
        self.acks_ms: list[float] = []
        self.last = 0.0
        self._keep_sending = False
        self._sent_at: dict[str, int] = {}
        self._index = {id(socket): number for number, socket in enumerate(members)}

    def on_marks(self, marks: int) -> None:
        """Count deliveries at a socket that nobody looks into."""
        self.deliveries += marks
        self.last = time.monotonic()

    def fire(self, socket: LeanSocket) -> None:
        """Send one message."""
        self.sent += 1
        now = time.monotonic_ns()
        key = f"{now:016x}-{self.sent}"
        self._sent_at[key] = now
        socket.send(
            {
                "type": "send_message",
                "id": key,
                "channel_id": self._channel_id,
                "text": f"{_MARK}{self._index[id(socket)]:03d}{now:016x}{_FILLER}",
                "client_message_id": key,
            }
        )

    def look(self, socket: LeanSocket, frame: bytes) -> None:
        """Take apart what a sender or a probe receives."""
        if frame.startswith(b'{"type":"reply"'):
            key = frame[frame.index(b'"id":"') + 6 :].split(b'"', 1)[0].decode()
            self.acks_ms.append((time.monotonic_ns() - self._sent_at.pop(key)) / 1e6)
            self.acknowledged += 1
            if self._keep_sending:
                self.fire(socket)
        elif frame.startswith(b'{"type":"error"'):
            raise SystemExit(f"refused: {frame[:300]!r}")
        elif (at := frame.find(MARK)) >= 0:
            self.deliveries += 1
            self.last = time.monotonic()
            stamp = int(frame[at + 4 : at + 4 + _STAMP_HEX], 16)
            self.latencies_ms.append((time.monotonic_ns() - stamp) / 1e6)

    async def run(self, seconds: float, rate: float | None) -> float:
        """Send for so long, then wait for the last delivery; return from first to last."""
        probes = self._members if rate else self._members[:: max(1, len(self._members) // 10)]
        for socket in self._members:
            looked_into = socket in self._senders or socket in probes
            socket.on_frame = self.look if looked_into else None
        began = time.monotonic()
        if rate:
            for number in range(int(seconds * rate)):
                await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
                self.fire(self._senders[number % len(self._senders)])
        else:
            self._keep_sending = True
            for socket in self._senders:
                for _ in range(WINDOW):
                    self.fire(socket)
            await asyncio.sleep(seconds)
            self._keep_sending = False
        await self._drained()
        return self.last - began

    async def _drained(self) -> None:
        """Wait for the last delivery, half a minute at most."""
        deadline = time.monotonic() + 30
        expected = self.sent * len(self._members)
        while self.deliveries < expected and time.monotonic() < deadline:  # noqa: ASYNC110 - an event would be set at each delivery
            await asyncio.sleep(0.05)


async def measure(
    product: Running, members: int, senders: int, seconds: float, rate: float | None
) -> dict[str, Any]:
    """Return the figures of one run in a room of its own."""
    async with httpx.AsyncClient(base_url=product.url, timeout=60) as http:
        crowd = await _crowd(http, members)
        channel_id = await room(http, crowd)
    load: Load | None = None

    def on_marks(marks: int) -> None:
        assert load is not None
        load.on_marks(marks)

    sockets = []
    for number, person in enumerate(crowd):
        path = f"/ws/load-{number}"
        sockets.append(await LeanSocket.connect(product.url, path, person.token, on_marks))
    load = Load(sockets, senders, channel_id)
    await asyncio.sleep(1)
    gc.collect()
    gc.disable()
    cpu, own = product.servers.cpu_seconds(), time.process_time()
    wall = await load.run(seconds, rate)
    cpu, own = product.servers.cpu_seconds() - cpu, time.process_time() - own
    gc.enable()
    rss = product.servers.rss_mib()
    lost = sum(socket.lost for socket in sockets)
    for socket in sockets:
        socket.close()
    missing = load.sent * members - load.deliveries
    if missing > 0 or -missing > members or lost:  # too many: see `_answer_ping`
        expected = load.sent * members
        raise SystemExit(f"{missing} of {expected} deliveries are missing, {lost} sockets are lost")
    return {
        "system": "sharezync",
        "members": members,
        "senders": senders,
        "rate": rate,
        "messages_s": load.acknowledged / wall,
        "deliveries_s": load.deliveries / wall,
        "p50_ms": percentile(load.latencies_ms, 0.5),
        "p99_ms": percentile(load.latencies_ms, 0.99),
        "ack_p50_ms": percentile(load.acks_ms, 0.5),
        "ack_p99_ms": percentile(load.acks_ms, 0.99),
        "cpu_us_per_delivery": cpu / load.deliveries * 1e6,
        "generator_cores": own / wall,
        "rss_mib": rss,
    }


_crowds: list[Person] = []


async def _crowd(http: httpx.AsyncClient, count: int) -> list[Person]:
    """Return so many people; those of an earlier run come again."""
    if len(_crowds) < count:
        _crowds.extend(await people(http, count - len(_crowds)))
    return _crowds[:count]


def measure_peer(
    harness: Path, python: str, peer: str, members: int, senders: int, seconds: float,
    rate: float | None,
) -> dict[str, Any]:  # fmt: skip
    """Return the same figures of a peer, from its own generator."""
    command = [
        python, str(harness / "chat.py"), "--peer", peer, "-n", str(members), "-s", str(senders),
        "-t", str(seconds),
    ]  # fmt: skip
    if rate:
        command += ["--rate", str(rate)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    row = json.loads(done.stdout.splitlines()[-1])
    return {
        "system": peer,
        "members": members,
        "senders": senders,
        "rate": rate,
        "messages_s": row["accepted_s"],
        "deliveries_s": row["deliveries_s"],
        "p50_ms": row["lat_p50_ms"],
        "p99_ms": row["lat_p99_ms"],
        "ack_p50_ms": row["ack_p50_ms"],
        "ack_p99_ms": row["ack_p99_ms"],
        "cpu_us_per_delivery": row["srv_cpu_us_per_delivery"],
        "generator_cores": row["gen_cpu_share"],
        "rss_mib": row["rss_mib"],
    }


def main() -> None:
    """Run what was asked for, and print it."""
    parser = argparse.ArgumentParser(description="Chat under load")
    parser.add_argument("--members", type=int, nargs="+", default=[50, 500])
    parser.add_argument("--senders", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rate", type=float, help="messages a second by one sender: for latency")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--peer", help="a name that the harness knows, e.g. ejabberd-pg")
    parser.add_argument("--harness", type=Path, help="folder of the peers' chat.py")
    parser.add_argument("--harness-python", default=sys.executable)
    asked = parser.parse_args()
    if asked.peer and not asked.harness:
        parser.error("--peer needs --harness")
    rows: list[dict[str, Any]] = []
    with running_fleet() as product, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for members in asked.members:
            senders = 1 if asked.rate else asked.senders
            for _ in range(asked.runs):
                row = runner.run(measure(product, members, senders, asked.seconds, asked.rate))
                rows.append(row)
                print(json.dumps(row), flush=True)
                if asked.peer:
                    row = measure_peer(
                        asked.harness, asked.harness_python, asked.peer, members, senders,
                        asked.seconds, asked.rate,
                    )  # fmt: skip
                    rows.append(row)
                    print(json.dumps(row), flush=True)
    name = f"chat-{'rate' if asked.rate else 'throughput'}"
    for members in asked.members:
        some = [row for row in rows if row["members"] == members]
        show(f"{members} members, {some[0]['senders']} senders", some, COLUMNS)
    print(f"\nkept in {keep(name, rows)}")


if __name__ == "__main__":
    main()
