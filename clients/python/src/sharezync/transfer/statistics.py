"""What came of all that one sent and was sent."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from sharezync.shapes import Answered


@dataclass(frozen=True, slots=True)
class TransferTotals(Answered):
    """What came of transfers in one direction. Each recipient of one counts for themselves.

    `success_rate` is None while nothing has ended; speeds, in bytes a second, are None where
    nothing took long enough to tell.
    """

    ended: int
    completed: int
    files: int
    size_bytes: int
    success_rate: float | None
    mean_bytes_per_second: int | None
    best_bytes_per_second: int | None

    @classmethod
    def _of(cls, document: Mapping[str, Any]) -> Self:
        return cls(
            document["ended"],
            document["completed"],
            document["files"],
            document["bytes"],
            document["success_rate"],
            document["mean_bytes_per_second"],
            document["best_bytes_per_second"],
        )


@dataclass(frozen=True, slots=True)
class BothWays(Answered):
    """Sums of what was sent and of what was received."""

    sent: TransferTotals
    received: TransferTotals

    @classmethod
    def _of(cls, document: Mapping[str, Any]) -> Self:
        return cls(TransferTotals.of(document["sent"]), TransferTotals.of(document["received"]))


@dataclass(frozen=True, slots=True)
class Statistics(Answered):
    """Sums of all time, of each day on which something ended, and of each person.

    Days are in UTC, the newest first; people by their ids, those with most bytes first.
    """

    all_time: BothWays
    days: dict[str, BothWays]
    people: dict[str, BothWays]

    @classmethod
    def _of(cls, document: Mapping[str, Any]) -> Self:
        return cls(
            BothWays.of(document),
            {str(each["day"]): BothWays.of(each) for each in document["days"]},
            {str(each["user_id"]): BothWays.of(each) for each in document["peers"]},
        )
