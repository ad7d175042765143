"""How long who waits, by table and by any course of tries."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharezync_auth.backoff import (
    FORGOTTEN_AFTER,
    BackoffRule,
    FailureCount,
    FailureCounts,
    failed,
    living,
    remaining,
    taken_back,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ACCOUNT = BackoffRule(free_failures=3, max_wait_seconds=60)
ADDRESS = BackoffRule(free_failures=5, max_wait_seconds=60)


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(0, 0), (1, 0), (2, 0), (3, 1), (4, 2), (5, 4), (8, 32), (9, 60), (10, 60), (10**6, 60)],
)
def test_the_wait_doubles_after_the_free_failures(failures: int, seconds: float) -> None:
    assert ACCOUNT.wait(failures) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("age", "failures_after"),
    [(timedelta(0), 6), (FORGOTTEN_AFTER - timedelta(microseconds=1), 6), (FORGOTTEN_AFTER, 1)],
)
def test_after_an_hour_all_begins_anew(age: timedelta, failures_after: int) -> None:
    old = FailureCount(5, NOW - age, NOW - age)
    after = failed(FailureCounts(account=old), NOW, account=ACCOUNT, address=ADDRESS)
    assert after.account is not None
    assert after.account.failures == failures_after
    assert (living(old, NOW) is None) == (failures_after == 1)


def test_a_wait_ends_at_its_moment_and_with_what_caused_it() -> None:
    count = FailureCount(9, NOW, NOW + timedelta(seconds=60))
    assert remaining(count, NOW) == timedelta(seconds=60)
    assert remaining(count, NOW + timedelta(seconds=59)) == timedelta(seconds=1)
    assert remaining(count, NOW + timedelta(seconds=60)) is None
    assert (
        remaining(replace(count, blocked_until=NOW + timedelta(days=1)), NOW + FORGOTTEN_AFTER)
        is None
    )
    assert remaining(None, NOW) is None


def test_a_pair_waits_as_long_as_its_account_failed() -> None:
    elsewhere = FailureCount(5, NOW, NOW)
    after = failed(FailureCounts(account=elsewhere), NOW, account=ACCOUNT, address=ADDRESS)
    assert after.account == FailureCount(6, NOW, NOW + timedelta(seconds=8))
    assert after.pair == FailureCount(1, NOW, NOW + timedelta(seconds=8))
    assert after.address == FailureCount(1, NOW, NOW)


def test_what_has_no_address_has_no_tally_of_one() -> None:
    assert failed(FailureCounts(), NOW, account=ACCOUNT, address=None).address is None


def test_what_failed_meanwhile_stands_when_a_try_is_taken_back() -> None:
    mine = FailureCount(4, NOW, NOW + timedelta(seconds=2))
    others = FailureCount(5, NOW + timedelta(seconds=1), NOW + timedelta(seconds=5))
    before = FailureCount(3, NOW - timedelta(minutes=9), NOW - timedelta(minutes=8))
    assert taken_back(mine, before=before, after=mine) == before
    assert taken_back(others, before=before, after=mine) == replace(others, failures=4)
    assert taken_back(None, before=before, after=mine) is None
    first = FailureCount(1, NOW, NOW)
    assert taken_back(first, before=None, after=first) is None


pauses = st.sampled_from([0, 0, 0.5, 1, 3, 61, 600, 3599, 3600])
steps = st.lists(
    st.tuples(
        st.sampled_from(["here", "there", "elsewhere"]),
        st.booleans(),
        pauses.map(lambda seconds: timedelta(seconds=seconds)),
    ),
    max_size=60,
)


class Course:
    """Tries on one account from several addresses, kept as the table keeps them."""

    def __init__(self) -> None:
        self.now = NOW
        self.account: FailureCount | None = None
        self.pairs: dict[str, FailureCount | None] = {}
        self.addresses: dict[str, FailureCount | None] = {}

    def of(self, place: str) -> FailureCounts:
        return FailureCounts(self.account, self.pairs.get(place), self.addresses.get(place))

    def put(self, place: str, counts: FailureCounts) -> None:
        self.account, self.pairs[place], self.addresses[place] = (
            counts.account,
            counts.pair,
            counts.address,
        )

    def attempt(self, place: str, *, right: bool) -> bool:
        """Try once; return whether the password was looked at."""
        before = self.of(place)
        if remaining(before.pair, self.now) or remaining(before.address, self.now):
            return False
        after = failed(before, self.now, account=ACCOUNT, address=ADDRESS)
        self.put(place, after)
        if right:
            assert after.account
            assert after.address
            account = taken_back(after.account, before=before.account, after=after.account)
            address = taken_back(after.address, before=before.address, after=after.address)
            self.put(place, FailureCounts(account, None, address))
        return True


@given(steps)
def test_right_passwords_leave_no_trace_of_themselves(
    course: list[tuple[str, bool, timedelta]],
) -> None:
    played = Course()
    for place, right, pause in course:
        played.now += pause
        before = played.of(place)
        if played.attempt(place, right=right) and right:
            after = played.of(place)
            assert living(after.account, played.now) == living(before.account, played.now)
            assert living(after.address, played.now) == living(before.address, played.now)
            assert after.pair is None


@given(steps, steps)
def test_nobody_is_shut_out_by_what_fails_elsewhere(
    before: list[tuple[str, bool, timedelta]], after: list[tuple[str, bool, timedelta]]
) -> None:
    played = Course()
    for place, right, pause in before:
        played.now += pause
        if place != "here":
            played.attempt(place, right=right)
    assert played.attempt("here", right=False), "the first try is always looked at"

    wait = remaining(played.of("here").pair, played.now) or timedelta(0)
    looks_at = played.now + wait
    for place, _, pause in after:
        played.now += pause
        if place != "here":
            played.attempt(place, right=False)
        left = remaining(played.of("here").pair, played.now) or timedelta(0)
        assert left == max(looks_at - played.now, timedelta(0))


@given(st.lists(pauses, max_size=60))
def test_one_place_gets_few_looks(course: list[float]) -> None:
    played, looked_at = Course(), 0
    for pause in course:
        played.now += timedelta(seconds=min(pause, 600))  # never long enough to be forgotten
        looked_at += played.attempt("here", right=False)
    # Three at once, then after 1, 2, 4, 8, 16, 32 s, then each 60 s.
    assert looked_at <= 3 + 6 + (played.now - NOW).total_seconds() / 60
