"""`progress_update`: progress to sender and recipients, ten times a second at most."""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
import structlog

from sharezync_shared.background import TaskSupervisor
from sharezync_shared.problems import NotFound
from sharezync_shared.work import UnitOfWork, UnitsOfWork
from sharezync_transfer import access
from sharezync_transfer.models import Transfer, TransferId, transfers_stream

log = structlog.get_logger()

BETWEEN_SIGNALS: Final = timedelta(milliseconds=100)
"""Whoever reports, and to whichever replica: the time of the last one is in the database."""

WINDOW_SECONDS: Final = 5.0
"""Long enough to be calm, short enough to notice a change of network."""
_SAMPLES: Final = 64
_TRANSFERS: Final = 2000

_TOTALS: Final = """
SELECT r.user_id, r.state, r.accepted_bytes, r.received_bytes,
    (SELECT coalesce(sum(f.stored_bytes), 0)::bigint FROM transfer.files AS f
     WHERE f.transfer_id = $1) AS stored_bytes
FROM transfer.recipients AS r WHERE r.transfer_id = $1 ORDER BY r.user_id
"""

Row = asyncpg.Record
"""One of `_TOTALS`."""


class TransferRates:
    """The speed of each key that was sampled lately, in bytes per second."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._samples: OrderedDict[tuple[UUID, str], deque[tuple[float, int]]] = OrderedDict()

    def sample(self, transfer_id: UUID, of: str, total_bytes: int) -> float:
        """Note that `of` this transfer has got to `total_bytes`; return its speed.

        0 until there are two samples, and whenever a total went down: then it begins anew.
        """
        now = self._monotonic()
        key = (transfer_id, of)
        samples = self._samples.setdefault(key, deque(maxlen=_SAMPLES))
        self._samples.move_to_end(key)
        if len(self._samples) > _TRANSFERS:
            self._samples.popitem(last=False)
        if samples and total_bytes < samples[-1][1]:
            samples.clear()
        samples.append((now, total_bytes))
        while len(samples) > 2 and samples[0][0] < now - WINDOW_SECONDS:
            samples.popleft()
        elapsed = now - samples[0][0]
        return (total_bytes - samples[0][1]) / elapsed if elapsed > 0 else 0.0


class ProgressBroadcast:
    """Sends progress to sender and recipients, at once or delayed; delayed reports are merged."""

    def __init__(self, work: UnitsOfWork) -> None:
        self._work = work
        self._rates = TransferRates()
        self._delayed: set[UUID] = set()
        """Transfers whose progress will be sent after a delay."""
        self._tasks = TaskSupervisor()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await self._tasks.wind_down()

    async def broadcast(self, unit: UnitOfWork, transfer: Transfer) -> bool:
        """Send the progress of a transfer, which is locked; False if it is too soon."""
        if unit.now < transfer.progress_at + BETWEEN_SIGNALS:
            return False
        transfer.progress_at = unit.now
        rows = await (await unit.raw()).fetch(_TOTALS, transfer.id)
        self._signal(unit, transfer, rows)
        return True

    def later(self, transfer_id: TransferId) -> None:
        """Send it once the interval between signals is over. Call it after the commit."""
        if transfer_id not in self._delayed:
            self._delayed.add(transfer_id)
            self._tasks.start(self._broadcast_later(transfer_id), "transfer-progress")

    async def _broadcast_later(self, transfer_id: TransferId) -> None:
        sent = False
        while not sent:
            await asyncio.sleep(BETWEEN_SIGNALS.total_seconds())
            # What is committed from now on may miss this signal, and asks for the next.
            self._delayed.discard(transfer_id)
            try:
                async with self._work.begin() as unit:
                    sent = await self.broadcast(unit, await access.lock(unit, transfer_id))
            except NotFound:
                return
            except Exception as error:  # noqa: BLE001 - boundary: the next report follows
                log.warning("progress_not_published", error=repr(error))
                return
            if not sent:
                if transfer_id in self._delayed:
                    return  # another task has taken it over
                self._delayed.add(transfer_id)

    def _signal(self, unit: UnitOfWork, transfer: Transfer, rows: Sequence[Row]) -> None:
        stored_bytes = rows[0]["stored_bytes"]
        common = {
            "transfer_id": str(transfer.id),
            "size_bytes": transfer.size_bytes,
            "stored_bytes": stored_bytes,
        }
        taking = [row for row in rows if row["accepted_bytes"]]
        for row in taking:
            if row["user_id"] != transfer.sender_id:
                speed = self._rates.sample(transfer.id, str(row["user_id"]), row["received_bytes"])
                data = {**common, "state": row["state"], **_measures([row], speed)}
                unit.signal(transfers_stream(row["user_id"]), "progress_update", data)
        storing = self._rates.sample(transfer.id, "stored", stored_bytes)
        received_bytes = sum(row["received_bytes"] for row in taking)
        speed = self._rates.sample(transfer.id, "received", received_bytes)
        data = {**common, "state": transfer.state, **_measures(taking, speed)}
        if not taking:  # as long as nobody takes it, what counts is how soon all is stored
            data |= _pace(transfer.size_bytes - stored_bytes, storing)
        data["recipients"] = [
            {
                "user_id": str(row["user_id"]),
                "state": row["state"],
                "received_bytes": row["received_bytes"],
            }
            for row in rows
        ]
        unit.signal(transfers_stream(transfer.sender_id), "progress_update", data)


def _measures(rows: Sequence[Row], speed: float) -> dict[str, Any]:
    accepted_bytes = sum(row["accepted_bytes"] for row in rows)
    received_bytes = sum(row["received_bytes"] for row in rows)
    return {
        "accepted_bytes": accepted_bytes,
        "received_bytes": received_bytes,
        **_pace(accepted_bytes - received_bytes, speed),
    }


def _pace(left_bytes: int, bytes_per_second: float) -> dict[str, Any]:
    """`seconds_left` is null where that isn't known."""
    seconds_left: float | None = None
    if left_bytes <= 0:
        seconds_left = 0.0
    elif bytes_per_second >= 1:
        seconds_left = round(left_bytes / bytes_per_second, 1)
    return {"rate": round(max(bytes_per_second, 0)), "seconds_left": seconds_left}
