"""Whom a text calls."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharezync_chat.usecases.mentions import MAX_NAMES, NOBODY, MentionedNames, calls_in


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("@ada", ("ada",)),
        ("hello @ada, and @bob.", ("ada", "bob")),
        ("(@ada) @Ada @ADA", ("ada",)),
        ("@ada.lovelace-2_", ("ada.lovelace-2_",)),
        ("@Ａda", ("ada",)),
        ("@Straße", ("strasse",)),
        ("mail ada@example.com", ()),
        ("@@ada", ()),
        ("@ab @-ada", ()),
        ("a@ b@", ()),
        ("@" + "x" * 32, ("x" * 32,)),
        ("@" + "x" * 33, ()),
    ],
)
def test_names_after_an_at_sign_are_called(text: str, keys: tuple[str, ...]) -> None:
    assert calls_in(text) == MentionedNames(keys)


def test_everyone_is_called_by_the_channel() -> None:
    assert calls_in("@channel look, @ada") == MentionedNames(("ada",), channel=True)
    assert calls_in("@Channel!") == MentionedNames((), channel=True)
    assert calls_in("@channels") == MentionedNames(("channels",))


def test_a_text_calls_so_many_and_no_more() -> None:
    text = " ".join(f"@name{n}" for n in range(MAX_NAMES + 10))
    assert len(calls_in(text).keys) == MAX_NAMES


@given(st.text(alphabet="@ab.c- \n", max_size=60))
def test_any_text_is_read(text: str) -> None:
    calls = calls_in(text)
    assert calls is NOBODY or "@" in text
    for key in calls.keys:
        assert 3 <= len(key) <= 32
