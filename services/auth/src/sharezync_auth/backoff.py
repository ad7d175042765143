"""How long those wait who failed too often, and what a right password takes back (decision 0010).

Each try has up to three counts: of the account, of the address, and of the pair of both. The next
try waits for the pair, and for the address. A pair's moment follows from the failures of the whole
account, but only a failure of the pair's own moves it. Pure; `usecases/throttling.py` keeps them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

FORGOTTEN_AFTER: Final = timedelta(hours=1)
"""A count expires when nothing failed for so long."""

_FIRST_WAIT_SECONDS: Final = 1.0
_MAX_DOUBLINGS: Final = 40  # more seconds than any setting, and still a number


@dataclass(frozen=True, slots=True)
class FailureCount:
    """Failures that have something in common, the time of the latest, and a wait it caused."""

    failures: int
    failed_at: datetime
    blocked_until: datetime


@dataclass(frozen=True, slots=True)
class BackoffRule:
    """How many failures are free, and how long the longest wait is."""

    free_failures: int
    max_wait_seconds: float

    def wait(self, failures: int) -> timedelta:
        """Return how long to wait after this many failures: 1 s after the last free one, then
        twice as long each time.
        """
        if failures < self.free_failures:
            return timedelta(0)
        doublings = min(failures - self.free_failures, _MAX_DOUBLINGS)
        return timedelta(seconds=min(_FIRST_WAIT_SECONDS * 2**doublings, self.max_wait_seconds))


class FailureCounts(NamedTuple):
    """Those of one try. None: nothing failed lately, or there is no such thing to count."""

    account: FailureCount | None = None
    pair: FailureCount | None = None
    address: FailureCount | None = None


def living(count: FailureCount | None, now: datetime) -> FailureCount | None:
    """Return the count, or None where it is forgotten."""
    return count if count and now - count.failed_at < FORGOTTEN_AFTER else None


def remaining(count: FailureCount | None, now: datetime) -> timedelta | None:
    """Return how long a try has to wait for this count; None where it has not."""
    count = living(count, now)
    return count.blocked_until - now if count and count.blocked_until > now else None


def failed(
    before: FailureCounts, now: datetime, *, account: BackoffRule, address: BackoffRule | None
) -> FailureCounts:
    """Return the counts after one more failure. `address` None: no address is counted."""
    by_account = _one_more(before.account, now, account)
    by_pair = _one_more(before.pair, now, account)
    return FailureCounts(
        account=by_account,
        pair=FailureCount(by_pair.failures, now, by_account.blocked_until),
        address=_one_more(before.address, now, address) if address else None,
    )


def taken_back(
    present: FailureCount | None, *, before: FailureCount | None, after: FailureCount
) -> FailureCount | None:
    """Return `present` without the try that made `after` of `before`; None where nothing stays."""
    if present is None or present.failures <= 1:
        return None
    since = (present.failed_at, present.blocked_until)
    if before is not None and since == (after.failed_at, after.blocked_until):
        since = (before.failed_at, before.blocked_until)
    return FailureCount(present.failures - 1, *since)


def _one_more(count: FailureCount | None, now: datetime, rule: BackoffRule) -> FailureCount:
    count = living(count, now)
    failures = 1 + (count.failures if count else 0)
    return FailureCount(failures, now, now + rule.wait(failures))
