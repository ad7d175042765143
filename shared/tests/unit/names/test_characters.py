"""What is taken out of text, and what must stay."""

import unicodedata
from collections.abc import Callable

import icu
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharezync_shared.names import characters
from sharezync_shared.names.characters import composed, looks_empty, many_lines, one_line, unstacked

FAMILY = "👨\u200d👩\u200d👧"
SCOTLAND = "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"


@pytest.mark.parametrize(
    "text",
    [
        "Ada Lovelace",
        "Zoë (née Müller), 李明 & Сергей",
        "می\u200cخواهم",
        "क्\u200dष",
        "র\u200d্য",
        FAMILY,
        "👁\ufe0f\u200d🗨\ufe0f",
        "\u1820\u180b\u200d\u1820\u180e\u1820",
        "🏳\ufe0f\u200d🌈",
        "👩🏽\u200d💻",
        "❤\ufe0f 1\ufe0f\u20e3",
        SCOTLAND,
        "葛\U000e0100",
        "สุดารัตน์ ที่สุด",
        "מָזָל טוֹב",
        "ẫ ྐྵ ကြွှော်",
        "Ａda 𝓐𝓭𝓪",
        "\U0001fae9",  # younger than this Python
    ],
)
def test_what_people_write_stays(text: str) -> None:
    assert one_line(text) == text
    assert many_lines(text) == text
    assert not looks_empty(text)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Bob\n12:00 Ada (admin)", "Bob 12:00 Ada (admin)"),
        ("a\u2028b\u2029c\x85d\x0be\x0cf", "a b c d e f"),
        ("Holiday photos\n\nTake it? [Y/n]: y", "Holiday photos Take it? [Y/n]: y"),
        ("\u202eadA\u202c", "adA"),
        ("\u2066a\u2069\u200e\u200f\u061c", "a"),
        ("a\u200bd\u2060a\ufeff\u00ad\u034f", "ada"),
        ("a\u200dd\u200ca", "ada"),  # no joiner belongs between these
        (" a \u200b \u3164 b\u2800", "a b"),
        ("\u0301\u200d\ufe0fa", "a"),
        ("a\U000e0068\U000e0069", "a"),
        ("a\x1b[2Jb\x00\ue000\ud800\ufffe", "a[2Jb"),
        ("e\u200b\u0301", "é"),
        ("a\u180b\u180b\u200db\ufffc\ufe0f", "ab"),
        ("\u1820\u180b\u180b\u200d\u1820", "\u1820\u180b\u1820"),
        ("👨\u200d\ufe0f\u200d👩", "👨👩"),
        ("b" + "\u0300\u0316" * 30, "b" + "\u0316\u0316\u0300\u0300"),
        ("ก" + "\u0e47" * 40, "ก" + "\u0e47" * 2),
    ],
)
def test_what_deceives_is_taken_out_of_a_line(text: str, line: str) -> None:
    assert one_line(text) == line


BLANK = [
    "",
    " ",
    "\n\t\r\n",
    "\u200b",
    "\u2800",
    "\u3164",
    "\u115f\u1160\uffa0",
    "\u2060\ufeff\u00ad",
    "\ufffc",
    "\U00013430\U0001343f \u2d7f",
    "\u202e\u2066",
    "\ufe0f",
    "\U000e0041",
    "\x07\x1b",
    "\u3000\u00a0\u2003",
    "\u180e\u17b4",
]


@pytest.mark.parametrize("text", BLANK)
def test_what_looks_empty_is_empty(text: str) -> None:
    assert looks_empty(text)
    assert one_line(text) == many_lines(text) == ""


def test_a_text_of_many_lines_keeps_its_lines_and_its_order() -> None:
    assert many_lines("a\r\nb\rc\u2028d\n\te") == "a\nb\nc\nd\n\te"
    assert many_lines("\u200fשלום (a)\u200e") == "\u200fשלום (a)\u200e"
    assert many_lines("see \u202egpj.exe") == "see gpj.exe"
    assert many_lines("\x1b[2J a") == "[2J a"
    assert many_lines("  x  ") == "  x  "
    assert many_lines("क्याााााााा") == "क्याााााााा"  # vowels drawn out stand beside, not on top
    zalgo = "a" + "\u0335\u0300\u0316" * 50
    assert len(many_lines(zalgo)) <= 9


texts = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("aé م\u200c\u200d\ufe0f\u0301\u0316\u0345👨♥\u1820\u180b\u094d"),
        st.sampled_from("\u0915\u2800\n\r\U000e0067\U0001f3f4"),
    ),
    max_size=60,
)


@given(texts)
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    line, lines = one_line(text), many_lines(text)
    assert one_line(line) == line
    assert many_lines(lines) == lines
    assert unicodedata.is_normalized("NFC", line)
    assert len(line.splitlines()) <= 1
    assert "\r" not in lines
    assert (not lines) == looks_empty(lines)
    assert bool(line) or looks_empty(line)


@given(st.integers(0x80, 0x10FFFF).map(chr))
def test_no_character_alone_is_an_invisible_line(character: str) -> None:
    hidden = icu.Char.hasBinaryProperty(character, icu.UProperty.DEFAULT_IGNORABLE_CODE_POINT)
    if hidden or unicodedata.category(character) in {"Cc", "Cs", "Co"}:
        assert one_line(character) == ""
        assert one_line(f"a{character}b") in {"ab", "a b", f"a{character}b"}


def test_marks_are_counted_by_their_place() -> None:
    assert unstacked("a\u0301\u0316\u0302\u0317", alike=2) == "a\u0301\u0316\u0302\u0317"
    assert unstacked("a\u0301\u0302\u0300", alike=2) == "a\u0301\u0302"


@pytest.mark.parametrize("between", ["", "\u200b"])
def test_however_many_marks_there_are_a_line_is_cleaned_at_once(between: str) -> None:
    """Normalising these would take minutes, by the square of their number."""
    assert len(composed("a" + "\u0301\u0316" * 100)) == 30
    marks = f"\u0301{between}\u0316{between}" * 100_000
    assert one_line(f"a{marks}") == "á\u0316\u0316\u0301\u0301"


def test_a_plain_line_of_ascii_meets_no_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(characters, "compiled", None)
    assert one_line(" IMG 2026-01.jpg ") == "IMG 2026-01.jpg"
    assert many_lines("Hello!") == "Hello!"


@pytest.mark.parametrize(("clean", "marks"), [(one_line, 2), (many_lines, 4)])
def test_only_runs_of_too_many_marks_are_counted_mark_by_mark(
    monkeypatch: pytest.MonkeyPatch, clean: Callable[[str], str], marks: int
) -> None:
    counted: list[str] = []

    def bounded(run: str, alike: int) -> str:
        counted.append(run)
        return run[:alike]

    monkeypatch.setattr(characters, "_bounded", bounded)
    clean(("c" + "\u0303" * marks) * 4000)
    assert counted == []
    clean("c" + "\u0303" * (marks + 1))
    assert len(counted) == 1
