from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharezync_auth.refresh import Verdict, judge, new_key, parse, seal

SESSION = uuid4()
KEY = new_key()


@pytest.mark.parametrize(
    ("given_counter", "counter", "verdict"),
    [
        (5, 5, Verdict.CURRENT),
        (4, 5, Verdict.PREVIOUS),
        (3, 5, Verdict.REUSED),
        (1, 5, Verdict.REUSED),
        (6, 5, None),  # never given out
    ],
)
def test_the_counter_tells_what_a_genuine_token_means(
    given_counter: int, counter: int, verdict: Verdict | None
) -> None:
    token = parse(seal(SESSION, given_counter, KEY))
    assert token is not None
    assert judge(token, key=KEY, counter=counter) is verdict


def test_a_token_is_good_for_its_own_session_and_key_only() -> None:
    token = parse(seal(SESSION, 1, KEY))
    assert token is not None
    assert token.session_id == SESSION
    assert judge(token, key=new_key(), counter=1) is None


@given(st.integers(0, 52), st.integers(1, 255))
def test_a_changed_byte_is_a_forgery(position: int, change: int) -> None:
    text = seal(SESSION, 1, KEY)
    position %= len(text) - 4
    characters = bytearray(text.encode())
    characters[4 + position] ^= change % 64 or 1
    forged = parse(characters.decode("latin-1"))
    # The last character has bits that stand for nothing.
    if forged is not None and position < len(text) - 5:
        assert judge(forged, key=KEY, counter=1) is None


@given(st.text(max_size=80))
def test_anything_else_is_no_token(text: str) -> None:
    assert parse(text) is None
    assert parse("szr_" + text) is None
