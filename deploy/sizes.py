"""The table of docs/operations/sizes.md, from bench/results: `python -m deploy.sizes`.

A test recomputes it: neither a new measurement nor an edit by hand makes it drift.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
DOCUMENT: Final = ROOT / "docs" / "operations" / "sizes.md"
BEGIN, END = "<!-- sizes -->\n", "<!-- end of sizes -->"
SOCKETS_PER_GATEWAY: Final = 5000
"""As many as were measured on one process; WS_MAX_CONNECTIONS allows twice that, for who leaves."""
CORE_USED: Final = 0.6
"""Of a core, so that there is room for a burst: where `autoscaling` begins another replica."""


@dataclass(frozen=True)
class Measured:
    """The worst of each figure over all runs, as they were measured on two cores."""

    cpu_ms_per_delivery: float
    """Of all processes, PostgreSQL and RabbitMQ included, at ten messages a second."""
    cpu_s_per_gib: float
    """The same, of a transfer from user to user."""
    kib_per_socket: float
    gateway_mib: float
    """Of a gateway without sockets."""


@dataclass(frozen=True)
class Load:
    """What people do at the busiest hour."""

    users: int
    sockets: int
    messages_a_second: float
    transfer_mib_a_second: float


LOADS: Final = (
    Load(500, 200, 1, 1),
    Load(2_000, 800, 5, 5),
    Load(10_000, 4_000, 25, 25),
    Load(50_000, 20_000, 100, 100),
)
MEMBERS_PRESENT: Final = 50
"""Sockets to which a message goes: as in the measurement."""


def runs_of(name: str, system: str) -> list[dict[str, Any]]:
    """Return the runs of a system that a benchmark's results have."""
    document = json.loads((ROOT / "bench" / "results" / f"{name}.json").read_text())
    return [run for run in document["runs"] if run["system"] == system]


def measured() -> Measured:
    """Return what the results say."""
    (idle,) = runs_of("idle", "sharezync")
    rate = runs_of("chat-rate", "sharezync")
    transfers = runs_of("transfer", "sharezync fleet")
    held_mib = idle["kib_watching"] * idle["sockets"] / 1024
    return Measured(
        max(run["cpu_us_per_delivery"] for run in rate) / 1000,
        max(run["cpu_s_per_gib"] for run in transfers),
        idle["kib_watching"],
        idle["gateway_mib"] - held_mib,
    )


def row(load: Load, known: Measured) -> Sequence[str]:
    """Return what this load needs."""
    deliveries = load.messages_a_second * MEMBERS_PRESENT
    chat_cores = deliveries * known.cpu_ms_per_delivery / 1000
    byte_cores = load.transfer_mib_a_second / 1024 * known.cpu_s_per_gib
    cores = (chat_cores + byte_cores) / CORE_USED
    # One may leave: the others hold all sockets.
    gateways = 1 + max(1, math.ceil(load.sockets / SOCKETS_PER_GATEWAY))
    each = load.sockets / (gateways - 1)
    memory = known.gateway_mib + each * known.kib_per_socket / 1024
    return (
        f"{load.users:,}",
        f"{load.sockets:,}",
        f"{load.messages_a_second:g}",
        f"{load.transfer_mib_a_second:g}",
        f"{chat_cores:.2f} + {byte_cores:.2f}",
        f"{max(2, math.ceil(cores))}",
        f"{gateways}",
        f"{memory:.0f} MiB",
    )


def table() -> str:
    """Return the table."""
    heads = (
        "users", "sockets", "messages/s", "transfers, MiB/s", "cores used: messages + transfers",
        "cores to have", "gateways", "memory of a gateway, one of them away",
    )  # fmt: skip
    lines = [heads, ["---"] * len(heads), *(row(load, measured()) for load in LOADS)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def with_table(text: str) -> str:
    """Return the document with the table in its place."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + table() + END + after


if __name__ == "__main__":
    DOCUMENT.write_text(with_table(DOCUMENT.read_text()))
