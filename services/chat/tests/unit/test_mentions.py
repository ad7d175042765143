"""Whom a text calls."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharezync_chat.usecases.mentions import MAX_KEYS, MAX_NAMES, NOBODY, MentionedNames, calls_in


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("@ada", ("ada",)),
        ("hello @ada, and @bob.", ("ada", "bob")),
        ("(@ada) @Ada @ADA", ("ada",)),
        ("@Ａda", ("ada",)),
        ("@Straße", ("strasse",)),
        ("mail ada@example.com", ()),
        ("@@ada", ()),
        ("@ab @-ada", ()),
        ("a@ b@", ()),
        ("@" + "x" * 32, ("x" * 32,)),
        ("@" + "x" * 33, ()),
        ("＠ada, @＠bob", ("ada",)),
        ("ok.@ada: see /@bob", ("ada", "bob")),
        ("_@ada", ("ada",)),
        ("ada_@example.com 42@example.com e\u0301@example.com", ()),
        ("请@ada，ל@bob و@cleo दोस्तों@dana こんにちは@eve", ("ada", "bob", "cleo", "dana", "eve")),
        ("@सुनीता को", ("सुनीता",)),
    ],
)
def test_names_after_an_at_sign_are_called(text: str, keys: tuple[str, ...]) -> None:
    assert calls_in(text) == MentionedNames(tuple((key,) for key in keys))


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("@bob看一下", ("bob看一下", "bob看一", "bob看", "bob")),
        ("@bobさん", ("bobさん", "bobさ", "bob")),
        ("@bob님", ("bob님", "bob")),
        ("@王小明님2", ("王小明님2", "王小明님", "王小明", "王小", "王")),
        ("_@bob_", ("bob_", "bob")),
        ("__@bob__さん", ("bob__さん", "bob__さ", "bob__", "bob")),
        ("@bob--now", ("bob--now", "bob")),
        ("@bob.See", ("bob.see", "bob")),
        ("@bobом", ("bobом", "bob")),
        ("@สุดาไป", ("สุดาไป", "สุดาไ", "สุดา", "สุด", "สุ")),
        ("@ada_lovelace", ("ada_lovelace",)),
        ("@ada.l-2_", ("ada.l-2_", "ada.l-2", "ada.l", "ada")),
        ("@bobby", ("bobby",)),
        ("@bob2", ("bob2",)),
        ("@" + "x" * 20 + "-" + "y" * 20, ("x" * 20,)),
    ],
)
def test_what_goes_on_behind_a_name_may_be_no_part_of_it(text: str, keys: tuple[str, ...]) -> None:
    assert calls_in(text) == MentionedNames((keys,))


def _documented() -> list[tuple[str, str]]:
    page = (Path(__file__).parents[4] / "docs" / "mentions-and-reactions.md").read_text()
    table = page.partition("<!-- mentions -->")[2].partition("<!-- end of mentions -->")[0]
    rows = re.findall(r"^\| `(.+)` \| (.+) \|$", table, re.MULTILINE)
    return [(text, called) for text, called in rows]


def test_the_page_for_frontends_tells_what_is_read() -> None:
    rows = _documented()
    assert len(rows) > 10
    for text, told in rows:
        called = "; ".join(", ".join(keys) for keys in calls_in(text).calls)
        assert (called or "nobody") == told, text


def test_everyone_is_called_by_the_channel() -> None:
    assert calls_in("@channel look, @ada") == MentionedNames((("ada",),), channel=True)
    for text in ("@Channel!", "＠channel", "@channelのみなさん", "@channel--now"):
        assert calls_in(text) == MentionedNames((), channel=True)
    assert calls_in("@channels") == MentionedNames((("channels",),))
    assert calls_in("@channel-ops") == MentionedNames((("channel-ops", "channel"),))


def test_a_text_calls_so_many_and_no_more() -> None:
    text = " ".join(f"@name{n}" for n in range(MAX_NAMES + 10))
    assert len(calls_in(text).calls) == MAX_NAMES
    text = " ".join(f"@{chr(0x4E00 + n)}{'看' * 30}" for n in range(MAX_NAMES))
    assert 0 < sum(map(len, calls_in(text).calls)) <= MAX_KEYS


@given(st.text(alphabet="@ab.c- \n", max_size=60))
def test_any_text_is_read(text: str) -> None:
    calls = calls_in(text)
    assert calls is NOBODY or "@" in text
    for key in (key for keys in calls.calls for key in keys):
        assert 3 <= len(key) <= 32
