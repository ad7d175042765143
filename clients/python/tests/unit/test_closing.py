"""What to do after a socket was closed: the table, walked."""

import pytest

from sharezync.backoff import jittered
from sharezync.realtime.opening import after_close, after_refusal

COMES_BACK = [1000, 1001, 1006, 1011, 1012, 4001, 4008, 4009, 4013, 4029, 4100, 4499]
STAYS_AWAY = [1009, 4500, 4503, 4504, 4505, 4509, 4999]


@pytest.mark.parametrize("code", COMES_BACK)
def test_these_codes_mean_to_come_back(code: int) -> None:
    verdict = after_close(code)
    assert verdict.again
    assert not verdict.renew


@pytest.mark.parametrize("code", STAYS_AWAY)
def test_these_codes_mean_to_stay_away(code: int) -> None:
    assert not after_close(code).again


def test_a_bad_token_is_answered_with_a_fresh_one() -> None:
    assert after_close(4501).again
    assert after_close(4501).renew
    assert after_refusal(401).renew


@pytest.mark.parametrize(
    ("status", "again"), [(429, True), (503, True), (403, False), (404, False)]
)
def test_a_refused_handshake(status: int, again: bool) -> None:
    assert after_refusal(status).again is again


def test_who_floods_waits_longest_and_who_was_sent_away_comes_at_once() -> None:
    assert after_close(4029).pause_seconds(0) >= 5
    assert after_close(4001).pause_seconds(0) == 0
    assert after_close(4001).pause_seconds(3) > 0, "not for ever at once"


def test_what_the_server_asked_for_is_the_least_and_is_spread() -> None:
    pauses = {after_close(4001).pause_seconds(0, asked_seconds=2) for _ in range(50)}
    assert 2 <= min(pauses) < max(pauses) <= 4


def test_pauses_grow_to_an_end_and_differ() -> None:
    for attempt in range(40):
        longest = min(10.0, 0.2 * 2**attempt)
        pauses = {jittered(attempt) for _ in range(20)}
        assert all(longest / 2 <= pause <= longest for pause in pauses)
        assert len(pauses) > 1
    assert jittered(0, asked_seconds=7) >= 7
