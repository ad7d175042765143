"""What others wrote, in a terminal: on its own lines, in its own direction, and legible."""

import unicodedata
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from sharezync.cli.text import column, line, one_line, verbatim, wrapped

NASTY = "\x00\x07\x08\x1b[2J\r\n\x0b\x0c\x85\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2069"
TEXT = st.text(
    alphabet=st.one_of(
        st.sampled_from(list(NASTY + " a界ה\u0301\u200d\u200c\u3164")), st.characters()
    )
)
FAMILY = "👨‍👩‍👧"
I_WANT = "می‌خواهم"


@pytest.mark.parametrize("text", [FAMILY, "❤️", "🏳️‍🌈", "naïve", "क्‍ष", "日本語", "שלום", I_WANT])
def test_scripts_and_emoji_are_legible(text: str) -> None:
    for shown in (one_line(text), line(one_line(text)), line(text), verbatim(text)):
        assert text in shown
        assert "\N{REPLACEMENT CHARACTER}" not in shown
    assert text in next(wrapped("12:34  ada: ", text, width=None, indent=8))


@given(TEXT)
def test_nothing_steers_the_terminal_or_leaves_its_line(text: str) -> None:
    rows = [*wrapped("12:34  eve: ", text, width=40, indent=8), one_line(text), line(text)]
    for row in rows:
        assert not row.splitlines()[1:]
        assert not {unicodedata.category(each) for each in row} & {"Cc", "Cs", "Zl", "Zp"}
        assert not set(row) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u200b")
        assert row.count("\u2068") == row.count("\u2069")


@given(TEXT)
def test_only_the_first_row_begins_at_the_edge(text: str) -> None:
    first, *others = wrapped("12:34  eve: ", text, width=40, indent=8)
    assert first.startswith("12:34  eve:")
    for row in others:
        assert not row or row.startswith(" " * 8)
        assert cell_len(row) <= 40
    for row in (first, *others):
        assert cells_where_nothing_is_joined(row) <= 40


def cells_where_nothing_is_joined(text: str) -> int:
    """Return what a terminal takes that shows every character by itself, and emoji style wide."""
    return sum(map(cell_len, text)) + text.count("\ufe0f")


def on_a_terminal(rows: Iterable[str], width: int) -> list[str]:
    """Return what stands in the lines of a terminal that joins nothing: it goes on at its edge."""
    lines: list[str] = []
    for row in rows:
        lines.append("")
        for each in row:
            if cells_where_nothing_is_joined(lines[-1] + each) > width:
                lines.append("")
            lines[-1] += each
    return lines


@pytest.mark.parametrize("width", [30, 60, 80])
@pytest.mark.parametrize("filler", [FAMILY, "❤️", "🏳️‍🌈", "का", "🇩🇪", "1️⃣", "─", "界", "👋🏽", "Z̷"])
def test_what_terminals_join_or_not_moves_nothing_to_their_edge(filler: str, width: int) -> None:
    for before in range(width):
        text = filler * before + "12:34  ada: I owe you 1000 euros"
        shown = on_a_terminal(wrapped("12:34  eve: ", text, width=width, indent=8), width)
        assert shown[0].startswith("12:34  eve: ")
        assert all(each.startswith("        ") for each in shown[1:]), ascii(shown)


@pytest.mark.parametrize("width", [20, 40, 60, 80])
def test_what_somebody_calls_themselves_goes_on_at_no_edge(width: int) -> None:
    for before in range(50):
        head = f'12:34  {"e" * 30} ("{"─" * before}12:34  ada: yes"): '
        rows = wrapped(head, "12:34  ada: I owe you", width=width, indent=8)
        shown = on_a_terminal(rows, width)
        assert shown[0].startswith("12:34")
        assert all(each.startswith("        ") for each in shown[1:]), ascii(shown)


def test_a_long_line_is_broken_soon() -> None:
    rows = list(wrapped("12:34  eve: ", FAMILY * 20_000, width=80, indent=8))
    assert len(rows) > 1_000
    assert "".join(row.removeprefix("12:34  eve:").strip() for row in rows) == FAMILY * 20_000


@pytest.mark.parametrize("width", [None, 20, 60])
@pytest.mark.parametrize(
    "text",
    [
        "hello\n12:34  ada: I owe you 1000 euros",
        "hello\r12:34  ada: I owe you 1000 euros",
        "hello\u202812:34  ada: I owe you 1000 euros",
        "hello" + " " * 43 + "12:34  ada: I owe you 1000 euros",  # to the edge of the terminal
        "─" * 48 + "12:34  ada: I owe you 1000 euros",
    ],
)
def test_a_message_forges_no_line_of_somebody_elses(text: str, width: int | None) -> None:
    rows = list(wrapped("12:34  eve: ", text, width=width, indent=8))
    assert not any(row.startswith("12:34  ada") for row in rows)


def test_a_note_is_one_line() -> None:
    assert one_line("Holiday photos\n\nTake it? [Y/n]: y") == "Holiday photos Take it? [Y/n]: y"


def test_right_to_left_text_moves_nothing_beside_it() -> None:
    assert one_line("שלום") == "\u2068שלום\u2069"
    assert line("a \u2068b") == "a \u2068b\u2069", "what is opened is closed"
    assert line("a\u2069b") == "ab", "nothing is closed that was not opened here"


def test_what_looks_like_nothing_is_seen() -> None:
    for blank in ("\u3164", "\u2800\u115f", "   ", "\u200d"):
        assert one_line(blank) == "\N{REPLACEMENT CHARACTER}"
    assert one_line("") == ""
    assert one_line("ada\u200b") == "ada\N{REPLACEMENT CHARACTER}"
    assert one_line("a\u200d\u200d\u200d b") == "a b", "joiners that join nothing"


def test_columns_keep_their_width() -> None:
    for name in ("ada", "日本", FAMILY, "e\u0301", I_WANT):
        assert cell_len(column(name, 12)) == 12
        assert cell_len(one_line(name * 20, cells=11)) <= 11
    assert one_line("Z" + "\u0301" * 50).count("\u0301") == 8, "no tower over other lines"
    assert one_line("\u0301a").startswith("◌"), "nothing sits on what is before it"
