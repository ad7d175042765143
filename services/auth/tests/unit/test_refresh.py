from datetime import timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharezync_auth.refresh import LAST_COUNTER, RefreshVerdict, judge, new_key, parse, seal

SESSION = uuid4()
KEY = new_key()


def verdict_on(
    given_counter: int,
    counter: int,
    *,
    seconds: float = 0,
    late_grace_counter: int = 0,
    key: bytes = KEY,
) -> RefreshVerdict | None:
    token = parse(seal(SESSION, given_counter, KEY))
    assert token is not None
    return judge(
        token,
        key=key,
        counter=counter,
        since_rotation=timedelta(seconds=seconds),
        late_grace_counter=late_grace_counter,
    )


@pytest.mark.parametrize("seconds", [0, 60, 61, 86400 * 364])
@pytest.mark.parametrize(
    ("given_counter", "counter", "verdict"),
    [
        (5, 5, RefreshVerdict.CURRENT),
        (3, 5, RefreshVerdict.REUSED),
        (1, 5, RefreshVerdict.REUSED),
        (6, 5, None),  # never given out
        (LAST_COUNTER - 1, LAST_COUNTER - 1, RefreshVerdict.CURRENT),
        (LAST_COUNTER, LAST_COUNTER, RefreshVerdict.SPENT),
    ],
)
def test_the_counter_tells_what_a_genuine_token_means(
    given_counter: int, counter: int, verdict: RefreshVerdict | None, seconds: float
) -> None:
    assert verdict_on(given_counter, counter, seconds=seconds) is verdict


@pytest.mark.parametrize(
    ("seconds", "late_grace_counter", "verdict"),
    [
        (0, 0, RefreshVerdict.PREVIOUS),
        (60, 0, RefreshVerdict.PREVIOUS),
        (60, 4, RefreshVerdict.PREVIOUS),
        (-5, 4, RefreshVerdict.PREVIOUS),  # the clock was put back
        (60.001, 0, RefreshVerdict.PREVIOUS_LATE),
        (86400, 3, RefreshVerdict.PREVIOUS_LATE),
        (86400, 5, RefreshVerdict.PREVIOUS_LATE),  # the same number again: no step was made
        (60.001, 4, RefreshVerdict.REUSED),
        (86400, 4, RefreshVerdict.REUSED),
    ],
)
def test_the_one_before_is_taken_late_but_not_twice_running(
    seconds: float, late_grace_counter: int, verdict: RefreshVerdict
) -> None:
    found = verdict_on(4, 5, seconds=seconds, late_grace_counter=late_grace_counter)
    assert found is verdict


def test_who_lives_on_the_one_before_is_found_at_the_second_step() -> None:
    """The client refreshes once in ten minutes; the thief always shows the one before, later."""
    counter, late, taken = 1, 0, 0
    while counter < 100:
        counter += 1  # by the client
        verdict = verdict_on(counter - 1, counter, seconds=90, late_grace_counter=late)
        if verdict is RefreshVerdict.REUSED:
            break
        assert verdict is RefreshVerdict.PREVIOUS_LATE
        late, taken = counter, taken + 1
    assert taken == 1


def test_a_token_is_good_for_its_own_session_and_key_only() -> None:
    token = parse(seal(SESSION, 1, KEY))
    assert token is not None
    assert token.session_id == SESSION
    assert verdict_on(1, 1, key=new_key()) is None


@given(st.integers(0, 52), st.integers(1, 255))
def test_a_changed_byte_is_a_forgery(position: int, change: int) -> None:
    text = seal(SESSION, 1, KEY)
    position %= len(text) - 4
    characters = bytearray(text.encode())
    characters[4 + position] ^= change % 64 or 1
    forged = parse(characters.decode("latin-1"))
    # The last character has bits that stand for nothing.
    if forged is not None and position < len(text) - 5:
        verdict = judge(
            forged, key=KEY, counter=1, since_rotation=timedelta(), late_grace_counter=0
        )
        assert verdict is None


@given(st.text(max_size=80))
def test_anything_else_is_no_token(text: str) -> None:
    assert parse(text) is None
    assert parse("szr_" + text) is None
